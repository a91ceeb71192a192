/**
 * How a model is shown the result of a call that went to the background.
 *
 * @since 0.1.0
 */
import * as Prompt from "@effect/ai/Prompt"
import { cutText } from "../../shared/cutText.js"
import { plainText } from "./internal/output.js"
import * as texts from "./internal/texts.js"
import type { TranscriptEntry } from "./TranscriptEntry.js"

/**
 * What a codec knows in addition to the result.
 *
 * @since 0.1.0
 * @category models
 */
export interface LateResultContext {
  /** The longest output in a note, in bytes of UTF-8. What is longer is cut in the middle. */
  readonly maxNoteBytes: number
  /** Whether no message stands before it: a conversation cannot begin with the model. */
  readonly isFirst: boolean
  /** Whether the placeholder of the call is in the transcript. */
  readonly hasPlaceholder: boolean
}

/**
 * How a model is shown the result of a call that went to the background: a pure value, so that the same transcript gives
 * the same prompt at every request.
 *
 * - `UserNote` (the default): a user message, marked as machine output, enclosed in a boundary that the text does not
 *   contain. Every provider takes it.
 * - `SyntheticPair`: a call of a tool `task_result`, which the model never made, and its result. A provider that wants a
 *   thought before each call (Anthropic with thinking) refuses it.
 * - `ReplacePlaceholder`: the result stands where the placeholder stood, and a short note says so. What the model has read
 *   changes after the model has seen it, and prompt caches are lost from that entry on.
 *
 * @example
 * ```ts
 * import { LateResultCodec } from "effect-task-manager/ai"
 *
 * const codec: LateResultCodec = LateResultCodec.SyntheticPair
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface LateResultCodec {
  /** The messages at the place of the late result, at least one. The last one is of role `user` or `tool`. */
  readonly render: (
    late: TranscriptEntry.LateResult,
    context: LateResultContext
  ) => ReadonlyArray<Prompt.Message>
  /** Whether the output of the late result also takes the place of that of the placeholder. */
  readonly replacesPlaceholder: boolean
}

const userMessage = (text: string): ReadonlyArray<Prompt.Message> => [
  Prompt.makeMessage("user", { content: [Prompt.makePart("text", { text })] })
]

const UserNote: LateResultCodec = {
  replacesPlaceholder: false,
  render: (late, { maxNoteBytes }) => {
    const { missing, text } = cutText(plainText(late.output), maxNoteBytes)
    return userMessage(texts.lateNote(late, text, missing > 0))
  }
}

const SyntheticPair: LateResultCodec = {
  replacesPlaceholder: false,
  render: (late, context) => {
    if (context.isFirst) return UserNote.render(late, context)
    const id = texts.lateCallId(late)
    const { text } = cutText(plainText(late.output), context.maxNoteBytes)
    return [
      Prompt.makeMessage("assistant", {
        content: [
          Prompt.makePart("tool-call", {
            id,
            name: "task_result",
            params: { task_id: late.taskId },
            providerExecuted: false
          })
        ]
      }),
      Prompt.makeMessage("tool", {
        content: [
          Prompt.makePart("tool-result", {
            id,
            name: "task_result",
            isFailure: late.isError,
            result: text,
            providerExecuted: false
          })
        ]
      })
    ]
  }
}

const ReplacePlaceholder: LateResultCodec = {
  replacesPlaceholder: true,
  render: (late, context) =>
    context.hasPlaceholder ? userMessage(texts.replacedNote(late)) : UserNote.render(late, context)
}

/**
 * The codecs.
 *
 * @since 0.1.0
 * @category constants
 */
export const LateResultCodec: {
  readonly UserNote: LateResultCodec
  readonly SyntheticPair: LateResultCodec
  readonly ReplacePlaceholder: LateResultCodec
} = { UserNote, SyntheticPair, ReplacePlaceholder }
