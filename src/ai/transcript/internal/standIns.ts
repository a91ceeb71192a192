/** What stands in a transcript for what a provider has refused, so that the next request is taken. */
import { ToolOutput } from "../../../model/ToolCall.js"
import { cutText } from "../../../shared/cutText.js"
import type { TranscriptEntry, UserPart } from "../TranscriptEntry.js"
import { plainText } from "./output.js"
import { providerOf } from "./providers.js"
import * as texts from "./texts.js"

type Entries = ReadonlyArray<TranscriptEntry>

/** Entries with stand-ins, and whether these stand only where a reply of another provider has followed. */
export interface Relieved {
  readonly entries: Entries
  readonly isOld: boolean
}

/** Where the entries begin that came after the last reply that `isMeant`. */
const afterReply = (entries: Entries, isMeant: (reply: TranscriptEntry.AssistantMessage) => boolean): number => {
  for (let from = entries.length; from > 0; from--) {
    const entry = entries[from - 1]
    if (entry?._tag === "AssistantMessage" && isMeant(entry)) return from
  }
  return 0
}

/**
 * Changes what the provider has not taken yet, for all before one of its replies was taken with the request that it answers: first
 * what another provider has answered, so that nothing new is lost for something old, then what nobody has answered. If there is
 * nothing to change in these, all: what was taken once need not be taken for ever. `provider`: who is asked, if that is known.
 */
const changeSuspects = (
  entries: Entries,
  provider: string | undefined,
  change: (entry: TranscriptEntry) => TranscriptEntry
): Relieved | undefined => {
  const unanswered = afterReply(entries, () => true)
  const took = (reply: TranscriptEntry.AssistantMessage): boolean =>
    [provider, forgotten(provider)].includes(providerOf(reply))
  const untaken = provider === undefined ? unanswered : afterReply(entries, took)
  const old = changeFrom(entries.slice(0, unanswered), untaken, change)
  if (old !== undefined) return { entries: [...old, ...entries.slice(unanswered)], isOld: true }
  const changed = changeFrom(entries, unanswered, change) ?? changeFrom(entries, 0, change)
  return changed === undefined ? undefined : { entries: changed, isOld: false }
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

const outputWithoutFiles = (output: ToolOutput): ToolOutput =>
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

/** The files that the provider may have refused by texts in their place, if there are some. */
export const withoutFiles = (entries: Entries, provider: string | undefined): Relieved | undefined =>
  changeSuspects(entries, provider, inEntry(withoutFile, outputWithoutFiles))

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
  return text === undefined ? outputWithoutFiles(output) : ToolOutput.Text({ text })
}

/** What may be too long for the provider, cut in the middle to the limit, if there is something longer; files go as well. */
export const withoutLength = (
  entries: Entries,
  provider: string | undefined,
  maxBytes: number
): Relieved | undefined =>
  changeSuspects(
    entries,
    provider,
    inEntry((part) => shortPart(part, maxBytes), (output) => shortOutput(output, maxBytes))
  )

/** Who made a reply whose attachments are not known any more: nobody who is asked, so that they are left out. */
const forgotten = (provider = "a provider"): string => provider.endsWith(forgets) ? provider : `${provider}${forgets}`

const forgets = " that does not know it any more"

/** The replies as those of another provider, if there are some: what was attached to them is not taken any more. */
export const withoutAttachments = (entries: Entries): Entries | undefined => {
  const made = entries.map((entry) => {
    if (entry._tag !== "AssistantMessage") return entry
    const provider = forgotten(providerOf(entry))
    return provider === entry.provider ? entry : { ...entry, provider }
  })
  return made.every((entry, index) => entry === entries[index]) ? undefined : made
}
