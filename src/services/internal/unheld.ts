/**
 * The memory of a manager whose replies wait until what they tell of is written. A reader that must know something in the current step,
 * such as the agent loop between two events, reads it here: it may be ahead of what is written.
 */
import * as GlobalValue from "effect/GlobalValue"
import type { TaskManagerHandle } from "../TaskManager.js"

/** By the handle that waits: a manager that was wrapped has the same. */
const handles = GlobalValue.globalValue(
  "effect-task-manager/services/internal/unheld",
  () => new WeakMap<TaskManagerHandle, TaskManagerHandle>()
)

export const rememberUnheld = (held: TaskManagerHandle, handle: TaskManagerHandle): void => {
  handles.set(held, handle)
}

/** The same handle, whose reads do not wait. */
export const unheld = (handle: TaskManagerHandle): TaskManagerHandle => handles.get(handle) ?? handle
