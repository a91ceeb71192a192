/** About how many tokens a transcript has: four bytes of text are one, and a file counts as a picture of common size. */
import { outputText } from "../../../model/outputText.js"
import type { ToolOutput } from "../../../model/ToolCall.js"
import { jsonText } from "../../../shared/jsonText.js"
import { utf8Length } from "../../../shared/utf8.js"
import type { ReplyPart, TranscriptEntry } from "../TranscriptEntry.js"

// https://platform.claude.com/docs/en/build-with-claude/vision: about 1.15 megapixels, the largest that is not scaled down
const ofFile = 1_600
// what stands around each entry
const ofEntry = 8

const ofText = (text: string): number => Math.ceil(utf8Length(text) / 4)

const ofOutput = (output: ToolOutput): number =>
  ofText(outputText(output) ?? "") +
  (output._tag === "Parts" ? output.parts.filter(({ _tag }) => _tag === "Media").length * ofFile : 0)

const ofPart = (part: ReplyPart): number => {
  switch (part._tag) {
    case "Text":
    case "Reasoning":
      return ofText(part.text)
    case "File":
      return ofEntry
    case "ToolCall":
      return ofText(part.toolName) + ofText(jsonText(part.params) ?? "")
    case "ProviderResult":
      return ofText(jsonText(part.result) ?? "")
  }
}

/** Of one entry. */
export const tokensOf = (entry: TranscriptEntry): number => {
  switch (entry._tag) {
    case "UserMessage":
      return entry.content.reduce((sum, part) => sum + (part._tag === "Text" ? ofText(part.text) : ofFile), ofEntry)
    case "AssistantMessage":
      return entry.parts.reduce((sum, part) => sum + ofPart(part), ofEntry)
    case "ToolResult":
    case "LateResult":
      return ofEntry + ofOutput(entry.output)
    case "Rewrite":
      return tokensOfAll(entry.entries)
  }
}

/** Of all of them. */
export const tokensOfAll = (entries: ReadonlyArray<TranscriptEntry>): number =>
  entries.reduce((sum, entry) => sum + tokensOf(entry), 0)
