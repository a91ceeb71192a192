/**
 * The memory of a manager whose replies wait until what they tell of is written. A reader that must know something in the current step,
 * such as the agent loop between two events, reads it here: it may be ahead of what is written.
 */
import type { TaskManagerHandle } from "../TaskManager.js"

// a handle that is made of another one has it too
const key: unique symbol = Symbol.for("effect-task-manager/services/internal/unheld")

interface Held extends TaskManagerHandle {
  readonly [key]?: TaskManagerHandle
}

/** The handle that waits, with the one that does not. */
export const withUnheld = (held: TaskManagerHandle, handle: TaskManagerHandle): TaskManagerHandle => {
  const both: Held = { ...held, [key]: handle }
  return both
}

/** The same handle, whose reads do not wait. */
export const unheld = (handle: Held): TaskManagerHandle => handle[key] ?? handle
