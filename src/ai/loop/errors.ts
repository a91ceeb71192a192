/**
 * The typed errors of the loop. Their messages carry no cause, no prompt and no reply.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { SessionId } from "../../model/ids.js"
import { describedError, oneOf, Text } from "../../model/schemas.js"
import { hiddenCause, hidingCause } from "../../shared/hiddenCause.js"

/**
 * A `TranscriptStore` could not write an entry. `cause` is for the host alone: it is never encoded.
 *
 * @since 0.1.0
 * @category errors
 */
export class TranscriptStoreError extends hidingCause(
  Schema.TaggedError<TranscriptStoreError>("effect-task-manager/TranscriptStoreError")(
    "TranscriptStoreError",
    { message: Text, cause: hiddenCause },
    describedError
  )
) {}

/**
 * Why a turn failed. `Model`: the language model, `cause` is its `AiError` without what must not reach a log (headers,
 * query, bodies, causes; the schedule `retry` gets the whole one); `Store`: the transcript store, `cause` is its
 * `TranscriptStoreError`; `Shutdown`: the task manager is shut down; `Internal`: a defect.
 *
 * @since 0.1.0
 * @category models
 */
export const TurnFailureReason = oneOf("Model", "Store", "Shutdown", "Internal")

/**
 * A value of the `TurnFailureReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TurnFailureReason = typeof TurnFailureReason.Type

/**
 * A turn could not continue. Nothing is lost: the next turn continues where it stopped. `cause` is for the host alone: it is
 * never encoded and never part of `message`. The loggers of Effect show the cause of a `Model` failure, without what must not
 * be logged, and no other.
 *
 * @since 0.1.0
 * @category errors
 */
export class TurnFailure extends hidingCause(
  Schema.TaggedError<TurnFailure>("effect-task-manager/TurnFailure")(
    "TurnFailure",
    { reason: TurnFailureReason, message: Text, cause: hiddenCause },
    describedError
  ),
  ({ reason }) => reason === "Model"
) {}

/**
 * A session with this id is open already, in this loop or in another one over the same `TaskManager`: `AgentLoop.open` fails
 * with it.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionAlreadyOpen
  extends Schema.TaggedError<SessionAlreadyOpen>("effect-task-manager/SessionAlreadyOpen")(
    "SessionAlreadyOpen",
    { sessionId: SessionId },
    describedError
  )
{
  override get message(): string {
    return `Session ${this.sessionId} is open already`
  }
}

/**
 * The session is closed, or was closed before the message was taken: `submit`, `run` and `resume` fail with it.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionClosed extends Schema.TaggedError<SessionClosed>("effect-task-manager/SessionClosed")(
  "SessionClosed",
  { sessionId: SessionId },
  describedError
) {
  override get message(): string {
    return `Session ${this.sessionId} is closed`
  }
}
