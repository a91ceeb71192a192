/**
 * The two interfaces of the manager: `TaskManager` for the agent loop, `TaskManagerHandle` for the host around it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type {
  ApprovalMismatch,
  ConcurrencyRefused,
  DuplicateCall,
  DuplicateCallId,
  InvalidAnswer,
  TaskAlreadyExists,
  TaskCancelled,
  TaskDoesNotListen,
  TaskInboxFull,
  TaskLimitReached,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotRunning,
  TaskNotSuspended,
  UsageLimitReached,
  WaitTimedOut
} from "../errors.js"
import type { TaskApproval } from "../model/Approval.js"
import type { SessionId, TaskId, TurnRef } from "../model/ids.js"
import type { ContinuePolicy, DeliveryMode, TaskFilter, TaskLaunchRequest, TaskSnapshot } from "../model/Task.js"
import type { FilteredTaskEvent, TaskEvent, TaskEventFilter } from "../model/TaskEvent.js"
import type { TaskHistoryPage, TaskHistoryQuery } from "../model/TaskHistory.js"
import type { OutputRange, TaskOutput } from "../model/TaskOutput.js"
import type {
  InterruptReceipt,
  PendingLoopUpdates,
  TaskResolution,
  TaskStartOutcome,
  TurnTaskUpdate
} from "../model/TaskResolution.js"
import type { ToolResultPart } from "../model/ToolCall.js"
import type { Usage, UsageCosts, UsageFilter } from "../model/Usage.js"
import type { ToolExecutor } from "./ToolExecutor.js"
import type { TurnCancellation } from "./TurnCancellation.js"

/**
 * The live tasks at event `seq`, and a queue whose first event is `seq + 1`.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskWatch {
  readonly seq: number
  readonly live: ReadonlyArray<TaskSnapshot>
  readonly events: Queue.Dequeue<TaskEvent>
}

/**
 * The live tasks of a filter at event `seq`, and a queue of its events: without `after` from `seq + 1` on.
 *
 * @since 0.1.0
 * @category models
 */
export interface FilteredTaskWatch {
  readonly seq: number
  readonly live: ReadonlyArray<TaskSnapshot>
  readonly events: Queue.Dequeue<FilteredTaskEvent>
}

/**
 * The user's answer to a request for approval. The model reads the reason of a rejection. `answers` are JSON values by the ids of
 * the questions that they answer, all open ones or some of them.
 *
 * @since 0.1.0
 * @category models
 */
export type ApprovalAnswer =
  | "approve"
  | { readonly reject: string }
  | { readonly answers: Readonly<Record<string, unknown>> }

/**
 * Answers a request for approval as it was shown. Approving is `startTask` with an approved launch and gives its outcome;
 * rejecting is `rejectApproval` and gives nothing. Both fail as these do: an answer to anything but the open request
 * does nothing. A request with questions can only be approved once each of them has its answer (`ApprovalMismatch`, field `answers`).
 *
 * `answers` count from then on, each for good, and the result is `undefined` while a question is still open. The last ones approve as well, and
 * give the outcome of that; should approving fail, the answers count all the same, and only `"approve"` has to be given again. Fails with
 * `InvalidAnswer`, and takes none of the answers, where one is to no question or to one that has its answer, does not fit the schema of
 * its question, or is too large.
 *
 * @since 0.1.0
 * @category models
 */
export type AnswerApproval = (
  approval: TaskApproval,
  answer: ApprovalAnswer
) => Effect.Effect<
  TaskStartOutcome | undefined,
  | TaskAlreadyExists
  | DuplicateCallId
  | DuplicateCall
  | UsageLimitReached
  | TaskLimitReached
  | ApprovalMismatch
  | InvalidAnswer
  | TaskCancelled
  | TaskManagerShutdown
  | TaskNotFound
  | TaskNotSuspended,
  ToolExecutor
>

/**
 * How long a wait lasts at most: once the `timeout` has passed it fails with `WaitTimedOut`. Without one it lasts until it is
 * over.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaitLimit {
  /** From 0; a number is milliseconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * How long a wait for a turn lasts at most, and what ends it early.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnWaitLimit extends WaitLimit {
  readonly cancellation?: TurnCancellation | undefined
}

/**
 * `WaitTimedOut` for a wait with options that may have a `timeout`, and no error for any other.
 *
 * @since 0.1.0
 * @category models
 */
export type WaitError<Options> = Options extends unknown
  ? "timeout" extends keyof Options ? [Options["timeout"]] extends [undefined] ? never : WaitTimedOut : never
  : never

/**
 * What the host does with tasks: watch, look up, cancel, detach, redirect, drain.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { type SessionId, TaskManager } from "effect-task-manager"
 *
 * const cancelBackground = (sessionId: SessionId) =>
 *   Effect.gen(function*() {
 *     const { handle } = yield* TaskManager
 *     const tasks = yield* handle.list({ sessionId, kind: "Background", status: ["Queued", "Running"] })
 *     yield* Effect.forEach(tasks, ({ id }) => handle.cancel(id), { concurrency: "unbounded", discard: true })
 *   })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export interface TaskManagerHandle {
  /** The last `eventReplay` events, then every event as it happens. Ends when the manager shuts down. */
  readonly events: Stream.Stream<TaskEvent>
  /**
   * The events of a session, of a task, or all. Begins with the last `eventReplay` events of the session (with those of the
   * task among them), or with `after` behind that event. Where events of the filter are not kept any more, also because this
   * reader was too slow, it gives a `Reset` instead of a gap and continues after it; so it does for an `after` that has not
   * come yet, which is of an earlier manager. What happens in other sessions costs this reader nothing. After `closeSession`
   * nothing is replayed. Ends when the manager shuts down. An `after` that is not an integer from 0 is a defect that says so.
   */
  readonly eventsOf: (filter: TaskEventFilter) => Stream.Stream<FilteredTaskEvent>
  /** Every event from the moment this returns, without replay. After shutdown what it holds can still be taken. */
  readonly subscribe: Effect.Effect<Queue.Dequeue<TaskEvent>, never, Scope.Scope>
  /** As `subscribe`, for the events of a filter; with `after` it begins behind that event, as `eventsOf` does. */
  readonly subscribeTo: (
    filter: TaskEventFilter
  ) => Effect.Effect<Queue.Dequeue<FilteredTaskEvent>, never, Scope.Scope>
  /** The live tasks and a subscription, taken in one step: no event is missed or seen twice. */
  readonly watch: Effect.Effect<TaskWatch, never, Scope.Scope>
  /**
   * As `watch`, for the tasks and events of a filter. With `after` the events that were missed come first, then those from
   * `seq + 1` on; what `live` shows has their effects already.
   */
  readonly watchOf: (filter: TaskEventFilter) => Effect.Effect<FilteredTaskWatch, never, Scope.Scope>
  /**
   * The updates of a turn, as `waitForTurn` takes them; ends when the turn has drained. An update is delivered once the
   * stream is asked for the next one, or ends well; when its reader fails or is interrupted before, it is put back in
   * front of the turn. An operator that reads ahead, such as `Stream.buffer`, counts as that reader.
   */
  readonly turnUpdates: (turn: TurnRef) => Stream.Stream<TurnTaskUpdate>
  /** Answers a request for approval as it was shown: the same as `TaskManager.answerApproval`. */
  readonly answerApproval: AnswerApproval
  /**
   * The live tasks: the current ones first, then the latest after each change. A slow reader skips values, but the last
   * it sees is never stale. Ends when the manager shuts down.
   */
  readonly changes: Stream.Stream<ReadonlyArray<TaskSnapshot>>
  /**
   * The open requests for approval, over all sessions, longest first: the current list, then the latest one after each change (a new request, an
   * answered question, a request that is over). A slow reader skips lists, but the last it sees is never stale. Ends
   * when the manager shuts down.
   */
  readonly inbox: Stream.Stream<ReadonlyArray<TaskApproval>>
  /**
   * The task as it is now. `TaskNotFound` for unknown ids and for settled tasks beyond `historyLimit` or `historyBytes`; a durable
   * manager finds these until their rows go.
   */
  readonly get: (id: TaskId) => Effect.Effect<TaskSnapshot, TaskNotFound>
  /** The result of a settled task, `None` while it is live. Reading it delivers nothing and takes nothing. */
  readonly result: (id: TaskId) => Effect.Effect<Option.Option<ToolResultPart>, TaskNotFound>
  /**
   * A piece of what the task has written, live or settled; empty if it wrote nothing. What is not kept any more (beyond
   * `outputBuffer`, or `outputHistory` of a settled task) is skipped. A `start` or `maxBytes` that is not an integer from 0 is a
   * defect that names the field; a `start` beyond the end gives an empty text.
   */
  readonly output: (id: TaskId, range?: OutputRange) => Effect.Effect<TaskOutput, TaskNotFound>
  /** Live tasks oldest first, after the settled ones that are kept, in the order in which they settled. */
  readonly list: (filter?: TaskFilter) => Effect.Effect<ReadonlyArray<TaskSnapshot>>
  /**
   * The settled tasks page by page, the one that settled last first: those that are kept (`historyLimit`, `historyBytes`), with a
   * durable manager all that its database has. A page costs the same wherever it begins. What settles meanwhile comes before
   * the first page, and no page shows a task twice. A `before` or `limit` out of range is a defect that names the field.
   */
  readonly history: (query?: TaskHistoryQuery) => Effect.Effect<TaskHistoryPage>
  /** Tasks that are Queued, Running or Cancelling, oldest first. */
  readonly listRunning: Effect.Effect<ReadonlyArray<TaskSnapshot>>
  /** Suspended tasks with what they ask, longest suspended first. */
  readonly listSuspended: Effect.Effect<ReadonlyArray<TaskApproval>>
  /** Tasks that are Completed or Failed, in the order in which they settled. */
  readonly listCompleted: Effect.Effect<ReadonlyArray<TaskSnapshot>>
  /**
   * Cancels a task in any state and returns when it is settled, at most `cancelGracePeriod` later; does nothing to
   * a settled one. A tool that cancels its own task does not wait.
   */
  readonly cancel: (id: TaskId) => Effect.Effect<void, TaskNotFound>
  /**
   * Sends a foreground task to the background. `false` if it was there already; `TaskNotRunning` unless it is queued or
   * running.
   */
  readonly detach: (id: TaskId) => Effect.Effect<boolean, TaskNotFound | TaskNotRunning>
  /**
   * Sends a message to the tool of a task, which reads it from `CurrentTask.messages`. Returns as soon as the message waits for
   * the tool; a tool that ends before it reads the message never sees it. Fails with `TaskDoesNotListen` unless the tool has asked for
   * messages, with `TaskInboxFull` while too much waits for it, with `TaskNotRunning` once the task is cancelling or settled. Dies
   * with a `TypeError` for anything but a string.
   */
  readonly steer: (
    id: TaskId,
    message: string
  ) => Effect.Effect<void, TaskNotFound | TaskNotRunning | TaskDoesNotListen | TaskInboxFull>
  /**
   * Changes whether the task's background result asks for another turn. `TaskNotRunning` once it is cancelling or
   * settled.
   */
  readonly setContinuePolicy: (
    id: TaskId,
    policy: ContinuePolicy
  ) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
  /** Changes where the task's background result goes. `TaskNotRunning` once it is cancelling or settled. */
  readonly setDeliveryMode: (id: TaskId, mode: DeliveryMode) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
  /**
   * Changes the priority of a task: where it waits for a place now, it stands behind those that have this priority already; it keeps
   * it for a launch after an approval. A task that runs is not stopped. `TaskNotRunning` once it is cancelling or settled. A priority that is not a
   * finite number is a defect that says so.
   */
  readonly setPriority: (id: TaskId, priority: number) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
  /**
   * Changes how many tasks of a lane of `TaskManagerConfig.lanes` run at once, until the manager ends: an integer from 1, or
   * `Infinity`; anything else is a defect that says so. Fails with `ConcurrencyRefused` for an unknown lane, and for a
   * limit below the number of tasks that run in the lane now.
   */
  readonly setConcurrency: (lane: string, limit: number) => Effect.Effect<void, ConcurrencyRefused>
  /**
   * What a task, a turn, a session, a lane or everything has used until now. The manager knows the sums of the sessions and turns with live
   * tasks, of the last 4 096 sessions besides, and of the last 64 turns of each. A session that was closed begins anew, and so do all sums
   * with the process. The usage of an unknown turn or session is zero. `TaskNotFound` for an unknown task. A filter that mixes these is a
   * defect that says so, and so is every filter where `TaskManagerConfig` has no `ledger`.
   */
  readonly usage: (filter?: UsageFilter) => Effect.Effect<Usage, TaskNotFound>
  /** Takes every result of the manual queue, of all sessions, oldest first. */
  readonly drainReadyItems: Effect.Effect<ReadonlyArray<TaskResolution.Item>>
  /** Takes the results of one session from the manual queue, oldest first. */
  readonly drainReadyItemsOf: (sessionId: SessionId) => Effect.Effect<ReadonlyArray<TaskResolution.Item>>
  /**
   * Returns when no task is Queued, Running or Cancelling. By then every result is in its queue and every event is
   * published. It does not wait for suspended tasks. A tool does not wait for its own task, for those it runs under, and for
   * those that wait for it themselves.
   */
  readonly waitForIdle: Effect.Effect<void>
  /** As `waitForIdle`, but fails with `WaitTimedOut` once the time has passed; a number is milliseconds. */
  readonly waitForIdleWithin: (timeout: Duration.DurationInput) => Effect.Effect<void, WaitTimedOut>
}

/**
 * What the agent loop does with tool calls: start, wait for the turn, take late results, interrupt.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { TaskLaunchRequest, TaskManager, type ToolRequest } from "effect-task-manager"
 *
 * const runTurn = (calls: ReadonlyArray<ToolRequest>, turn: ToolRequest) =>
 *   Effect.gen(function*() {
 *     const manager = yield* TaskManager
 *     yield* Effect.forEach(calls, (request) => manager.startTask(TaskLaunchRequest.plain({ request })))
 *     while (true) {
 *       const update = yield* manager.waitForTurn(turn)
 *       if (Option.isNone(update)) return
 *       yield* Effect.log(update.value._tag)
 *     }
 *   })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TaskManager extends Context.Tag("effect-task-manager/TaskManager")<TaskManager, {
  /**
   * Starts a task for a tool call, or resumes a suspended one that was approved. `TaskManagerLive` answers `Pending` without
   * waiting for the tool, which may have taken its first steps by then; `TaskManagerSimple` runs the call and answers
   * `Ready`. The tool runs in the context of the caller, without its `Scope`, and continues after the caller has ended. Fails
   * with `TaskAlreadyExists` for an id in use, with `TaskLimitReached` when `maxLive` or `maxUndelivered` is reached, with
   * `UsageLimitReached` when its turn or session may use no more, with `DuplicateCall` where its route rejects the same call, with
   * `ApprovalMismatch` when what is approved is not what is asked, with `TaskCancelled` from inside of a task that is
   * cancelled, with `TaskManagerShutdown` once the layer closes. An
   * approval answers one question once: pass the approval that was shown, `asking` included.
   *
   * Routing may take time. A call that is still being routed when its turn is interrupted never runs: it is accepted and
   * settles as `Cancelled`; when its session is closed or the layer closes, this fails with `TaskManagerShutdown`; when its
   * task does not ask any more, an approval fails with `ApprovalMismatch`. All of that at once, also if routing never
   * answers: the effect that routes is interrupted and not waited for. A call id that its turn already has: see `duplicateCallIds`;
   * a call with the same tool and input as a live one: `duplicates` of its `RoutingDecision`.
   */
  readonly startTask: (
    launch: TaskLaunchRequest
  ) => Effect.Effect<
    TaskStartOutcome,
    | TaskAlreadyExists
    | DuplicateCallId
    | DuplicateCall
    | UsageLimitReached
    | TaskLimitReached
    | ApprovalMismatch
    | TaskCancelled
    | TaskManagerShutdown,
    ToolExecutor
  >
  /**
   * The next update of a turn, in the order they happened, each to exactly one caller. `None` when the turn has drained:
   * no foreground task of it is Queued, Running or Cancelling and no update is left; also, taking nothing, when
   * `cancellation` is cancelled. A tool does not wait for its own task, for those it runs under, and for those that wait for
   * it themselves: it may get `None` while these run. An interrupted caller loses nothing.
   *
   * To wait for a time only, use `timeout`: once it has passed the wait fails with `WaitTimedOut` and has taken nothing. Not
   * `Effect.timeoutOption(manager.waitForTurn(turn), …)`, nor any other race: one that is lost drops what it has just taken.
   */
  readonly waitForTurn: <const Options extends TurnWaitLimit = {}>(
    turn: TurnRef,
    options?: Options
  ) => Effect.Effect<Option.Option<TurnTaskUpdate>, WaitError<Options>>
  /**
   * As `waitForTurn`, but an update whose `use` fails or is interrupted is put back in front. The `timeout` is for the wait;
   * once there is an update, `use` takes as long as it takes. Another reader of the turn does not wait for `use`: while one has
   * the last update in hand, others get `None`.
   */
  readonly consumeTurnUpdate: <A, E, R, const Options extends WaitLimit = {}>(
    turn: TurnRef,
    use: (update: TurnTaskUpdate) => Effect.Effect<A, E, R>,
    options?: Options
  ) => Effect.Effect<Option.Option<A>, E | WaitError<Options>, R>
  /** Takes every background resolution of a session that waits for its loop, oldest first. */
  readonly takePendingLoopUpdates: (sessionId: SessionId) => Effect.Effect<PendingLoopUpdates>
  /**
   * Gives `use` what `takePendingLoopUpdates` would take (possibly nothing) and puts it back in front, in order, if
   * `use` fails or is interrupted.
   */
  readonly consumePendingLoopUpdates: <A, E, R>(
    sessionId: SessionId,
    use: (updates: PendingLoopUpdates) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  /**
   * Takes the undelivered result of one settled task out of its queue (turn, loop or manual), so that it is delivered
   * here and nowhere else. `None` while the task is live, when the result was delivered before, and while a consumer
   * has it. `TaskNotFound` also for a settled task beyond `historyLimit` or `historyBytes`, whose result stays in its queue. An
   * interrupted caller loses nothing.
   */
  readonly takeResult: (id: TaskId) => Effect.Effect<Option.Option<TaskResolution.Item>, TaskNotFound>
  /** As `takeResult`, but a result whose `use` fails or is interrupted is put back at its old place. */
  readonly consumeResult: <A, E, R>(
    id: TaskId,
    use: (item: TaskResolution.Item) => Effect.Effect<A, E, R>
  ) => Effect.Effect<Option.Option<A>, E | TaskNotFound, R>
  /**
   * Returns once at least one of the tasks is settled or suspended, at once if one already is or there are none. Takes
   * nothing. A tool that waits does not count under the concurrency limit, but `waitForTurn` and `waitForIdle` still wait
   * for its task. Its own task and those it runs under are left out of what it waits for; where no other is left, or all of
   * the others wait for it, it returns at once. Fails with `WaitTimedOut` once the `timeout` has passed.
   */
  readonly waitForTask: <const Options extends WaitLimit = {}>(
    ids: ReadonlyArray<TaskId>,
    options?: Options
  ) => Effect.Effect<void, TaskNotFound | WaitError<Options>>
  /**
   * Returns once a background resolution waits for the session's loop, or the manager is shut down. Takes nothing. Fails
   * with `WaitTimedOut` once the `timeout` has passed.
   */
  readonly waitForLoopUpdate: <const Options extends WaitLimit = {}>(
    sessionId: SessionId,
    options?: Options
  ) => Effect.Effect<void, WaitError<Options>>
  /**
   * Cancels every foreground task of a turn, suspended ones included, keeps the background ones, and returns when the
   * cancelled ones are settled. Until the turn has drained, calls started for it settle at once as `Cancelled`.
   */
  readonly onTurnInterrupted: (turn: TurnRef) => Effect.Effect<InterruptReceipt>
  /**
   * Ends a suspended task as `Failed` with reason `ApprovalRejected`; the model reads `reason`. With the `asking` of
   * the approval that was shown it rejects that question only, and fails with `ApprovalMismatch` once the task asks
   * another; without it, it rejects what the task asks now. `TaskNotSuspended` if it does not ask, `TaskNotFound` for unknown ids.
   */
  readonly rejectApproval: (options: {
    readonly taskId: TaskId
    readonly reason?: string | undefined
    readonly asking?: string | undefined
  }) => Effect.Effect<void, TaskNotFound | TaskNotSuspended | ApprovalMismatch>
  /** Answers a request for approval as it was shown: approves and resumes it, rejects it, or answers its questions. */
  readonly answerApproval: AnswerApproval
  /**
   * Cancels every task of a session, waits until they are settled, and forgets its turns and queues: what was not
   * delivered is discarded. A `SessionClosed` event follows the terminal event of the last of them. The session id may be
   * used again.
   */
  readonly closeSession: (sessionId: SessionId) => Effect.Effect<InterruptReceipt>
  /**
   * Reports what the loop has used for a turn, such as the tokens of a request to its model: see `CurrentTask.addUsage`. `AgentLoop` does.
   */
  readonly addUsage: (turn: TurnRef, costs: UsageCosts) => Effect.Effect<void>
  /** The host's view of the same manager. */
  readonly handle: TaskManagerHandle
}>() {}
