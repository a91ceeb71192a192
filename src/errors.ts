/**
 * Every error of the core; those of the other subpaths (`ClusterError`, `McpServerUnavailable` and so on) are in their folders. What a model
 * may read (`message`) never carries a cause, a stack or a rejected value.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ApprovalRequest } from "./model/Approval.js"
import { SessionId, TaskId, ToolCallId, TurnId } from "./model/ids.js"
import { describedError, Finite, oneOf, Text, union, Whole } from "./model/schemas.js"
import { TaskStatus } from "./model/Task.js"
import { ReachedLimit } from "./model/Usage.js"
import { hiddenCause, hidingCause } from "./shared/hiddenCause.js"
import { printable, shown } from "./shared/text.js"

/**
 * Why a tool call failed. The manager raises `Internal` (the tool died, or what it returned is not a result), `TimedOut`, `LimitReached`,
 * `ApprovalRejected` and, where tasks outlive their process, `Interrupted` (the process that ran the tool ended before the tool
 * did: nobody knows what the call has done); `ToolExecutor.fromHandlers` raises `NotFound` and `ToolHandler.make` raises `InvalidInput`, and the
 * executor of an `@effect/ai` toolkit both and `ExecutionFailed`. The others are for tools and executors to raise; the
 * manager ends a task that it cancels as `Cancelled`, without an error.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolErrorReason = oneOf(
  "NotFound",
  "InvalidInput",
  "PermissionDenied",
  "ExecutionFailed",
  "Unavailable",
  "Cancelled",
  "TimedOut",
  "LimitReached",
  "ApprovalRejected",
  "Interrupted",
  "Internal"
)

/**
 * A value of the `ToolErrorReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolErrorReason = typeof ToolErrorReason.Type

/**
 * The failure of a tool call, which ends its task as `Failed`. Tools raise it, and the manager makes it for defects
 * (`Internal`), timeouts (`TimedOut`), costs beyond a limit (`LimitReached`), approvals that were rejected or not given in time
 * (`ApprovalRejected`) and, where tasks outlive their process, tools that ended with it (`Interrupted`). `message` is what the model reads.
 * `cause` is for the host alone, in the `Failed` event: it is never encoded, never logged, and never part of `message`.
 *
 * @example
 * ```ts
 * import { ToolError } from "effect-task-manager"
 *
 * const error = new ToolError({ reason: "InvalidInput", toolName: "read_file", message: "`path` is missing" })
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class ToolError extends hidingCause(
  Schema.TaggedError<ToolError>("effect-task-manager/ToolError")(
    "ToolError",
    { reason: ToolErrorReason, toolName: Text, message: Text, cause: hiddenCause },
    describedError
  )
) {}

/**
 * The typed failure with which a tool or an executor asks for approval. It suspends the task and does not end it: once
 * the call is approved, the tool runs again from its beginning and finds the approval in `CurrentTask`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ApprovalId, ApprovalRequired } from "effect-task-manager"
 *
 * const askFirst = Effect.fail(
 *   new ApprovalRequired({
 *     approval: {
 *       id: ApprovalId.make("approve-1"),
 *       requestKind: "shell.delete",
 *       reason: "DestructiveCommand",
 *       summary: "rm -r build",
 *       metadata: {}
 *     }
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class ApprovalRequired extends Schema.TaggedError<ApprovalRequired>("effect-task-manager/ApprovalRequired")(
  "ApprovalRequired",
  { approval: ApprovalRequest },
  describedError
) {
  override get message(): string {
    return `Approval required: ${printable(this.approval.id)}`
  }
}

/**
 * No live or retained task has this id. Every method that looks up a task by id fails with it, also for a settled task
 * that is beyond `historyLimit` or `historyBytes` (of a durable manager: whose row has gone).
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskNotFound extends Schema.TaggedError<TaskNotFound>("effect-task-manager/TaskNotFound")("TaskNotFound", {
  taskId: TaskId
}, describedError) {
  override get message(): string {
    return `No task ${
      printable(this.taskId)
    }: it was never started, or its snapshot is no longer kept (see historyLimit)`
  }
}

/**
 * The task exists but cannot be changed any more; `status` is the state it was found in. `setDeliveryMode`,
 * `setContinuePolicy`, `setPriority` and `steer` fail with it once the task is cancelling or settled, `detach` also while it is suspended.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskNotRunning extends Schema.TaggedError<TaskNotRunning>("effect-task-manager/TaskNotRunning")(
  "TaskNotRunning",
  { taskId: TaskId, status: TaskStatus },
  describedError
) {
  override get message(): string {
    return `Task ${printable(this.taskId)} is ${this.status}: only a queued or running task can be changed`
  }
}

/**
 * Only a suspended task can be rejected: `rejectApproval` fails with the `status` it was found in.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskNotSuspended extends Schema.TaggedError<TaskNotSuspended>("effect-task-manager/TaskNotSuspended")(
  "TaskNotSuspended",
  { taskId: TaskId, status: TaskStatus },
  describedError
) {
  override get message(): string {
    return `Task ${printable(this.taskId)} is ${this.status}: it does not wait for an approval`
  }
}

/**
 * The tool of the task has not asked for messages (`CurrentTask.messages`), or not yet: `steer` said nothing to it.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskDoesNotListen extends Schema.TaggedError<TaskDoesNotListen>("effect-task-manager/TaskDoesNotListen")(
  "TaskDoesNotListen",
  { taskId: TaskId },
  describedError
) {
  override get message(): string {
    return `Task ${printable(this.taskId)} does not listen: its tool has not read CurrentTask.messages`
  }
}

/**
 * The tool of the task has read too few of its messages for one more to wait: `steer` refused it. At most 100 wait, of 1 MiB of
 * UTF-8 together; `waiting` says how many do.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskInboxFull extends Schema.TaggedError<TaskInboxFull>("effect-task-manager/TaskInboxFull")(
  "TaskInboxFull",
  { taskId: TaskId, waiting: Whole },
  describedError
) {
  override get message(): string {
    return `Task ${printable(this.taskId)} has no room for this message: ${this.waiting} wait for its tool already`
  }
}

/**
 * A live or retained task already has the id that `startTask` was given. Nothing was started or changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskAlreadyExists extends Schema.TaggedError<TaskAlreadyExists>("effect-task-manager/TaskAlreadyExists")(
  "TaskAlreadyExists",
  { taskId: TaskId },
  describedError
) {
  override get message(): string {
    return `Task ${printable(this.taskId)} already exists: leave taskId out to have one made`
  }
}

/**
 * The turn already has a call with this id, and `duplicateCallIds` is `"reject"`: `startTask` started nothing. `taskId` is
 * the task of the first call; it is not there while that call is still being routed.
 *
 * @since 0.1.0
 * @category errors
 */
export class DuplicateCallId extends Schema.TaggedError<DuplicateCallId>("effect-task-manager/DuplicateCallId")(
  "DuplicateCallId",
  {
    sessionId: SessionId,
    turnId: TurnId,
    callId: ToolCallId,
    taskId: Schema.optionalWith(TaskId, { exact: true })
  },
  describedError
) {
  override get message(): string {
    const { callId, taskId } = this
    return `The turn already has a call ${printable(callId)}${
      taskId === undefined ? "" : `, task ${printable(taskId)}`
    } (duplicateCallIds)`
  }
}

/**
 * The session has a live task, `taskId`, with the same tool and the same input, and the route of the call says
 * `duplicates: "reject"`: `startTask` started nothing.
 *
 * @since 0.1.0
 * @category errors
 */
export class DuplicateCall extends Schema.TaggedError<DuplicateCall>("effect-task-manager/DuplicateCall")(
  "DuplicateCall",
  { sessionId: SessionId, turnId: TurnId, callId: ToolCallId, taskId: TaskId },
  describedError
) {
  override get message(): string {
    return `The call ${printable(this.callId)} is the same as that of task ${
      printable(this.taskId)
    }, which has not ended (duplicates)`
  }
}

/**
 * What a turn or a session may use (`TaskManagerConfig.limits`) is used up: `max` of `name`, which is a name of its `costs`, `launches`,
 * or `runTime` in milliseconds. `startTask` started nothing.
 *
 * @since 0.1.0
 * @category errors
 */
export class UsageLimitReached extends Schema.TaggedError<UsageLimitReached>("effect-task-manager/UsageLimitReached")(
  "UsageLimitReached",
  ReachedLimit.fields,
  describedError
) {
  override get message(): string {
    return `The ${this.scope} may use no more: its limit of ${this.max} ${shown(this.name)} is reached (limits)`
  }
}

/**
 * A limit of `TaskManagerConfig` that is reached; `max` is its value. `maxLive` counts the tasks of the manager that are
 * accepted and not settled, `maxUndelivered` the results of the session that were not taken, those included that a
 * consumer has and has not finished with. Nothing was started, and
 * nothing that was accepted before is lost: let tasks settle or take results, then start the call again.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskLimitReached extends Schema.TaggedError<TaskLimitReached>("effect-task-manager/TaskLimitReached")(
  "TaskLimitReached",
  { limit: oneOf("maxLive", "maxUndelivered"), max: Whole },
  describedError
) {
  override get message(): string {
    return this.limit === "maxLive"
      ? `The manager already has ${this.max} live tasks (maxLive)`
      : `The session already has ${this.max} results that nobody has taken (maxUndelivered)`
  }
}

/**
 * `setConcurrency` has changed nothing. `UnknownLane`: `TaskManagerConfig.lanes` has no such lane. `InUse`: so many tasks run in it
 * (`running`) that the limit would be broken at once; try again when fewer do.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConcurrencyRefused
  extends Schema.TaggedError<ConcurrencyRefused>("effect-task-manager/ConcurrencyRefused")(
    "ConcurrencyRefused",
    {
      lane: Text,
      reason: oneOf("UnknownLane", "InUse"),
      running: Schema.optionalWith(Whole, { exact: true })
    },
    describedError
  )
{
  override get message(): string {
    const lane = shown(this.lane)
    return this.reason === "UnknownLane"
      ? `There is no lane ${lane} in TaskManagerConfig.lanes`
      : `${this.running} tasks run in the lane ${lane}: its limit cannot be below that`
  }
}

/**
 * What an answer to an approval differs in from what was asked. `taskId`: there is no such task. `asking`: it answers an
 * earlier question, one that was answered, or one of another manager, or it brings no token back. `status`: it brings no
 * token back, and the task is not suspended. `answers`: it approves, and a question has no answer yet. The others are looked at in their order.
 *
 * @since 0.1.0
 * @category models
 */
export const ApprovalMismatchField = oneOf(
  "taskId",
  "status",
  "sessionId",
  "turnId",
  "callId",
  "toolName",
  "input",
  "approvalId",
  "asking",
  "answers"
)

/**
 * A value of the `ApprovalMismatchField` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ApprovalMismatchField = typeof ApprovalMismatchField.Type

/**
 * An answer does not match what a suspended task asks: an approved `startTask`, and `answerApproval`, fail with the first `field` that
 * differs (see `ApprovalMismatchField`), `rejectApproval` with the field `asking`. The task stays as it
 * was, and its tool does not run.
 *
 * @since 0.1.0
 * @category errors
 */
export class ApprovalMismatch extends Schema.TaggedError<ApprovalMismatch>("effect-task-manager/ApprovalMismatch")(
  "ApprovalMismatch",
  { taskId: TaskId, field: ApprovalMismatchField },
  describedError
) {
  override get message(): string {
    return `The approval does not fit task ${printable(this.taskId)}: ${this.field} differs from what was asked`
  }
}

/**
 * Why an answer was refused. `UnknownQuestion`: the task asks no such question; `Answered`: it has an answer already, which counts;
 * `Invalid`: it does not fit the schema of the question, or is not JSON; `TooLarge`: the answers to the task would have more than
 * `maxResultBytes` together, or be nested deeper than `maxResultDepth`.
 *
 * @since 0.1.0
 * @category models
 */
export const InvalidAnswerReason = oneOf("UnknownQuestion", "Answered", "Invalid", "TooLarge")

/**
 * A value of the `InvalidAnswerReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type InvalidAnswerReason = typeof InvalidAnswerReason.Type

/**
 * An answer to a question of a suspended task was refused, and none of the answers that came with it counts; those of before do.
 * `field` says where it stands: `answers.<id of the question>`, and the path in it. `detail` is what is wrong there, without
 * the value.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAnswer extends Schema.TaggedError<InvalidAnswer>("effect-task-manager/InvalidAnswer")(
  "InvalidAnswer",
  { taskId: TaskId, field: Text, reason: InvalidAnswerReason, detail: Text },
  describedError
) {
  override get message(): string {
    return `\`${printable(this.field)}\` ${this.detail}`
  }
}

/**
 * `startTask` was called from inside of a task that is being cancelled, or that was and did not end in time: what such a tool starts would
 * outlive the wish to stop it. Nothing was started.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskCancelled extends Schema.TaggedError<TaskCancelled>("effect-task-manager/TaskCancelled")(
  "TaskCancelled",
  { taskId: TaskId },
  describedError
) {
  override get message(): string {
    return `Task ${printable(this.taskId)} is cancelled: its tool can start no other task`
  }
}

/**
 * The scope of the manager's layer is closed or closing: `startTask` starts nothing any more. Methods that read, drain and
 * wait still answer.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskManagerShutdown
  extends Schema.TaggedError<TaskManagerShutdown>("effect-task-manager/TaskManagerShutdown")(
    "TaskManagerShutdown",
    {},
    describedError
  )
{
  override get message(): string {
    return "The task manager is shut down"
  }
}

/**
 * The `timeout` of a wait passed, `millis` milliseconds, before there was anything to return for. Nothing was taken, and nothing
 * else has changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class WaitTimedOut extends Schema.TaggedError<WaitTimedOut>("effect-task-manager/WaitTimedOut")(
  "WaitTimedOut",
  { millis: Finite },
  describedError
) {
  override get message(): string {
    return `Nothing happened within ${this.millis} ms`
  }
}

/**
 * Why a journal cannot be read or written. `Owned`: another manager has it open. `Fenced`: another manager has taken it over.
 * `Unavailable`: the database did not answer, or refused, for as long as the lease lasts, or a codec
 * could not encode. `Version`: a row, or the database, is of a later version of the library. `Damaged`: a row cannot be read, or
 * a codec could not decode it.
 *
 * @since 0.1.0
 * @category models
 */
export const JournalErrorReason = oneOf("Owned", "Fenced", "Unavailable", "Version", "Damaged")

/**
 * A value of the `JournalErrorReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type JournalErrorReason = typeof JournalErrorReason.Type

/**
 * The journal of a durable manager cannot be opened, or was lost while it ran. A manager that has lost its journal tells nothing
 * any more: its methods die with this error, its tools are interrupted, and its process should end. `cause` is for the program
 * alone: it is never encoded and never part of `message`.
 *
 * @since 0.1.0
 * @category errors
 */
export class JournalError extends hidingCause(
  Schema.TaggedError<JournalError>("effect-task-manager/JournalError")(
    "JournalError",
    { journal: Text, reason: JournalErrorReason, detail: Text, cause: hiddenCause },
    describedError
  )
) {
  override get message(): string {
    return `The journal "${printable(this.journal)}" ${this.detail}`
  }
}

/**
 * Every error that a method of the manager or of its handle can fail with, as one schema.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { TaskId, TaskManagerError, TaskNotFound } from "effect-task-manager"
 *
 * const encode = Schema.encodeSync(TaskManagerError)
 * const json = encode(new TaskNotFound({ taskId: TaskId.make("task-7") })) // { _tag: "TaskNotFound", taskId: "task-7" }
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export const TaskManagerError = union(
  TaskNotFound,
  TaskNotRunning,
  TaskNotSuspended,
  TaskDoesNotListen,
  TaskInboxFull,
  TaskAlreadyExists,
  DuplicateCallId,
  DuplicateCall,
  UsageLimitReached,
  TaskLimitReached,
  ConcurrencyRefused,
  ApprovalMismatch,
  InvalidAnswer,
  TaskCancelled,
  TaskManagerShutdown,
  WaitTimedOut
)

/**
 * A value of the `TaskManagerError` schema.
 *
 * @since 0.1.0
 * @category errors
 */
export type TaskManagerError = typeof TaskManagerError.Type
