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

/** The change of an entry: of the parts of a message of the user, or of the output of a result. */
const inEntry =
  (changePart: (part: UserPart) => UserPart, changeOutput: (output: ToolOutput) => ToolOutput) =>
  (entry: TranscriptEntry): TranscriptEntry => {
    switch (entry._tag) {
      case "UserMessage": {
        const content = entry.content.map((part) => changePart(part))
        return content.every((part, index) => part === entry.content[index]) ? entry : { ...entry, content }
      }
      case "ToolResult":
      case "LateResult": {
        const output = changeOutput(entry.output)
        return output === entry.output ? entry : { ...entry, output }
      }
      case "AssistantMessage":
      case "Rewrite":
        return entry
    }
  }

const withoutFile = (part: UserPart): UserPart =>
  part._tag === "File" ? { _tag: "Text", text: texts.fileRefused(part.mediaType, part.fileName) } : part

/** The files that were not shown to the model before, or else all, if there are some, by texts in their place. */
export const withoutLatestFiles = (entries: Entries): Entries | undefined =>
  changeLatest(entries, inEntry(withoutFile, withoutFiles))

const wasCut = `${texts.tooLong}\n`

/** What always stays of a text that is cut, in bytes. */
const leastBytes = 48

/** The text cut in the middle, with a word about that, which has its place within the limit; `undefined` if it is short enough. */
const shortened = (long: string, maxBytes: number): string | undefined => {
  if (cutText(long, maxBytes).missing === 0) return undefined
  // what was cut before is not cut again
  const { missing, text } = cutText(
    long.startsWith(wasCut) ? long.slice(wasCut.length) : long,
    Math.max(leastBytes, maxBytes - wasCut.length)
  )
  return missing === 0 ? undefined : wasCut + text
}

const shortPart = (part: UserPart, maxBytes: number): UserPart => {
  const text = part._tag === "Text" ? shortened(part.text, maxBytes) : undefined
  return text === undefined ? withoutFile(part) : { _tag: "Text", text }
}

const shortOutput = (output: ToolOutput, maxBytes: number): ToolOutput => {
  const text = shortened(plainText(output), maxBytes)
  return text === undefined ? withoutFiles(output) : ToolOutput.Text({ text })
}

/** What the model was not shown before, or else all, if there is something longer than that, cut in the middle; files go as well. */
export const withoutLatestLength = (entries: Entries, maxBytes: number): Entries | undefined =>
  changeLatest(entries, inEntry((part) => shortPart(part, maxBytes), (output) => shortOutput(output, maxBytes)))

const nobody = "a provider that does not know it any more"

/** The replies as those of another provider, if there are some: what was attached to them is not taken any more. */
export const withoutAttachments = (entries: Entries): Entries | undefined =>
  entries.every((entry) => entry._tag !== "AssistantMessage" || entry.provider === nobody)
    ? undefined
    : entries.map((entry) => entry._tag === "AssistantMessage" ? { ...entry, provider: nobody } : entry)
