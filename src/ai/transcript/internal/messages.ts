/**
 * What the entries of a transcript are in a prompt. Nearly all of a prompt is that of the request before, so what an entry
 * becomes is kept with it, for as long as the entry lives and what else it was made of is the same.
 */
import * as Prompt from "@effect/ai/Prompt"
import * as Arr from "effect/Array"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { ToolOutput } from "../../../model/ToolCall.js"
import { cutText } from "../../../shared/cutText.js"
import type { LateResultCodec, LateResultContext } from "../LateResultCodec.js"
import type { ReplyPart, TranscriptEntry, UserPart } from "../TranscriptEntry.js"
import { plainText, resultValue } from "./output.js"
import * as texts from "./texts.js"
import { toFields, toWord, wellFormed } from "./wire.js"

// providers refuse text that is empty or nothing but space
export const isSaid = (text: string): boolean => text.trim() !== ""

const fileData = (data: string): string | URL | Uint8Array =>
  /^[a-z][a-z0-9+.-]*:/i.test(data) && URL.canParse(data)
    ? new URL(data)
    : Either.getOrElse(Encoding.decodeBase64(data), () => data)

const userPart = (part: UserPart): ReadonlyArray<Prompt.UserMessagePart> => {
  if (part._tag === "Text") return isSaid(part.text) ? [Prompt.makePart("text", { text: part.text })] : []
  return [Prompt.makePart("file", {
    mediaType: part.mediaType,
    data: fileData(part.data),
    ...(part.fileName === undefined ? undefined : { fileName: part.fileName })
  })]
}

// options are metadata of a reply that came through the provider's schema: a record of records
const withOptions = (part: ReplyPart): { readonly options: Prompt.ProviderOptions } => ({
  options: part.options as Prompt.ProviderOptions
})

const replyPart = (part: ReplyPart): ReadonlyArray<Prompt.AssistantMessagePart> => {
  switch (part._tag) {
    case "Text":
      return isSaid(part.text) ? [Prompt.makePart("text", { text: part.text, ...withOptions(part) })] : []
    case "Reasoning":
      return [Prompt.makePart("reasoning", { text: part.text, ...withOptions(part) })]
    case "File":
      return [Prompt.makePart("file", { mediaType: part.mediaType, data: fileData(part.data), ...withOptions(part) })]
    case "ToolCall":
      return [Prompt.makePart("tool-call", {
        id: part.callId,
        name: wireName(part),
        params: part.providerExecuted ? part.params : toFields(part.params),
        providerExecuted: part.providerExecuted,
        ...withOptions(part)
      })]
    case "ProviderResult":
      return [Prompt.makePart("tool-result", {
        id: part.callId,
        name: part.toolName,
        isFailure: part.isError,
        result: part.result,
        providerExecuted: true,
        ...withOptions(part)
      })]
  }
}

// a provider knows its own tool, run by us, under its own name, and what it runs itself under the toolkit's name
const wireName = (part: Extract<ReplyPart, { readonly _tag: "ToolCall" }>): string =>
  part.providerExecuted ? part.toolName : part.providerName ?? toWord(part.toolName)

/** Keeps with each entry, which never changes, what was made of it last, and gives it again if it is to be made of the same. */
const kept = <Entry extends TranscriptEntry, Inputs extends ReadonlyArray<unknown>, Made>(
  make: (entry: Entry, ...inputs: Inputs) => Made
) => {
  const last = new WeakMap<Entry, { readonly inputs: Inputs; readonly made: Made }>()
  return (entry: Entry, ...inputs: Inputs): Made => {
    const known = last.get(entry)
    if (
      known !== undefined && known.inputs.length === inputs.length &&
      inputs.every((input, index) => Object.is(input, known.inputs[index]))
    ) {
      return known.made
    }
    const made = make(entry, ...inputs)
    last.set(entry, { inputs, made })
    return made
  }
}

// an entry is JSON, and changed in its texts alone: those with halves of characters
const clean = <Entry extends TranscriptEntry>(entry: Entry): Entry => wellFormed(entry) as Entry

export const userMessage = kept((entry: TranscriptEntry.UserMessage): Prompt.Message => {
  const said = clean(entry).content.flatMap(userPart)
  return Prompt.makeMessage("user", {
    content: said.length > 0 ? said : [Prompt.makePart("text", { text: texts.noWords })]
  })
})

/** What a call is answered with: an entry, or a part of one. */
export interface Answer {
  readonly isError: boolean
  readonly output: ToolOutput
}

export const noAnswer: Answer = { isError: true, output: { _tag: "Text", text: texts.noResultYet } }

/** A late result as the answer of its call. */
export const lateAnswer = kept((late: TranscriptEntry.LateResult, maxBytes: number): Answer => {
  const { missing, text } = cutText(plainText(late.output), maxBytes)
  return missing === 0 ? late : { isError: late.isError, output: { _tag: "Text", text } }
})

/** A reply and its results; `answers` are those of the calls of ours, in their order. */
export const replyMessages = kept(
  (reply: TranscriptEntry.AssistantMessage, ...answers: ReadonlyArray<Answer>): ReadonlyArray<Prompt.Message> => {
    const all = clean(reply).parts.flatMap(replyPart)
    // providers refuse a thought that nothing follows: a reply that was cut off in its thoughts
    const parts = Arr.dropWhile(all.reverse(), (part) => part.type === "reasoning").reverse()
    if (parts.length === 0) return []
    const said = Prompt.makeMessage("assistant", { content: parts })
    const calls = parts.flatMap((part) => part.type === "tool-call" && !part.providerExecuted ? [part] : [])
    if (calls.length === 0) return [said]
    const results = calls.map(({ id, name }, index) => {
      const { isError, output } = answers[index] ?? noAnswer
      return Prompt.makePart("tool-result", {
        id,
        name,
        isFailure: isError,
        result: wellFormed(resultValue(output)),
        providerExecuted: false
      })
    })
    return [said, Prompt.makeMessage("tool", { content: results })]
  }
)

/** A late result at its place; the same for the same codec and context. */
export const lateMessages = kept((
  late: TranscriptEntry.LateResult,
  codec: LateResultCodec,
  maxNoteBytes: LateResultContext["maxNoteBytes"],
  isFirst: LateResultContext["isFirst"],
  hasPlaceholder: LateResultContext["hasPlaceholder"]
): ReadonlyArray<Prompt.Message> => codec.render(clean(late), { maxNoteBytes, isFirst, hasPlaceholder }))
