/**
 * One conversation with a model, as its host sees it.
 *
 * @since 0.1.0
 */
import type * as AiError from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import type {
  ApprovalMismatch,
  TaskLimitReached,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotSuspended
} from "../../errors.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId, TaskId } from "../../model/ids.js"
import type { InterruptReceipt } from "../../model/TaskResolution.js"
import type { LateResultCodec } from "../transcript/LateResultCodec.js"
import type { Transcript } from "../transcript/Transcript.js"
import type { UserPart } from "../transcript/TranscriptEntry.js"
import type { AgentEvent } from "./AgentEvent.js"
import type { SessionClosed } from "./errors.js"
import type { WakePolicy } from "./WakePolicy.js"

/**
 * What every session of a loop has, unless it says otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentSessionDefaults {
  /** What the model is told before the conversation. */
  readonly system?: string | undefined
  /** When a background result starts a turn. Default: `WakePolicy.AtOnce()`. */
  readonly wake?: WakePolicy | undefined
  /** How a late result is shown. Default: `LateResultCodec.UserNote`. */
  readonly codec?: LateResultCodec | undefined
  /** The longest note about a late result, in bytes of UTF-8; what is longer is cut in the middle. Default: 16 384. */
  readonly maxNoteBytes?: number | undefined
  /**
   * Who is asked: `openai`, `anthropic`, or the name under which another client of `@effect/ai` attaches what it wants back.
   * Without it the `ProviderName` of `@effect/ai` counts, which its `model` provides, and then who made the last reply.
   */
  readonly provider?: string | undefined
  /** When a failed request to the model is made again. Default: never. */
  readonly retry?: Schedule.Schedule<unknown, AiError.AiError> | undefined
  /** Whether replies are streamed (`streamText`) or come whole (`generateText`). Default: true. */
  readonly streaming?: boolean | undefined
}

/**
 * What `AgentLoop.open` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentSessionOptions extends AgentSessionDefaults {
  readonly sessionId: SessionId
  /**
   * A conversation to continue. Calls that are open in it are closed by its first turn, as interrupted with an unknown
   * outcome, and background tasks that the manager does not know any more are reported as lost.
   */
  readonly transcript?: Transcript | undefined
}

/**
 * What a user says: text, or text and files.
 *
 * @since 0.1.0
 * @category models
 */
export type UserInput = string | ReadonlyArray<UserPart>

/**
 * One conversation with a model. All methods can be called at any time and from any fiber; turns never overlap.
 *
 * @since 0.1.0
 * @category services
 */
export interface AgentSession {
  readonly sessionId: SessionId
  /**
   * Hands in a message and returns its id at once. Without a running turn it starts one. During a turn it becomes part of
   * that turn's next request to the model; if there is none any more, it starts the next turn.
   */
  readonly submit: (message: UserInput) => Effect.Effect<string, SessionClosed>
  /**
   * Hands in a message and gives what happens from then on, up to the end of the turn that took it. Interrupting the
   * stream does not interrupt the turn. Fails if the session is closed before the message was taken.
   */
  readonly run: (message: UserInput) => Stream.Stream<AgentEvent, SessionClosed>
  /**
   * Goes on without a new message where a failed or interrupted turn stopped. Does nothing if there is nothing to go on
   * with: no open call, no message that waits, and the model has said its part.
   */
  readonly resume: Effect.Effect<void, SessionClosed>
  /**
   * Everything that happens from the moment the stream is run; ends when the session is closed. What a subscriber has not read
   * is kept in memory until it does.
   */
  readonly events: Stream.Stream<AgentEvent>
  /**
   * Stops the running turn, its open approvals included, and returns when it has ended: `cancelled` are the tasks that this
   * stopped, `kept` the live ones in the background. Text of a reply that is cut short is kept. Between turns it stops the
   * tools that a failed turn has left.
   */
  readonly interrupt: Effect.Effect<InterruptReceipt>
  /**
   * Asks another model from the next request on, also of another provider: the conversation is shown to it as it takes it.
   * `provider` is as in `AgentSessionDefaults`. The tools stay those of the loop, so tools that one provider brings along do not
   * go with this.
   */
  readonly setModel: (
    model: LanguageModel.Service,
    options?: { readonly provider?: string | undefined }
  ) => Effect.Effect<void, SessionClosed>
  /** What waits for an answer, foreground and background, longest first. */
  readonly approvals: Effect.Effect<ReadonlyArray<TaskApproval>>
  /**
   * Resumes a suspended task. Pass the approval that the user was shown: should the task ask something else by now,
   * that is not answered, and this fails with `ApprovalMismatch`. A task id answers whatever its task asks now.
   * `TaskNotFound` also for a task of another session, `TaskNotSuspended` if it does not wait for an answer.
   */
  readonly approve: (
    answered: TaskId | TaskApproval
  ) => Effect.Effect<
    void,
    TaskNotFound | TaskNotSuspended | ApprovalMismatch | TaskLimitReached | TaskManagerShutdown
  >
  /** Ends a suspended task with an error result that tells the model `reason`. Fails as `approve` does. */
  readonly reject: (
    answered: TaskId | TaskApproval,
    reason?: string
  ) => Effect.Effect<void, TaskNotFound | TaskNotSuspended | ApprovalMismatch>
  /** The conversation as it is now. */
  readonly transcript: Effect.Effect<Transcript>
  /** Returns when no turn is running, none is about to begin, and no wake-up is being held for its window. */
  readonly waitForIdle: Effect.Effect<void>
  /**
   * Interrupts the turn, cancels every task of the session, discards what was not delivered, and ends `events`. Closing
   * the scope that the session was opened in does the same.
   */
  readonly close: Effect.Effect<InterruptReceipt>
}
