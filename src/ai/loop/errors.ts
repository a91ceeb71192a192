/**
 * The typed errors of the loop. Their messages carry no cause, no prompt and no reply.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { SessionId } from "../../model/ids.js"
import { describedError, list, oneOf, Text } from "../../model/schemas.js"
import { hiddenCause, hidingCause } from "../../shared/hiddenCause.js"
import { printable } from "../../shared/text.js"

/**
 * A `TranscriptStore` could not write or read. Of a store of sessions, `reason` says more: `Unavailable` (its database failed),
 * `Damaged` (what is stored cannot be read: the message names the session and the entry, and shows nothing of it), `Version` (a later
 * version of this package has written it), `Open` (the session is open). `cause` is for the host alone: it is never encoded.
 *
 * @since 0.1.0
 * @category errors
 */
export class TranscriptStoreError extends hidingCause(
  Schema.TaggedError<TranscriptStoreError>("effect-task-manager/TranscriptStoreError")(
    "TranscriptStoreError",
    {
      message: Text,
      reason: Schema.optionalWith(oneOf("Unavailable", "Damaged", "Version", "Open"), { exact: true }),
      cause: hiddenCause
    },
    describedError
  )
) {}

/**
 * What was wrong with a request to the language model, in the order of what to do about it.
 *
 * - These pass: `RateLimited` (too many requests), `Overloaded` (the provider has no capacity), `ServerError` (the provider
 *   broke), `Timeout` (no answer in time, or the stream stalled), `Network` (not reached, or the connection broke),
 *   `IncompleteReply` (the reply ended before it was finished).
 * - These stay until somebody does something: `Authentication` (the key is missing, wrong, or may not do this),
 *   `QuotaExhausted` (no credit is left, or a spending limit is reached), `ContextOverflow` (the conversation is too long for
 *   the model), `InvalidRequest` (any other request that the provider refuses), `InvalidReply` (a reply that the client
 *   cannot read), `Unknown` (the client did not say).
 *
 * @since 0.1.0
 * @category models
 */
export const ModelFailureReason = oneOf(
  "RateLimited",
  "Overloaded",
  "ServerError",
  "Timeout",
  "Network",
  "IncompleteReply",
  "Authentication",
  "QuotaExhausted",
  "ContextOverflow",
  "InvalidRequest",
  "InvalidReply",
  "Unknown"
)

/**
 * A value of the `ModelFailureReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ModelFailureReason = typeof ModelFailureReason.Type

/**
 * Why a turn failed. A `ModelFailureReason`: the request to the language model, `cause` is its `AiError` without what must
 * not reach a log (headers, query, bodies, causes; the schedule `retry` gets the whole one); `RequestLimit`: the turn has made
 * as many requests as `maxRequestsPerTurn` says; `Store`: the transcript store, `cause` is its `TranscriptStoreError`;
 * `Shutdown`: the task manager is shut down; `Internal`: a defect.
 *
 * @since 0.1.0
 * @category models
 */
export const TurnFailureReason = oneOf(
  ...ModelFailureReason.literals,
  "RequestLimit",
  "Store",
  "Shutdown",
  "Internal"
)

/**
 * A value of the `TurnFailureReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TurnFailureReason = typeof TurnFailureReason.Type

const isModelReason = Schema.is(ModelFailureReason)

/**
 * Whether a turn failed because of a request to the language model.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isModelFailure = ({ reason }: { readonly reason: TurnFailureReason }): boolean => isModelReason(reason)

/**
 * A turn could not continue, or a `rewrite` or a `withdraw` could not be stored. Nothing is lost: the next turn continues where it stopped. `cause` is for the host alone: it is
 * never encoded and never part of `message`. The loggers of Effect show the cause of a failed request to the model, without
 * what must not be logged, and no other.
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
  isModelFailure
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
    return `Session ${printable(this.sessionId)} is open already`
  }
}

/**
 * The session is closed, or was closed before the message was taken: `submit`, `run`, `resume`, `setModel` and `rewrite` fail
 * with it. `messageId`: the message of a `run` is stored, and whoever opens the session next takes it; do not hand it in again.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionClosed extends Schema.TaggedError<SessionClosed>("effect-task-manager/SessionClosed")(
  "SessionClosed",
  { sessionId: SessionId, messageId: Schema.optional(Schema.String) },
  describedError
) {
  override get message(): string {
    return this.messageId === undefined
      ? `Session ${printable(this.sessionId)} is closed`
      : `Session ${printable(this.sessionId)} was left: message ${
        printable(this.messageId)
      } is stored, and the next one that opens it takes it`
  }
}

/**
 * A transcript was not rewritten: `AgentSession.rewrite` fails with it. `TurnRunning`: a turn is running, or about to begin;
 * `Invalid`: what was given cannot take the place of the transcript, `problems` say why.
 *
 * @since 0.1.0
 * @category errors
 */
export class RewriteRefused extends Schema.TaggedError<RewriteRefused>("effect-task-manager/RewriteRefused")(
  "RewriteRefused",
  { sessionId: SessionId, reason: oneOf("TurnRunning", "Invalid"), problems: list(Text) },
  describedError
) {
  override get message(): string {
    return this.reason === "TurnRunning"
      ? `A turn of session ${printable(this.sessionId)} is running`
      : `The transcript of session ${printable(this.sessionId)} cannot be replaced: ${this.problems.join("; ")}`
  }
}
