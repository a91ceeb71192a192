/**
 * Every typed error of the library. What a model may read (`message`) never carries a cause, a stack or a rejected value.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ApprovalRequest } from "./model/Approval.js"
import { TaskId } from "./model/ids.js"
import { TaskStatus } from "./model/Task.js"

/**
 * Why a tool call failed.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolErrorReason = Schema.Literal(
  "NotFound",
  "InvalidInput",
  "PermissionDenied",
  "ExecutionFailed",
  "Unavailable",
  "Cancelled",
  "TimedOut",
  "ApprovalRejected",
  "Internal"
)

/**
 * Why a tool call failed.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolErrorReason = typeof ToolErrorReason.Type

/**
 * The failure of a tool call. Tools raise it, and the manager makes it for defects (`Internal`), timeouts (`TimedOut`)
 * and rejected approvals (`ApprovalRejected`). `message` is what the model reads. `cause` is for the host alone: it is
 * never encoded and never part of `message`.
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
export class ToolError extends Schema.TaggedError<ToolError>("effect-task-manager/ToolError")("ToolError", {
  reason: ToolErrorReason,
  toolName: Schema.String,
  message: Schema.String,
  cause: Schema.optionalToOptional(Schema.Unknown, Schema.Unknown, {
    decode: () => Option.none(),
    encode: () => Option.none()
  })
}) {}

/**
 * The typed failure with which a tool or an executor asks for approval. It suspends the task; it does not end it.
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
  { approval: ApprovalRequest }
) {
  override get message(): string {
    return `Approval required: ${this.approval.id}`
  }
}

/**
 * No live or retained task has this id.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskNotFound extends Schema.TaggedError<TaskNotFound>("effect-task-manager/TaskNotFound")("TaskNotFound", {
  taskId: TaskId
}) {
  override get message(): string {
    return `No task ${this.taskId}: it was never started, or its snapshot is no longer kept (see historyLimit)`
  }
}

/**
 * The task exists but is not in a state in which the operation means anything; `status` is the state it was found in.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskNotRunning extends Schema.TaggedError<TaskNotRunning>("effect-task-manager/TaskNotRunning")(
  "TaskNotRunning",
  { taskId: TaskId, status: TaskStatus }
) {
  override get message(): string {
    return `Task ${this.taskId} is ${this.status}: only a queued or running task can be changed`
  }
}

/**
 * Only a suspended task can be rejected; `status` is the state it was found in.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskNotSuspended extends Schema.TaggedError<TaskNotSuspended>("effect-task-manager/TaskNotSuspended")(
  "TaskNotSuspended",
  { taskId: TaskId, status: TaskStatus }
) {
  override get message(): string {
    return `Task ${this.taskId} is ${this.status}: it does not wait for an approval`
  }
}

/**
 * A live or retained task already has the id that `startTask` was given. Nothing was changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskAlreadyExists extends Schema.TaggedError<TaskAlreadyExists>("effect-task-manager/TaskAlreadyExists")(
  "TaskAlreadyExists",
  { taskId: TaskId }
) {
  override get message(): string {
    return `Task ${this.taskId} already exists: leave taskId out to have one made`
  }
}

/**
 * What an approved launch differs in from what was asked.
 *
 * @since 0.1.0
 * @category models
 */
export const ApprovalMismatchField = Schema.Literal(
  "taskId",
  "status",
  "sessionId",
  "turnId",
  "callId",
  "toolName",
  "input",
  "approvalId"
)

/**
 * What an approved launch differs in from what was asked.
 *
 * @since 0.1.0
 * @category models
 */
export type ApprovalMismatchField = typeof ApprovalMismatchField.Type

/**
 * An approved launch does not match a suspended task; `field` is the first thing that differs (`taskId`: no such task,
 * `status`: it is not suspended). The task stays as it was, and its tool does not run.
 *
 * @since 0.1.0
 * @category errors
 */
export class ApprovalMismatch extends Schema.TaggedError<ApprovalMismatch>("effect-task-manager/ApprovalMismatch")(
  "ApprovalMismatch",
  { taskId: TaskId, field: ApprovalMismatchField }
) {
  override get message(): string {
    return `The approval does not fit task ${this.taskId}: ${this.field} differs from what was asked`
  }
}

/**
 * The scope of the manager's layer is closed or closing; nothing is started any more.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskManagerShutdown
  extends Schema.TaggedError<TaskManagerShutdown>("effect-task-manager/TaskManagerShutdown")("TaskManagerShutdown", {})
{
  override get message(): string {
    return "The task manager is shut down"
  }
}

/**
 * Every error that a method of the manager or of its handle can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export const TaskManagerError = Schema.Union(
  TaskNotFound,
  TaskNotRunning,
  TaskNotSuspended,
  TaskAlreadyExists,
  ApprovalMismatch,
  TaskManagerShutdown
)

/**
 * Every error that a method of the manager or of its handle can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type TaskManagerError = typeof TaskManagerError.Type
