import * as Effect from "effect/Effect"
import { ToolError } from "../../../errors.js"
import { TaskId } from "../../../model/ids.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { CurrentTask } from "../../../services/CurrentTask.js"
import type { TaskManagerHandle } from "../../../services/TaskManager.js"
import { printable } from "../../../shared/text.js"

/** What a call is told of a task that does not exist, or is not of its session. */
export const notFound = (toolName: string, taskId: string): ToolError =>
  new ToolError({ reason: "NotFound", toolName, message: `There is no task \`${printable(taskId)}\`.` })

/** The task, if it is one of the caller's session; any other is told as an unknown one. */
export const findTask = (
  handle: TaskManagerHandle,
  task: CurrentTask["Type"],
  taskId: string
): Effect.Effect<TaskSnapshot, ToolError> =>
  handle.get(TaskId.make(taskId)).pipe(
    Effect.filterOrFail((found) => found.sessionId === task.request.sessionId),
    Effect.mapError(() => notFound(task.request.toolName, taskId))
  )
