/**
 * From a transcript to the prompt of the next request.
 *
 * @since 0.1.0
 */
import * as Prompt from "@effect/ai/Prompt"
import { integerOf } from "../../shared/refusals.js"
import {
  type Answer,
  isSaid,
  lateAnswer,
  lateMessages,
  noAnswer,
  replyMessages,
  userMessage
} from "./internal/messages.js"
import { wellFormed } from "./internal/wire.js"
import { LateResultCodec } from "./LateResultCodec.js"
import type { Transcript } from "./Transcript.js"
import type { TranscriptEntry } from "./TranscriptEntry.js"

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
 * @internal
 */
export const defaultMaxNoteBytes = 16_384

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
  const { entries } = transcript
  const results = new Map<string, TranscriptEntry.ToolResult>()
  for (const entry of entries) if (entry._tag === "ToolResult") results.set(entry.callId, entry)
  const isPlaceholderOf = ({ callId, taskId }: TranscriptEntry.LateResult): boolean => {
    const result = results.get(callId)
    return result?.outcome === "Placeholder" && result.taskId === taskId
  }
  const replacements = new Map<string, Answer>()
  if (codec.replacesPlaceholder) {
    for (const entry of entries) {
      if (entry._tag === "LateResult" && isPlaceholderOf(entry)) {
        replacements.set(entry.callId, lateAnswer(entry, maxNoteBytes))
      }
    }
  }
  const answersOf = ({ parts }: TranscriptEntry.AssistantMessage): ReadonlyArray<Answer> => {
    const answers: Array<Answer> = []
    for (const part of parts) {
      if (part._tag !== "ToolCall" || part.providerExecuted) continue
      answers.push(replacements.get(part.callId) ?? results.get(part.callId) ?? noAnswer)
    }
    return answers
  }

  const messages: Array<Prompt.Message> = []
  if (options?.system !== undefined && isSaid(options.system)) {
    messages.push(Prompt.makeMessage("system", { content: String(wellFormed(options.system)) }))
  }
  const before = messages.length
  for (const entry of entries) {
    switch (entry._tag) {
      case "UserMessage":
        messages.push(userMessage(entry))
        break
      case "AssistantMessage":
        messages.push(...replyMessages(entry, ...answersOf(entry)))
        break
      case "LateResult": {
        const isFirst = messages.length === before
        messages.push(...lateMessages(entry, codec, maxNoteBytes, isFirst, isPlaceholderOf(entry)))
        break
      }
      case "ToolResult":
        break
    }
  }
  return Prompt.fromMessages(messages)
}
