/**
 * What live tasks were called with, for adapters that show it to people where the host wants that. It is no member of the handle: most that
 * have one are not to see it. A manager that is asked in another process does not tell it.
 */
import type { TaskId } from "../../model/ids.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import type { TaskManagerHandle } from "../TaskManager.js"
import { unheld } from "./unheld.js"

type RequestOf = (id: TaskId) => ToolRequest | undefined

// a handle that is made of another one has it too
const key: unique symbol = Symbol.for("effect-task-manager/services/internal/requests")

interface Telling extends TaskManagerHandle {
  readonly [key]?: RequestOf
}

export const withRequests = (handle: TaskManagerHandle, requestOf: RequestOf): TaskManagerHandle => {
  const both: Telling = { ...handle, [key]: requestOf }
  return both
}

/** What a task was called with; undefined once it has settled, for it is not kept. */
export const requestOf = (handle: TaskManagerHandle, id: TaskId): ToolRequest | undefined => {
  const telling: Telling = unheld(handle)
  return telling[key]?.(id)
}
