/**
 * From a transcript to the prompt of the next request.
 *
 * @since 0.1.0
 */
import * as Prompt from "@effect/ai/Prompt"
import * as Arr from "effect/Array"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { ToolOutput } from "../../model/ToolCall.js"
import { cutText } from "../../shared/cutText.js"
import { integerOf } from "../../shared/refusals.js"
import { plainText, resultValue } from "./internal/output.js"
import * as texts from "./internal/texts.js"
import { toFields, toWord, wellFormed } from "./internal/wire.js"
import { LateResultCodec } from "./LateResultCodec.js"
import type { Transcript } from "./Transcript.js"
import type { ReplyPart, TranscriptEntry, UserPart } from "./TranscriptEntry.js"

/**
 * How a transcript is rendered.
 *
 * @since 0.1.0
 * @category models
 */
export interface RenderOptions {
  /** What the model is told before the conversation. */
  readonly system?: string | undefined
  /** Default: `LateResultCodec.UserNote`. */
  readonly codec?: LateResultCodec | undefined
  /** The longest output in a late result, in bytes of UTF-8. Default: 16 384. */
  readonly maxNoteBytes?: number | undefined
}

/**
 * The longest output of a late result, in bytes of UTF-8, unless a session says otherwise.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMaxNoteBytes = 16_384

// providers refuse text that is empty or nothing but space
const isSaid = (text: string): boolean => text.trim() !== ""

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

const clean = new WeakMap<TranscriptEntry, TranscriptEntry>()

/** The entry without halves of characters. Entries never change, so each is looked through once. */
const cleanEntry = (entry: TranscriptEntry): TranscriptEntry => {
  const known = clean.get(entry)
  if (known !== undefined) return known
  // an entry is JSON, and changed in its texts alone
  const made = wellFormed(entry) as TranscriptEntry
  clean.set(entry, made)
  return made
}

/**
 * The prompt of a transcript: valid for every provider as it stands, in whatever state the transcript is. Each call of a
 * reply is answered once, in the tool message right after it, in the order of the calls; a call without a result is
 * answered by a text that says so (the loop sends no such prompt). The same transcript gives the same prompt. What no
 * provider takes is put right: halves of characters, a name of a tool that could be none, an input that is no object.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { renderPrompt, type Transcript } from "effect-task-manager/ai"
 *
 * const summarize = (transcript: Transcript) =>
 *   LanguageModel.generateText({ prompt: renderPrompt(transcript, { system: "Summarize this conversation." }) })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const renderPrompt = (transcript: Transcript, options?: RenderOptions): Prompt.Prompt => {
  const codec = options?.codec ?? LateResultCodec.UserNote
  const maxNoteBytes = integerOf("RenderOptions.maxNoteBytes", options?.maxNoteBytes ?? defaultMaxNoteBytes, 0)
  const entries = transcript.entries.map(cleanEntry)
  const results = new Map<string, TranscriptEntry.ToolResult>()
  const replacements = new Map<string, TranscriptEntry.LateResult>()
  for (const entry of entries) {
    if (entry._tag === "ToolResult") results.set(entry.callId, entry)
  }
  const isPlaceholderOf = ({ callId, taskId }: TranscriptEntry.LateResult): boolean => {
    const result = results.get(callId)
    return result?.outcome === "Placeholder" && result.taskId === taskId
  }
  for (const entry of entries) {
    if (entry._tag === "LateResult" && codec.replacesPlaceholder && isPlaceholderOf(entry)) {
      replacements.set(entry.callId, entry)
    }
  }

  const resultOf = (callId: string): { readonly isError: boolean; readonly output: ToolOutput } => {
    const result = results.get(callId)
    if (result === undefined) return { isError: true, output: { _tag: "Text", text: texts.noResultYet } }
    const late = replacements.get(callId)
    if (late === undefined) return result
    const { missing, text } = cutText(plainText(late.output), maxNoteBytes)
    return missing === 0 ? late : { isError: late.isError, output: { _tag: "Text", text } }
  }

  const replyMessages = (reply: TranscriptEntry.AssistantMessage): ReadonlyArray<Prompt.Message> => {
    const all = reply.parts.flatMap(replyPart)
    // providers refuse a thought that nothing follows: a reply that was cut off in its thoughts
    const parts = Arr.dropWhile(all.reverse(), (part) => part.type === "reasoning").reverse()
    if (parts.length === 0) return []
    const answers = parts.flatMap((part) => {
      if (part.type !== "tool-call" || part.providerExecuted) return []
      const { isError, output } = resultOf(part.id)
      return [Prompt.makePart("tool-result", {
        id: part.id,
        name: part.name,
        isFailure: isError,
        result: resultValue(output),
        providerExecuted: false
      })]
    })
    const said = Prompt.makeMessage("assistant", { content: parts })
    return answers.length === 0 ? [said] : [said, Prompt.makeMessage("tool", { content: answers })]
  }

  const messages: Array<Prompt.Message> = []
  if (options?.system !== undefined && isSaid(options.system)) {
    messages.push(Prompt.makeMessage("system", { content: String(wellFormed(options.system)) }))
  }
  const before = messages.length
  for (const entry of entries) {
    switch (entry._tag) {
      case "UserMessage": {
        const said = entry.content.flatMap(userPart)
        const content = said.length > 0 ? said : [Prompt.makePart("text", { text: texts.noWords })]
        messages.push(Prompt.makeMessage("user", { content }))
        break
      }
      case "AssistantMessage":
        messages.push(...replyMessages(entry))
        break
      case "LateResult":
        messages.push(...codec.render(entry, {
          maxNoteBytes,
          isFirst: messages.length === before,
          hasPlaceholder: isPlaceholderOf(entry)
        }))
        break
      case "ToolResult":
        break
    }
  }
  return Prompt.fromMessages(messages)
}
