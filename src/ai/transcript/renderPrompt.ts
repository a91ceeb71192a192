/**
 * From a transcript to the prompt of the next request.
 *
 * @since 0.1.0
 */
import * as Prompt from "@effect/ai/Prompt"
import { integerOf } from "../../shared/refusals.js"
import { isSaid } from "./internal/files.js"
import {
  type Answer,
  beginning,
  goOn,
  lateAnswer,
  lateMessages,
  noAnswer,
  replyMessages,
  userMessage
} from "./internal/messages.js"
import { type CallPlace, placesOf, wireIdsOf, withUnusedIds } from "./internal/places.js"
import { lastProvider, providerOf } from "./internal/providers.js"
import { wellFormed } from "./internal/wire.js"
import { LateResultCodec } from "./LateResultCodec.js"
import { Transcript } from "./Transcript.js"
import type { TranscriptEntry } from "./TranscriptEntry.js"

/**
 * How a transcript is rendered.
 *
 * @since 0.1.0
 * @category models
 */
export interface RenderOptions {
  /** The system prompt. */
  readonly system?: string | undefined
  /** Default: `LateResultCodec.UserNote`. */
  readonly codec?: LateResultCodec | undefined
  /** The longest output in a late result, in bytes of UTF-8: an integer from 0, else a `RangeError` is thrown. Default: 16 384. */
  readonly maxNoteBytes?: number | undefined
  /**
   * The provider that is asked (`openai`, `anthropic`, or another name that the entries have). Without it, it is taken to be
   * that of the last reply, and the prompt is valid for the others too.
   */
  readonly provider?: string | undefined
}

/**
 * The longest output of a late result, in bytes of UTF-8, unless a session says otherwise.
 *
 * @since 0.1.0
 * @category constants
 * @internal
 */
export const defaultMaxNoteBytes = 16_384

/** Another provider has paused, and nothing was said since, or this one has gone on: it was asked to, and that stays. */
const isToGoOn = (
  reply: TranscriptEntry.AssistantMessage,
  next: TranscriptEntry | undefined,
  provider: string | undefined
): boolean => {
  const isOfAsked = (one: TranscriptEntry.AssistantMessage): boolean => (providerOf(one) ?? provider) === provider
  return reply.end === "pause" && !isOfAsked(reply) &&
    (next === undefined || next._tag === "AssistantMessage" && isOfAsked(next))
}

/**
 * The prompt of a transcript: valid for every provider as it stands, in whatever state the transcript is. Each call of a
 * reply is answered once, in the tool message right after it, in the order of the calls; a call without a result is
 * answered by a text that says so (the loop sends no such prompt). The same transcript gives the same prompt. What no
 * provider takes is corrected: halves of characters, a name that no tool could have, an input that is not an object, an id that comes
 * again, a beginning that is not the user's. What one provider attached to its replies, and what it ran itself, is shown to
 * that provider alone; for others it is put into words, or left out. Files in the result of a tool follow in a message of the user.
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
  // a log that was not read by `fromEntries`
  const isLog = transcript.entries.some(({ _tag }) => _tag === "Rewrite")
  const { entries } = isLog ? Transcript.fromEntries(transcript.sessionId, transcript.entries) : transcript
  const provider = options?.provider ?? lastProvider(entries)
  const isSure = options?.provider !== undefined
  const { answered, late, replies, usedIds } = placesOf(entries, provider)
  const answerOf = ({ late, result }: CallPlace): Answer =>
    codec.replacesPlaceholder && late !== undefined ? lateAnswer(late, maxNoteBytes) : result ?? noAnswer

  const messages: Array<Prompt.Message> = []
  if (options?.system !== undefined && isSaid(options.system)) {
    messages.push(Prompt.makeMessage("system", { content: String(wellFormed(options.system)) }))
  }
  const before = messages.length
  let replyNumber = 0
  for (const [index, entry] of entries.entries()) {
    switch (entry._tag) {
      case "UserMessage":
        messages.push(userMessage(entry, provider, answered.has(entry)))
        break
      case "AssistantMessage": {
        const place = replies[replyNumber++]
        if (place === undefined) break
        const { after, before, calls, isLast, isRepeated } = place
        const wireIds = wireIdsOf(calls)
        messages.push(
          ...replyMessages(entry, provider, isSure, before, after, isLast, isRepeated, wireIds, ...calls.map(answerOf))
        )
        if (isToGoOn(entry, entries[index + 1], provider)) messages.push(goOn)
        break
      }
      case "LateResult": {
        const isFirst = messages.length === before
        const said = lateMessages(entry, codec, maxNoteBytes, isFirst, late.has(entry))
        messages.push(...withUnusedIds(said, usedIds))
        break
      }
      case "ToolResult":
      case "Rewrite":
        break
    }
  }
  const first = messages[before]
  if (first !== undefined && first.role !== "user") messages.splice(before, 0, beginning)
  return Prompt.fromMessages(messages)
}
