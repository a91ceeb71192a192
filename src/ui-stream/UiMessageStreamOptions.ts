/**
 * What the UI message stream of a session takes, and what pages answer to it.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * What a page answers to an approval. `approvalId` is the one that it was shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface UiAnswer {
  readonly approvalId: string
  readonly approved: boolean
  /** What the model is told where `approved` is false. */
  readonly reason?: string | undefined
}

/**
 * What `UiMessageStream.make` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface UiMessageStreamOptions {
  /**
   * How much of a message is kept for pages that come later or read slowly, and of all messages that no page has read, in UTF-16 units
   * of texts and JSON: an integer from 1. A page that would need more reads an `error` chunk. Default: 16 777 216.
   */
  readonly maxMessageUnits?: number | undefined
  /**
   * How long a call that has no task yet keeps open a message that otherwise waits for answers alone: it is about to be started, or was
   * refused. A number is milliseconds. Default: 50 ms.
   */
  readonly startPeriod?: Duration.DurationInput | undefined
  /**
   * What `send` does while a message waits for answers. `"refuse"`: it fails with `QuestionOpen`, for a page that waits for the reply does
   * not send its answers. `"submit"`: it hands the message in, for a loop that rejects what is asked (`whileAwaitingApproval`).
   * Default: `"refuse"`.
   */
  readonly whilePaused?: "refuse" | "submit" | undefined
}
