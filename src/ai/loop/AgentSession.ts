/**
 * One conversation with a model, as its host sees it.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type {
  ApprovalMismatch,
  InvalidAnswer,
  TaskCancelled,
  TaskDoesNotListen,
  TaskInboxFull,
  TaskLimitReached,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotRunning
} from "../../errors.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId, TaskId } from "../../model/ids.js"
import type { InterruptReceipt } from "../../model/TaskResolution.js"
import type { LateResultCodec } from "../transcript/LateResultCodec.js"
import type { Transcript } from "../transcript/Transcript.js"
import type { UserPart } from "../transcript/TranscriptEntry.js"
import type { AgentEvent, AgentSessionState } from "./AgentEvent.js"
import type { RewriteRefused, SessionClosed, TranscriptStoreError, TurnFailure } from "./errors.js"
import type { RetryPolicy } from "./RetryPolicy.js"
import type { WakePolicy } from "./WakePolicy.js"

/**
 * Options of every session of a loop, unless the session has its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentSessionDefaults {
  /** The system prompt. */
  readonly system?: string | undefined
  /**
   * Which tools the model is shown: those of the loop's toolkit (`"toolkit"`, the default), or also all others that
   * `ToolExecutor.specs` has when a request is made (`"executor"`), such as those of MCP servers. A tool that providers refuse is then
   * left out, with a warning.
   */
  readonly offer?: "toolkit" | "executor" | undefined
  /** When a background result starts a turn. Default: `WakePolicy.AtOnce()`. */
  readonly wake?: WakePolicy | undefined
  /** How a late result is shown. Default: `LateResultCodec.UserNote`. */
  readonly codec?: LateResultCodec | undefined
  /** The longest note about a late result, in bytes of UTF-8; what is longer is cut in the middle: an integer from 0. Default: 16 384. */
  readonly maxNoteBytes?: number | undefined
  /**
   * The provider that is asked: `openai`, `anthropic`, or the name under which another client of `@effect/ai` attaches its own data to replies.
   * Without it the `ProviderName` of `@effect/ai` counts, which its `model` provides, and then the provider of the last reply. Not empty.
   */
  readonly provider?: string | undefined
  /**
   * Shortens a conversation. It is called when the model refuses the conversation as too long (`ContextOverflow`), after which the request
   * is made again, and before a request that is too long by `compactAt`. Calls that are open or run in the background stay in
   * it, whatever it gives. Where it fails, gives what `rewrite` refuses, or leaves nothing to answer, the conversation stays as it is, and
   * a warning is logged.
   */
  readonly compact?: ((transcript: Transcript) => Effect.Effect<Transcript, unknown>) | undefined
  /**
   * From how many tokens on a conversation is compacted, as they are estimated: a fourth of the bytes of its texts, and 1 600 for a
   * file. An integer from 1, not without `compact`. Default: only when the model refuses it.
   */
  readonly compactAt?: number | undefined
  /** When a failed request to the model is made again: a `RetryPolicy`, or any schedule. Default: `RetryPolicy.standard`. */
  readonly retry?: RetryPolicy | undefined
  /**
   * The longest pause between two parts of a streamed reply, and before the first. After it the request has failed, and
   * `retry` decides whether it is made again. More than 0; a number is milliseconds. Default: 5 minutes; `Infinity`: no limit.
   */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /**
   * How many requests a turn may make, those that are made again not counted. A turn that needs more fails with the reason
   * `RequestLimit` once every call of its last reply has its result; a message or `resume` goes on from there. An integer from 1, or
   * `Infinity`. Default: 100.
   */
  readonly maxRequestsPerTurn?: number | undefined
  /**
   * How many calls of one reply run. Each call over the limit is answered with an error that the model reads.
   * An integer from 1, or `Infinity`. Default: 128.
   */
  readonly maxCallsPerReply?: number | undefined
  /**
   * What `submit` does with the approvals that the turn waits for at that moment. `"queue"`: nothing, and the message waits for
   * their answers. `"reject"`: it rejects them, with the message as the reason, so that the turn goes on and the model reads both. A question of
   * a background task holds up no turn, and stays open. Default: `"queue"`.
   */
  readonly whileAwaitingApproval?: "queue" | "reject" | undefined
  /** Whether replies are streamed (`streamText`) or come whole (`generateText`). Default: true. */
  readonly streaming?: boolean | undefined
  /**
   * How many unread events a subscriber of the session may fall behind: an integer from 1. Beyond it, it loses what it has not
   * read, and reads one `Reset` instead. Default: 16 384.
   */
  readonly eventBuffer?: number | undefined
  /**
   * How many bytes of memory the unread events of one subscriber take, of which one may be larger: an integer from 0. Beyond it
   * the same happens. Default: 32 MiB.
   */
  readonly eventBytes?: number | undefined
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
   * A conversation to continue, unless the `TranscriptStore` keeps one of this session already. Calls that are open in it are closed by its first turn, as interrupted with an unknown
   * outcome, and background tasks that the manager does not know any more are reported as lost.
   */
  readonly transcript?: Transcript | undefined
}

/**
 * What `AgentLoop.reopen` gives: the sessions that go on, and those that could not be read, which stay as they are.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReopenedSessions {
  readonly sessions: ReadonlyArray<AgentSession>
  readonly failed: ReadonlyArray<{ readonly sessionId: SessionId; readonly error: TranscriptStoreError }>
}

/**
 * What a user says: text, or text and files.
 *
 * @since 0.1.0
 * @category models
 */
export type UserInput = string | ReadonlyArray<UserPart>

/**
 * How a message is handed in. `messageId`: its id, where the caller has one, such as a client that asks again because the answer was
 * lost: a message with the id of one that waits, or that a turn has stored, is not handed in again. Of two at once, the second is
 * answered as the first one is: once that is stored. Of the messages that compactions have left out, the latest 1,000 are known, also
 * by a later process where the `TranscriptStore` keeps sessions. One that was taken back, by `withdraw` or by a `rewrite` that leaves it
 * out, can be handed in again.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubmitOptions {
  readonly messageId?: string | undefined
}

/**
 * Names a request for approval: the task and the `asking` of the approval that was shown (`approval.approval.asking`). It is for a
 * host that keeps no approvals, such as a server whose pages send back what they show.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApprovalRef {
  readonly taskId: TaskId
  readonly asking: string
}

/**
 * A session at one moment, and a queue of what happens from that moment on: nothing is missed, and nothing that the state
 * shows comes again.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentSessionWatch extends AgentSessionState {
  readonly events: Queue.Dequeue<AgentEvent>
}

/**
 * One conversation with a model. All methods can be called at any time and from any fiber; turns never overlap.
 *
 * @since 0.1.0
 * @category services
 */
export interface AgentSession {
  readonly sessionId: SessionId
  /**
   * Hands in a message and returns its id, at once or as soon as a `TranscriptStore` of sessions has it. Without a running turn it
   * starts one. During a turn it becomes part of that turn's next request to the model; if there is none any more, it starts the next
   * turn. `SessionClosed` once the session is closed: nothing of the message is kept then. One that was stored while the session is
   * left succeeds, and the next process takes it. The message is copied: its caller may change the parts later. Dies on what is no
   * `UserInput`, and on a `messageId` that is empty, longer than 170 characters, or holds NUL or half of a character.
   */
  readonly submit: (message: UserInput, options?: SubmitOptions) => Effect.Effect<string, SessionClosed>
  /**
   * Takes back a message of `submit` that no turn has taken. True: no turn takes it, in this process or the next. False: a turn has
   * taken it (`MessageTaken`), or there is no such message, or the session is closed. Fails with a `TurnFailure` of the reason `Store`
   * where the store could not drop it: no turn of this process takes it, but the next process may. It can be taken back again.
   * What the message has rejected before (`whileAwaitingApproval`) stays rejected, with its words as the reason.
   */
  readonly withdraw: (messageId: string) => Effect.Effect<boolean, TurnFailure>
  /**
   * Hands in a message and gives what happens from then on, up to the end of the turn that took it. Interrupting the
   * stream does not interrupt the turn. Fails if the session is closed before the message was taken; the error has its `messageId` if the
   * session was left and the next process takes it.
   */
  readonly run: (message: UserInput) => Stream.Stream<AgentEvent, SessionClosed>
  /**
   * Goes on without a new message where a failed or interrupted turn stopped. Does nothing if there is nothing to go on
   * with: no open call, no waiting message, and it is not the model's turn to reply. `SessionClosed` once the session is closed.
   */
  readonly resume: Effect.Effect<void, SessionClosed>
  /**
   * Everything that happens from the moment the stream is run; ends when the session is closed. A fiber that was just forked
   * has not run yet: what is submitted before it does is missed. Use `subscribe` where that matters.
   */
  readonly events: Stream.Stream<AgentEvent>
  /**
   * Every event from the moment this returns, until the scope is closed. When the session is closed, what the queue holds can
   * still be taken; then a `take` is interrupted, and `Stream.fromQueue` ends. A subscriber that does not read reads a `Reset`
   * in place of what it has lost: see `eventBuffer`.
   */
  readonly subscribe: Effect.Effect<Queue.Dequeue<AgentEvent>, never, Scope.Scope>
  /** The session as it is and a subscription, taken in one step: no event is missed or seen twice. */
  readonly watch: Effect.Effect<AgentSessionWatch, never, Scope.Scope>
  /**
   * Stops the running turn, its open approvals included, and returns when it has ended: `cancelled` are the tasks that this
   * stopped, `kept` the live ones in the background. Text of a reply that is cut short is kept. Between turns it stops the
   * tools that a failed turn has left.
   */
  readonly interrupt: Effect.Effect<InterruptReceipt>
  /**
   * Uses another model from the next request on, also one of another provider: the prompt is then made for that one.
   * `provider` is as in `AgentSessionDefaults`. The tools stay those of the loop, so tools that one provider brings along do not
   * go with this. `SessionClosed` once the session is closed.
   */
  readonly setModel: (
    model: LanguageModel.Service,
    options?: { readonly provider?: string | undefined }
  ) => Effect.Effect<void, SessionClosed>
  /**
   * Puts another transcript into the place of this one, between turns: to take back a message, to shorten a result. The store gets
   * it as a `Rewrite`. Calls that are open or run in the background stay, with their reply and its results, and a result goes with its
   * call. Fails with `RewriteRefused` while a turn is running, and for what cannot be taken: a call without the result that it
   * had, a placeholder without the late result that had come, or what no provider takes; with a `TurnFailure` of the reason `Store` where the store fails. Dies with what `change` throws.
   */
  readonly rewrite: (
    change: (transcript: Transcript) => Transcript
  ) => Effect.Effect<void, SessionClosed | RewriteRefused | TurnFailure>
  /** The requests for approval that wait for an answer, foreground and background, longest first. */
  readonly approvals: Effect.Effect<ReadonlyArray<TaskApproval>>
  /**
   * Resumes a suspended task. Takes the approval that the user was shown, or what names it: an answer counts for that
   * question only. Should the task ask something else by now, or nothing, or should the approval be of an earlier process,
   * nothing happens, and this fails with `ApprovalMismatch` (field `asking`; another field where it was changed; `answers` while a
   * question of it has no answer).
   * `TaskNotFound` also for a task of another session, `TaskManagerShutdown` while the manager is shut down,
   * `TaskCancelled` from inside of a task that is cancelled.
   */
  readonly approve: (
    answered: TaskApproval | ApprovalRef
  ) => Effect.Effect<void, TaskNotFound | ApprovalMismatch | TaskLimitReached | TaskCancelled | TaskManagerShutdown>
  /**
   * Answers questions of a suspended task, all that are open or some; it goes on with the last answer. `answers` are JSON by the
   * ids of the questions. Takes what `approve` takes and fails as it does, and with `InvalidAnswer`, where none of the answers
   * counts if one of them answers no question or one that has its answer, or does not fit. Every part that counts is published as a `Task` event
   * (`QuestionsAnswered`).
   */
  readonly answer: (
    answered: TaskApproval | ApprovalRef,
    answers: Readonly<Record<string, unknown>>
  ) => Effect.Effect<
    void,
    TaskNotFound | ApprovalMismatch | InvalidAnswer | TaskLimitReached | TaskCancelled | TaskManagerShutdown
  >
  /**
   * Ends a suspended task with an error result, in which the model reads `reason`. Takes what `approve` takes, and fails with
   * `ApprovalMismatch` and `TaskNotFound` as it does.
   */
  readonly reject: (
    answered: TaskApproval | ApprovalRef,
    reason?: string
  ) => Effect.Effect<void, TaskNotFound | ApprovalMismatch>
  /**
   * Sends a message to the tool of a running task, which reads it from `CurrentTask.messages`. Fails as `TaskManagerHandle.steer`
   * does: with `TaskDoesNotListen` where the tool takes no messages. `TaskNotFound` also for a task of another session.
   */
  readonly steer: (
    taskId: TaskId,
    message: string
  ) => Effect.Effect<void, TaskNotFound | TaskNotRunning | TaskDoesNotListen | TaskInboxFull>
  /** The conversation as it is now. */
  readonly transcript: Effect.Effect<Transcript>
  /** Returns when no turn is running, none is about to begin, and no wake-up is being held for its window. */
  readonly waitForIdle: Effect.Effect<void>
  /**
   * Interrupts the turn, cancels every task of the session, discards what was not delivered, and ends `events`, in which the
   * last events of the cancelled tasks come first. `cancelled` are all tasks that this stopped, those of the foreground first.
   * Closing the scope that the session was opened in does the same, unless the `TranscriptStore` keeps sessions: then the session is
   * left as it is, for the next process to reopen.
   */
  readonly close: Effect.Effect<InterruptReceipt>
}
