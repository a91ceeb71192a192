/**
 * The manager in promises: the methods of `TaskManager` and of its handle.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { ApprovalRequest, TaskApproval } from "../model/Approval.js"
import type { Metadata } from "../model/json.js"
import type { ContinuePolicy, DeliveryMode, TaskKind, TaskSnapshot, TaskStatus } from "../model/Task.js"
import type { FilteredTaskEvent, TaskEvent } from "../model/TaskEvent.js"
import type { TaskHistoryPage } from "../model/TaskHistory.js"
import type { OutputRange, TaskOutput } from "../model/TaskOutput.js"
import type {
  InterruptReceipt,
  PendingLoopUpdates,
  TaskResolution,
  TaskStartOutcome,
  TurnTaskUpdate
} from "../model/TaskResolution.js"
import type { ToolResultPart, ToolSpec } from "../model/ToolCall.js"
import type { Usage, UsageCosts } from "../model/Usage.js"
import type { ApprovalAnswer } from "../services/TaskManager.js"

/**
 * Names one turn. Ids are non-empty strings; any other rejects with a `TypeError` that names the field.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainTurn {
  readonly sessionId: string
  readonly turnId: string
}

/**
 * Whose usage: that of a task, of a session, of a turn (`sessionId` and `turnId`), of a lane, or of everything.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainUsageFilter {
  readonly taskId?: string | undefined
  readonly sessionId?: string | undefined
  readonly turnId?: string | undefined
  readonly lane?: string | undefined
}

/**
 * One tool call of a turn: the name and the input as the model sent them (the input parsed), the id that the model gave to
 * the call, and metadata of your own.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainRequest extends PlainTurn {
  readonly callId: string
  readonly toolName: string
  readonly input: unknown
  readonly metadata?: Metadata | undefined
}

/**
 * A new call. Without `taskId` the manager makes one. `deliveryMode` and `continuePolicy` win over the routing.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainLaunch {
  readonly request: PlainRequest
  readonly taskId?: string | undefined
  readonly deliveryMode?: DeliveryMode | undefined
  readonly continuePolicy?: ContinuePolicy | undefined
}

/**
 * A suspended task that was approved, with the request and the approval that were delivered.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApprovedLaunch {
  readonly taskId: string
  readonly request: PlainRequest
  readonly approval: PlainApproval
}

/**
 * An approval as it was delivered, or as it came back from JSON.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainApproval extends Omit<ApprovalRequest, "id" | "taskId" | "callId"> {
  readonly id: string
  readonly taskId?: string
  readonly callId?: string
}

/**
 * Which tasks `list` gives: those that match every field that is there.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainFilter {
  readonly status?: TaskStatus | ReadonlyArray<TaskStatus> | undefined
  readonly kind?: TaskKind | undefined
  readonly sessionId?: string | undefined
  readonly turnId?: string | undefined
  readonly callId?: string | undefined
}

/**
 * Which page of the history is wanted: the newest `limit` settled tasks (1 to 1 000, by default 100) that match, whose terminal event
 * has a `seq` below `before`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainHistoryQuery {
  readonly before?: number | undefined
  readonly limit?: number | undefined
  readonly filter?: Pick<PlainFilter, "sessionId" | "status"> | undefined
}

/**
 * Which events are wanted: those of one session, of one task, or both; all without either. `after` is the number of the last
 * event that was seen before: an integer from 0.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainEventFilter {
  readonly sessionId?: string | undefined
  readonly taskId?: string | undefined
  readonly after?: number | undefined
}

/**
 * A request for approval as it was shown, or as it came back from JSON.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainTaskApproval {
  readonly taskId: string
  readonly toolRequest: PlainRequest
  readonly approval: PlainApproval
  readonly answered?: ReadonlyArray<string>
}

/**
 * A signal that ends a wait, and only the wait: the promise rejects with the signal's `reason`, no task is touched and
 * nothing is taken. Tasks that were cancelled before stay cancelled.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
}

/**
 * How long to wait at most, and what ends the wait before: once `timeout` (milliseconds, or a duration such as `"5 seconds"`)
 * has passed, the promise rejects with `WaitTimedOut` and nothing was taken. A race with a timer of your own is no
 * replacement: the one that is lost drops what it has just taken.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimedWaitOptions extends WaitOptions {
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * How to wait for a turn. `onAbort` says what the signal ends: the wait (`"EndWait"`, the default), or the turn
 * (`"InterruptTurn"`): then its foreground tasks are cancelled as `onTurnInterrupted` does, and the wait goes on, so that
 * the turn drains and every call gets its result.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnWaitOptions extends TimedWaitOptions {
  readonly onAbort?: "EndWait" | "InterruptTurn" | undefined
}

/**
 * Reads one thing after the other, and `undefined` never. `return()`, which leaving a `for await` calls, ends the
 * subscription and every call of `next()` that waits. An aborted signal ends it too, and `next()` rejects with its reason.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskIterator<A> extends AsyncIterableIterator<A>, AsyncDisposable {
  readonly next: () => Promise<IteratorResult<A, undefined>>
  readonly return: () => Promise<IteratorResult<A, undefined>>
  readonly [Symbol.asyncIterator]: () => TaskIterator<A>
}

/**
 * The live tasks at event `seq`, and a subscription whose first event is `seq + 1`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PromiseTaskWatch {
  readonly seq: number
  readonly live: ReadonlyArray<TaskSnapshot>
  readonly events: TaskIterator<TaskEvent>
}

/**
 * The live tasks of a filter at event `seq`, and a subscription to its events.
 *
 * @since 0.1.0
 * @category models
 */
export interface PromiseFilteredWatch {
  readonly seq: number
  readonly live: ReadonlyArray<TaskSnapshot>
  readonly events: TaskIterator<FilteredTaskEvent>
}

/**
 * What a program does with tasks. A promise rejects with the error that the Effect API fails with (`TaskNotFound` and so
 * on, told apart by `_tag`), with a `TypeError` for a wrong argument, and with the reason of its signal. What the
 * Effect API answers as an `Option` is the value or `undefined` here.
 *
 * @example
 * ```ts
 * import type { PlainRequest, TaskOperations } from "effect-task-manager/promise"
 *
 * // one result per call, always
 * const runTurn = async (manager: TaskOperations, calls: ReadonlyArray<PlainRequest>, turn: PlainRequest) => {
 *   for (const request of calls) await manager.startTask({ request })
 *   for (let update = await manager.waitForTurn(turn); update; update = await manager.waitForTurn(turn)) {
 *     console.log(update)
 *   }
 * }
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export interface TaskOperations {
  /** The tools, as they are shown to a model. */
  readonly toolSpecs: ReadonlyArray<ToolSpec>
  /**
   * Starts a task for a tool call, or resumes a suspended one that was approved; answers before the tool has ended.
   * Rejects with `TaskAlreadyExists`, `DuplicateCallId`, `DuplicateCall`, `UsageLimitReached`, `TaskLimitReached`, `ApprovalMismatch`, `TaskCancelled`, `TaskManagerShutdown`, and with what the
   * routing threw.
   */
  readonly startTask: (launch: PlainLaunch | ApprovedLaunch) => Promise<TaskStartOutcome>
  /** The next update of a turn, each to one caller; `undefined` when the turn has drained. */
  readonly waitForTurn: (turn: PlainTurn, options?: TurnWaitOptions) => Promise<TurnTaskUpdate | undefined>
  /**
   * As `waitForTurn`, but an update whose `use` throws or rejects is put back in front. Answers what `use` answered. Once
   * `use` has begun, a signal does not end it: its own promise decides.
   */
  readonly consumeTurnUpdate: <A>(
    turn: PlainTurn,
    use: (update: TurnTaskUpdate) => A | PromiseLike<A>,
    options?: TurnWaitOptions
  ) => Promise<A | undefined>
  /**
   * The updates of a turn, one with each `next()`; ends when the turn has drained. What `next()` has answered is delivered.
   */
  readonly turnUpdates: (turn: PlainTurn, options?: Omit<TurnWaitOptions, "timeout">) => TaskIterator<TurnTaskUpdate>
  /** Takes every background resolution of a session that waits for its loop, oldest first. */
  readonly takePendingLoopUpdates: (sessionId: string) => Promise<PendingLoopUpdates>
  /** Gives `use` what `takePendingLoopUpdates` would take, and puts it back in front if `use` throws or rejects. */
  readonly consumePendingLoopUpdates: <A>(
    sessionId: string,
    use: (updates: PendingLoopUpdates) => A | PromiseLike<A>
  ) => Promise<A>
  /** Resolves once a background resolution waits for the session's loop, or the manager is closed. Takes nothing. */
  readonly waitForLoopUpdate: (sessionId: string, options?: TimedWaitOptions) => Promise<void>
  /** Takes the undelivered result of one settled task; `undefined` while it is live and when it was delivered before.
   * Rejects with `TaskNotFound`. */
  readonly takeResult: (taskId: string) => Promise<TaskResolution.Item | undefined>
  /** As `takeResult`, but a result whose `use` throws or rejects is put back at its old place. Rejects with `TaskNotFound` too. */
  readonly consumeResult: <A>(
    taskId: string,
    use: (item: TaskResolution.Item) => A | PromiseLike<A>
  ) => Promise<A | undefined>
  /** Resolves once at least one of the tasks is settled or suspended. Takes nothing. Rejects with `TaskNotFound`. */
  readonly waitForTask: (taskIds: ReadonlyArray<string>, options?: TimedWaitOptions) => Promise<void>
  /**
   * Cancels every foreground task of a turn, keeps the background ones, and resolves when the cancelled ones are settled.
   */
  readonly onTurnInterrupted: (turn: PlainTurn, options?: WaitOptions) => Promise<InterruptReceipt>
  /**
   * Answers a request for approval as it was shown: `"approve"` resolves to what `startTask` answers, `{ reject: reason }` to
   * `undefined`. `{ answers: { … } }` answers questions, all or some; the last answers resolve to what `startTask` answers, those
   * before to `undefined`. Rejects as `startTask` and `rejectApproval` do, and with `InvalidAnswer`, which names the field.
   */
  readonly answerApproval: (
    approval: PlainTaskApproval,
    answer: ApprovalAnswer
  ) => Promise<TaskStartOutcome | undefined>
  /**
   * Ends a suspended task; the model reads `reason`. With the `asking` of the approval that was shown it rejects that
   * question only, without it what the task asks now. Rejects with `TaskNotFound`, `TaskNotSuspended` and, when the
   * task asks another question by now, `ApprovalMismatch`.
   */
  readonly rejectApproval: (options: {
    readonly taskId: string
    readonly reason?: string | undefined
    readonly asking?: string | undefined
  }) => Promise<void>
  /** Cancels every task of a session and forgets what it had not taken. */
  readonly closeSession: (sessionId: string, options?: WaitOptions) => Promise<InterruptReceipt>
  /**
   * The last `eventReplay` events, then every event as it happens; ends when the manager is closed. Subscribed with the
   * first `next()`.
   */
  readonly events: (options?: WaitOptions) => TaskIterator<TaskEvent>
  /**
   * The events of a session, of a task, or all: begins with the last ones, or behind `after`. Where some are not kept any
   * more it gives a `Reset` instead of a gap. Subscribed with the first `next()`; ends when the manager is closed.
   */
  readonly eventsOf: (filter: PlainEventFilter, options?: WaitOptions) => TaskIterator<FilteredTaskEvent>
  /** Every event from the call on, without replay. It holds up to `eventBuffer` events until its `return()`. */
  readonly subscribe: (options?: WaitOptions) => Promise<TaskIterator<TaskEvent>>
  /** As `subscribe`, for the events of a filter; with `after` it begins behind that event. */
  readonly subscribeTo: (filter: PlainEventFilter, options?: WaitOptions) => Promise<TaskIterator<FilteredTaskEvent>>
  /** The live tasks and a subscription, taken in one step. The subscription ends with its `return()`. */
  readonly watch: (options?: WaitOptions) => Promise<PromiseTaskWatch>
  /** As `watch`, for the tasks and events of a filter. */
  readonly watchOf: (filter: PlainEventFilter, options?: WaitOptions) => Promise<PromiseFilteredWatch>
  /** The live tasks: the current ones first, then the latest after each change. Ends when the manager is closed. */
  readonly changes: (options?: WaitOptions) => TaskIterator<ReadonlyArray<TaskSnapshot>>
  /**
   * The open requests for approval, over all sessions: the current ones first, then the latest list after each change. A slow
   * reader skips lists. Ends when the manager is closed.
   */
  readonly inbox: (options?: WaitOptions) => TaskIterator<ReadonlyArray<TaskApproval>>
  /** The task as it is now. Rejects with `TaskNotFound`. */
  readonly get: (taskId: string) => Promise<TaskSnapshot>
  /** The result of a settled task, `undefined` while it is live. Delivers and takes nothing. Rejects with `TaskNotFound`. */
  readonly result: (taskId: string) => Promise<ToolResultPart | undefined>
  /** A piece of what the task has written, in bytes of UTF-8: the newest, unless `start` says otherwise. Rejects with
   * `TaskNotFound`. */
  readonly output: (taskId: string, range?: OutputRange) => Promise<TaskOutput>
  /** Live tasks oldest first, after the settled ones that are kept. */
  readonly list: (filter?: PlainFilter) => Promise<ReadonlyArray<TaskSnapshot>>
  /** Settled tasks page by page, the newest first; the `next` of a page is the `before` of the following one. */
  readonly history: (query?: PlainHistoryQuery) => Promise<TaskHistoryPage>
  /** Tasks that are Queued, Running or Cancelling, oldest first. */
  readonly listRunning: () => Promise<ReadonlyArray<TaskSnapshot>>
  /** Suspended tasks with what they ask, longest suspended first. */
  readonly listSuspended: () => Promise<ReadonlyArray<TaskApproval>>
  /** Tasks that are Completed or Failed, in the order in which they settled. */
  readonly listCompleted: () => Promise<ReadonlyArray<TaskSnapshot>>
  /**
   * Cancels a task and resolves when it is settled, at most `cancelGracePeriod` later. Rejects with `TaskNotFound`. An
   * aborted signal ends the wait; the task is cancelled all the same.
   */
  readonly cancel: (taskId: string, options?: WaitOptions) => Promise<void>
  /** Sends a foreground task to the background; `false` if it was there. Rejects with `TaskNotFound`, `TaskNotRunning`. */
  readonly detach: (taskId: string) => Promise<boolean>
  /**
   * Sends a message to the tool of a task, which reads it from `messages`. Resolves as soon as the message waits for it. Rejects
   * with `TaskNotFound`, `TaskNotRunning`, `TaskDoesNotListen` and `TaskInboxFull`.
   */
  readonly steer: (taskId: string, message: string) => Promise<void>
  /** Whether the background result asks for another turn. Rejects with `TaskNotFound`, `TaskNotRunning`. */
  readonly setContinuePolicy: (taskId: string, policy: ContinuePolicy) => Promise<void>
  /** Where the background result goes. Rejects with `TaskNotFound`, `TaskNotRunning`. */
  readonly setDeliveryMode: (taskId: string, mode: DeliveryMode) => Promise<void>
  /** Which task gets a place first: a finite number. Rejects with `TaskNotFound`, `TaskNotRunning`. */
  readonly setPriority: (taskId: string, priority: number) => Promise<void>
  /** How many tasks of a lane run at once: an integer from 1, or `Infinity`. Rejects with `ConcurrencyRefused`. */
  readonly setConcurrency: (lane: string, limit: number) => Promise<void>
  /** What a task, a turn, a session, a lane or everything has used: see `TaskManagerHandle.usage`. Rejects with `TaskNotFound`. */
  readonly usage: (filter?: PlainUsageFilter) => Promise<Usage>
  /** Reports what the loop has used for a turn, by names of your own. Numbers from 0; anything else is refused with its name. */
  readonly addUsage: (turn: PlainTurn, costs: UsageCosts) => Promise<void>
  /** Takes every result of the manual queue, of all sessions, oldest first. */
  readonly drainReadyItems: () => Promise<ReadonlyArray<TaskResolution.Item>>
  /** Takes the results of one session from the manual queue, oldest first. */
  readonly drainReadyItemsOf: (sessionId: string) => Promise<ReadonlyArray<TaskResolution.Item>>
  /** Resolves when no task is Queued, Running or Cancelling. */
  readonly waitForIdle: (options?: TimedWaitOptions) => Promise<void>
}

/**
 * A manager of its own, with its tools. `await using` closes it.
 *
 * @since 0.1.0
 * @category services
 */
export interface PromiseTaskManager extends TaskOperations, AsyncDisposable {
  /**
   * Cancels every task, waits until their tools have ended, at most `cancelGracePeriod`, and ends the iterators. Then
   * `startTask` rejects with `TaskManagerShutdown`; reading and draining still answer. A second call waits for the first.
   * A tool must not wait for it.
   */
  readonly close: () => Promise<void>
}
