/** What stands in a transcript for what a provider has refused, so that the next request is taken. */
import { ToolOutput } from "../../../model/ToolCall.js"
import { cutText } from "../../../shared/cutText.js"
import type { TranscriptEntry, UserPart } from "../TranscriptEntry.js"
import { plainText } from "./output.js"
import * as texts from "./texts.js"

type Entries = ReadonlyArray<TranscriptEntry>

/**
 * Changes what came after the last reply, for all before it was taken with the request that the reply answers. If there is nothing
 * to change in it, all: another provider is asked by now.
 */
const changeLatest = (entries: Entries, change: (entry: TranscriptEntry) => TranscriptEntry): Entries | undefined => {
  let from = entries.length
  while (from > 0 && entries[from - 1]?._tag !== "AssistantMessage") from--
  return changeFrom(entries, from, change) ?? changeFrom(entries, 0, change)
}

const changeFrom = (
  entries: Entries,
  from: number,
  change: (entry: TranscriptEntry) => TranscriptEntry
): Entries | undefined => {
  const latest = entries.slice(from)
  const changed = latest.map(change)
  return changed.every((entry, index) => entry === latest[index]) ? undefined : [...entries.slice(0, from), ...changed]
}

const withoutFiles = (output: ToolOutput): ToolOutput =>
  output._tag === "Parts" && output.parts.some(({ _tag }) => _tag === "Media")
    ? ToolOutput.Parts({
      parts: output.parts.map((part) =>
        part._tag === "Media" ? { _tag: "Text", text: texts.fileRefused(part.mediaType) } : part
      )
    })
    : output

/** The files that were not shown to the model before, or else all, if there are some, by texts in their place. */
export const withoutLatestFiles = (entries: Entries): Entries | undefined =>
  changeLatest(entries, (entry) => {
    switch (entry._tag) {
      case "UserMessage":
        return entry.content.some(({ _tag }) => _tag === "File")
          ? {
            ...entry,
            content: entry.content.map((part): UserPart =>
              part._tag === "File" ? { _tag: "Text", text: texts.fileRefused(part.mediaType, part.fileName) } : part
            )
          }
          : entry
      case "ToolResult":
      case "LateResult": {
        const output = withoutFiles(entry.output)
        return output === entry.output ? entry : { ...entry, output }
      }
      case "AssistantMessage":
      case "Rewrite":
        return entry
    }
  })

const shortened = (output: ToolOutput, maxBytes: number): ToolOutput => {
  const { missing, text } = cutText(plainText(output), maxBytes)
  return missing === 0 ? withoutFiles(output) : ToolOutput.Text({ text: `${texts.tooLong}\n${text}` })
}

/** What the model was not shown before, or else all, if there is something longer than that, cut in the middle; files go as well. */
export const withoutLatestLength = (entries: Entries, maxBytes: number): Entries | undefined =>
  changeLatest(entries, (entry) => {
    switch (entry._tag) {
      case "UserMessage": {
        const content = entry.content.map((part): UserPart => {
          if (part._tag === "File") return { _tag: "Text", text: texts.fileRefused(part.mediaType, part.fileName) }
          const { missing, text } = cutText(part.text, maxBytes)
          return missing === 0 ? part : { _tag: "Text", text: `${texts.tooLong}\n${text}` }
        })
        return content.every((part, index) => part === entry.content[index]) ? entry : { ...entry, content }
      }
      case "ToolResult":
      case "LateResult": {
        const output = shortened(entry.output, maxBytes)
        return output === entry.output ? entry : { ...entry, output }
      }
      case "AssistantMessage":
      case "Rewrite":
        return entry
    }
  })

const nobody = "a provider that does not know it any more"

/** The replies as those of another provider, if there are some: what was attached to them is not taken any more. */
export const withoutAttachments = (entries: Entries): Entries | undefined =>
  entries.every((entry) => entry._tag !== "AssistantMessage" || entry.provider === nobody)
    ? undefined
    : entries.map((entry) => entry._tag === "AssistantMessage" ? { ...entry, provider: nobody } : entry)
