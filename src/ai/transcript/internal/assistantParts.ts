/**
 * The parts of a reply as the provider that is asked takes them. What another provider made is told in words alone: its thoughts,
 * its ids and its own calls are refused elsewhere.
 *
 * - Anthropic: nothing stands between our calls and their results (see test/support/providers/anthropicRules.ts).
 * - OpenAI: a thought is followed by the item that followed it, and an item of a reply with thoughts comes with its thought, or
 *   without its id (openaiRules.ts).
 */
import * as Prompt from "@effect/ai/Prompt"
import * as Arr from "effect/Array"
import type { ReplyPart, TranscriptEntry } from "../TranscriptEntry.js"
import { fileData, isSaid, mediaTypeOf, textPart } from "./files.js"
import { callInWords, carriedCalls, type ReplyPlace, resultInWords } from "./providerCalls.js"
import { anthropic, attached, isKnownClient, openAi, providerOf } from "./providers.js"
import * as texts from "./texts.js"
import { toFields, toWord } from "./wire.js"

type Reply = TranscriptEntry.AssistantMessage
type SpokenPart = Extract<ReplyPart, { readonly _tag: "Text" }>
type OurCall = Extract<ReplyPart, { readonly _tag: "ToolCall" }>

/** Who is asked. */
export interface Asked {
  /** Unknown: a provider whose rules are not known, or no one yet. */
  readonly provider: string | undefined
  /** Somebody said so; else it is a guess, and what is made must be valid for another one, too. */
  readonly isSure: boolean
}

/** A part of a reply, and what is sent of it. */
interface Piece {
  readonly part: Prompt.AssistantMessagePart | undefined
  /** The item of OpenAI that it is. */
  readonly item: string | undefined
  readonly isThought: boolean
  readonly isCall: boolean
}

const isCall = (part: ReplyPart): part is OurCall => part._tag === "ToolCall" && !part.providerExecuted

// options are metadata of a reply that came through the provider's schema: a record of records
const optionsOf = (part: ReplyPart, isKept: boolean): { readonly options: Prompt.ProviderOptions } => ({
  options: isKept ? part.options as Prompt.ProviderOptions : {}
})

/** The items of OpenAI that the reply is made of. */
export const itemsOf = ({ parts }: Reply): ReadonlyArray<string> => parts.flatMap((part) => itemOf(part) ?? [])

const itemOf = (part: ReplyPart): string | undefined => {
  const { itemId } = attached(part, openAi)
  return typeof itemId === "string" && itemId !== "" ? itemId : undefined
}

// a refusal comes as a blank text that carries it
const wordsOf = (part: SpokenPart): string => {
  const { refusal } = attached(part, openAi)
  return !isSaid(part.text) && typeof refusal === "string" ? refusal : part.text
}

/** Whether the provider takes the thought back: it has what its provider checks it by. */
const isComplete = (part: ReplyPart, provider: string | undefined): boolean => {
  const { redactedData, signature, type } = attached(part, anthropic)
  if (type === "thinking") return typeof signature === "string" && signature !== ""
  if (type === "redacted_thinking") return typeof redactedData === "string" && redactedData !== ""
  return provider === openAi ? itemOf(part) !== undefined : provider !== anthropic
}

/** Parts of one item of OpenAI are one: it has each item once. */
const joined = (parts: ReadonlyArray<ReplyPart>): ReadonlyArray<ReplyPart> => {
  const all: Array<ReplyPart> = []
  for (const part of parts) {
    const last = all.at(-1)
    if (part._tag === "Text" && last?._tag === "Text" && itemOf(part) !== undefined && itemOf(part) === itemOf(last)) {
      all[all.length - 1] = { ...last, text: last.text + part.text, options: { ...last.options, ...part.options } }
    } else all.push(part)
  }
  return all
}

const withoutOptions = (part: Prompt.AssistantMessagePart): Prompt.AssistantMessagePart => {
  switch (part.type) {
    case "text":
      return textPart(part.text)
    case "tool-call":
      return Prompt.makePart("tool-call", {
        id: part.id,
        name: part.name,
        params: part.params,
        providerExecuted: part.providerExecuted
      })
    default:
      return part
  }
}

/**
 * Thoughts of OpenAI with the item that follows them, whole or not at all, and items without their id where the thought that they
 * need is not there. All of it goes where `isPlain`.
 */
const withItems = (pieces: ReadonlyArray<Piece>, isPlain: boolean): ReadonlyArray<Piece> => {
  // what cannot be sent, and an item that was there before, is no item
  const seen = new Set<string>()
  const isSent = pieces.map(({ isThought, item, part }, index) => {
    if (isPlain || item === undefined || part === undefined) return false
    const isSameThought = isThought && pieces[index - 1]?.item === item
    if (seen.has(item) && !isSameThought) return false
    seen.add(item)
    return true
  })
  const followedBy = (index: number): number => {
    const next = index + 1
    return pieces[next]?.isThought === true && pieces[next].item === pieces[index]?.item ? followedBy(next) : next
  }
  // from the end: a thought may be followed by another one
  for (let index = pieces.length - 1; index >= 0; index--) {
    if (pieces[index]?.isThought === true && isSent[followedBy(index)] !== true) isSent[index] = false
  }
  let isThoughtSent = true
  return pieces.map((piece, index) => {
    if (piece.item === undefined || piece.part === undefined) return piece
    if (piece.isThought) {
      isThoughtSent = isSent[index] === true
      return isThoughtSent ? piece : { ...piece, part: undefined }
    }
    return isSent[index] === true && isThoughtSent
      ? piece
      : { ...piece, item: undefined, part: withoutOptions(piece.part) }
  })
}

const isSent = (piece: Piece): piece is Piece & { readonly part: Prompt.AssistantMessagePart } =>
  piece.part !== undefined

/** What is sent of a reply; nothing if it says nothing. `wireIds` are the ids of our calls, in their order. */
export const assistantParts = (
  reply: Reply,
  asked: Asked,
  place: ReplyPlace,
  wireIds: ReadonlyArray<string>
): ReadonlyArray<Prompt.AssistantMessagePart> => {
  const provider = providerOf(reply)
  const isOwn = !place.isRepeated && (provider === undefined || provider === asked.provider)
  const carried = isOwn ? carriedCalls(reply, place, asked.provider) : new Set<string>()
  // one that is nobody's is shown as one of the provider that is asked
  const maker = provider ?? asked.provider
  let calls = 0
  const sentPart = (part: ReplyPart): Prompt.AssistantMessagePart | undefined => {
    switch (part._tag) {
      case "Text": {
        const words = wordsOf(part)
        // a blank text that is an item stands where its thought needs it; Anthropic would refuse it
        const isItem = isOwn && asked.isSure && maker === openAi && itemOf(part) !== undefined
        return isSaid(words) || isItem
          ? Prompt.makePart("text", { text: words, ...optionsOf(part, isOwn) })
          : undefined
      }
      case "Reasoning":
        return isOwn && isComplete(part, maker)
          ? Prompt.makePart("reasoning", { text: part.text, ...optionsOf(part, true) })
          : undefined
      case "File":
        return isOwn && maker !== undefined && !isKnownClient(maker)
          ? Prompt.makePart("file", {
            mediaType: mediaTypeOf(part.mediaType),
            data: fileData(part.data),
            ...optionsOf(part, true)
          })
          : textPart(texts.fileOfReply(part.mediaType))
      case "ToolCall":
        if (part.providerExecuted) {
          return carried.has(part.callId)
            ? Prompt.makePart("tool-call", {
              id: part.callId,
              name: part.toolName,
              params: part.params,
              providerExecuted: true,
              ...optionsOf(part, true)
            })
            : undefined
        }
        return Prompt.makePart("tool-call", {
          id: wireIds[calls++] ?? part.callId,
          // a provider knows its own tool, run by us, under its own name, and what it runs itself under the toolkit's name
          name: part.providerName ?? toWord(part.toolName),
          params: toFields(part.params),
          providerExecuted: false,
          ...optionsOf(part, isOwn)
        })
      case "ProviderResult":
        if (carried.has(part.callId)) {
          return Prompt.makePart("tool-result", {
            id: part.callId,
            name: part.toolName,
            isFailure: part.isError,
            result: part.result,
            providerExecuted: true,
            ...optionsOf(part, true)
          })
        }
        return isOwn && provider === openAi ? undefined : textPart(resultInWords(reply, part))
    }
  }
  const parts = joined(reply.parts)
  const pieces = parts.map((part): Piece => ({
    part: sentPart(part),
    item: isOwn && maker === openAi ? itemOf(part) : undefined,
    isThought: part._tag === "Reasoning",
    isCall: isCall(part)
  }))
  const firstCall = pieces.findIndex((piece) => piece.isCall)
  // a thought of OpenAI between calls is seen by OpenAI alone
  const isDivided = firstCall >= 0 &&
    pieces.some((piece, index) =>
      index > firstCall && !piece.isCall && piece.part !== undefined && !(piece.isThought && piece.item !== undefined)
    )
  const keepsOrder = !isDivided || isOwn && asked.isSure && maker === openAi
  const sent = withItems(pieces, !keepsOrder).filter(isSent)
  const ordered = keepsOrder ? sent : sent.filter((piece) => !piece.isCall).concat(sent.filter((piece) => piece.isCall))
  // providers refuse a thought that nothing follows: a reply that was cut off in its thoughts
  const said = Arr.dropWhile([...ordered].reverse(), (piece) => piece.isThought).reverse().map(({ part }) => part)
  if (said.length > 0) return said
  return reply.parts.flatMap((part) =>
    part._tag === "ProviderResult"
      ? [textPart(resultInWords(reply, part))]
      : part._tag === "ToolCall" &&
          !reply.parts.some((one) => one._tag === "ProviderResult" && one.callId === part.callId)
      ? [textPart(callInWords(part))]
      : []
  )
}
