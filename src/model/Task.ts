/**
 * A task: the life of one accepted tool call.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ApprovalRequest } from "./Approval.js"
import { SessionId, TaskId, ToolCallId, TurnId } from "./ids.js"
import { Metadata } from "./json.js"
import { Finite, Flag, NonEmptyText, oneOf, struct, tagged, Text, union, Whole } from "./schemas.js"
import { ToolRequest } from "./ToolCall.js"
import { ReachedLimit, Usage } from "./Usage.js"

/**
 * Whether the turn waits for the task (`Foreground`) or goes on without it (`Background`). A task goes from foreground
 * to background at most once (detach), never back.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskKind = oneOf("Foreground", "Background")

/**
 * A value of the `TaskKind` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskKind = typeof TaskKind.Type

/**
 * Where a task is in its life. `Queued`: it waits for a place under a limit (`concurrency`, `perSession` or its lane), or for
 * the result of the same call, which it has joined; `Running`; `Suspended`: waits for an approval; `Cancelling`: its end is decided, its
 * tool has not ended yet. `Completed`, `Failed` and `Cancelled` are settled; everything else is live.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskStatus = oneOf(
  "Queued",
  "Running",
  "Suspended",
  "Cancelling",
  "Completed",
  "Failed",
  "Cancelled"
)

/**
 * A value of the `TaskStatus` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskStatus = typeof TaskStatus.Type

/**
 * Whether a background result also asks the host to start another turn (`RequestContinue` publishes a
 * `ContinueRequested` event) or only waits to be taken.
 *
 * @since 0.1.0
 * @category models
 */
export const ContinuePolicy = oneOf("NotifyOnly", "RequestContinue")

/**
 * A value of the `ContinuePolicy` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ContinuePolicy = typeof ContinuePolicy.Type

/**
 * Where a background result goes: to the session's loop queue (`ToLoop`) or to the manual queue that the host drains
 * (`Manual`). A request for approval from the background goes to the loop queue in either mode.
 *
 * @since 0.1.0
 * @category models
 */
export const DeliveryMode = oneOf("ToLoop", "Manual")

/**
 * A value of the `DeliveryMode` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type DeliveryMode = typeof DeliveryMode.Type

/**
 * Why a tool is being stopped. `TimedOut`: a limit of time of its route has passed; `LimitReached`: it has reported more than may be used;
 * `TurnInterrupted`, `SessionClosed`: its turn was interrupted, its session closed; `Shutdown`: the manager is closing; `Cancelled`: anything else that cancelled the
 * task.
 *
 * @since 0.1.0
 * @category models
 */
export const CancelReason = oneOf(
  "TimedOut",
  "LimitReached",
  "Cancelled",
  "TurnInterrupted",
  "SessionClosed",
  "Shutdown"
)

/**
 * A value of the `CancelReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type CancelReason = typeof CancelReason.Type

/**
 * A task at one moment. A snapshot never changes; the next change of the task makes a new one. `launch` counts the runs
 * of the tool from 1. Times are epoch milliseconds: `startedAt` is when the tool of the latest launch began, `settledAt`
 * when the task reached its terminal status. `duration` is how long the tool says that it took, in milliseconds: that of
 * the `ToolResult` of a completed task, if it has one. `lane` is the one that its routing gave it, `priority` its priority where that
 * is not 0. `attempt` is which attempt of its launch runs, or ran last, from 2 on: see
 * `RetryRule`. `parentTaskId` is the task from inside of
 * which it was started, `joinedTaskId` the one with the same call whose result it waits for, or has. `overdue` is there once its timeout of `after` milliseconds has passed and it was sent to the background for that; `asks`
 * says whether the model is to decide what becomes of it. `overLimit` is there once it has passed a limit with `onLimit: "ask"`. `usage`, where
 * the configuration has a `ledger`, is what it had used when it last reported a cost, asked or settled.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskSnapshot = struct({
  id: TaskId,
  sessionId: SessionId,
  turnId: TurnId,
  callId: ToolCallId,
  toolName: Text,
  kind: TaskKind,
  status: TaskStatus,
  launch: Whole,
  deliveryMode: DeliveryMode,
  continuePolicy: ContinuePolicy,
  createdAt: Finite,
  startedAt: Schema.optionalWith(Finite, { exact: true }),
  settledAt: Schema.optionalWith(Finite, { exact: true }),
  duration: Schema.optionalWith(Finite, { exact: true }),
  lane: Schema.optionalWith(NonEmptyText, { exact: true }),
  priority: Schema.optionalWith(Finite, { exact: true }),
  attempt: Schema.optionalWith(Whole, { exact: true }),
  overdue: Schema.optionalWith(struct({ after: Finite, asks: Flag }), { exact: true }),
  usage: Schema.optionalWith(Usage, { exact: true }),
  overLimit: Schema.optionalWith(ReachedLimit, { exact: true }),
  parentTaskId: Schema.optionalWith(TaskId, { exact: true }),
  joinedTaskId: Schema.optionalWith(TaskId, { exact: true }),
  metadata: Metadata
})

/**
 * A value of the `TaskSnapshot` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskSnapshot extends Schema.Schema.Type<typeof TaskSnapshot> {}

/**
 * Which tasks `list` gives; what is left out does not filter.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskFilter {
  readonly status?: TaskStatus | ReadonlyArray<TaskStatus> | undefined
  readonly kind?: TaskKind | undefined
  readonly sessionId?: SessionId | undefined
  readonly turnId?: TurnId | undefined
  readonly callId?: ToolCallId | undefined
  readonly lane?: string | undefined
  readonly parent?: TaskId | undefined
}

/**
 * What `startTask` takes: a new call (`plain`) or a suspended task that was approved (`approved`).
 *
 * @example
 * ```ts
 * import { SessionId, TaskLaunchRequest, ToolCallId, TurnId } from "effect-task-manager"
 *
 * const launch = TaskLaunchRequest.plain({
 *   request: {
 *     sessionId: SessionId.make("session-1"),
 *     turnId: TurnId.make("turn-1"),
 *     callId: ToolCallId.make("call-1"),
 *     toolName: "read_file",
 *     input: { path: "README.md" },
 *     metadata: {}
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const TaskLaunchRequest = Object.assign(
  union(
    tagged("Plain", {
      request: ToolRequest,
      taskId: Schema.optionalWith(TaskId, { exact: true }),
      deliveryMode: Schema.optionalWith(DeliveryMode, { exact: true }),
      continuePolicy: Schema.optionalWith(ContinuePolicy, { exact: true })
    }),
    tagged("Approved", { taskId: TaskId, request: ToolRequest, approval: ApprovalRequest })
  ),
  {
    plain: (fields: {
      readonly request: ToolRequest
      readonly taskId?: TaskId | undefined
      readonly deliveryMode?: DeliveryMode | undefined
      readonly continuePolicy?: ContinuePolicy | undefined
    }): TaskLaunchRequest.Plain => ({
      _tag: "Plain",
      request: fields.request,
      ...(fields.taskId === undefined ? undefined : { taskId: fields.taskId }),
      ...(fields.deliveryMode === undefined ? undefined : { deliveryMode: fields.deliveryMode }),
      ...(fields.continuePolicy === undefined ? undefined : { continuePolicy: fields.continuePolicy })
    }),
    approved: (fields: {
      readonly taskId: TaskId
      readonly request: ToolRequest
      readonly approval: ApprovalRequest
    }): TaskLaunchRequest.Approved => ({
      _tag: "Approved",
      taskId: fields.taskId,
      request: fields.request,
      approval: fields.approval
    })
  }
)

/**
 * A value of the `TaskLaunchRequest` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskLaunchRequest = TaskLaunchRequest.Plain | TaskLaunchRequest.Approved

/**
 * The members of `TaskLaunchRequest`.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace TaskLaunchRequest {
  /**
   * Starts a new task. Without `taskId` the manager makes one. The other fields win over the routing decision.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Plain {
    readonly _tag: "Plain"
    readonly request: ToolRequest
    readonly taskId?: TaskId
    readonly deliveryMode?: DeliveryMode
    readonly continuePolicy?: ContinuePolicy
  }
  /**
   * Resumes a suspended task; request and approval must match what was asked.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Approved {
    readonly _tag: "Approved"
    readonly taskId: TaskId
    readonly request: ToolRequest
    readonly approval: ApprovalRequest
  }
}
