/** Which manager has counted the events: another one begins with one again, and a number of the one before is not its own. */
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { randomToken } from "../../shared/randomToken.js"

/** Of answers, and of requests that go on behind an event. */
export const managerHeader = "effect-task-manager-id"

const names = new WeakMap<TaskManagerHandle, string>()

/** A name for a manager, as long as it lives. */
export const nameOf = (handle: TaskManagerHandle): string => {
  const known = names.get(handle)
  if (known !== undefined) return known
  const made = randomToken()
  names.set(handle, made)
  return made
}
