/**
 * What tasks were called with, for adapters that show it to people where the host wants that. It is no member of the handle: most that
 * have one are not to see it.
 */
import * as Effect from "effect/Effect"
import type { TaskId } from "../../model/ids.js"
import type { TaskManagerHandle } from "../TaskManager.js"
import { unheld } from "./unheld.js"

type InputOf = (id: TaskId) => Effect.Effect<string | undefined>

// a handle that is made of another one has it too
const key: unique symbol = Symbol.for("effect-task-manager/services/internal/inputs")

interface Telling extends TaskManagerHandle {
  readonly [key]?: InputOf
}

export const withInputs = (handle: TaskManagerHandle, inputOf: InputOf): TaskManagerHandle => {
  const both: Telling = { ...handle, [key]: inputOf }
  return both
}

/** What a task was called with, as JSON text; undefined where the manager does not know it, or does not know it any more. */
export const inputOf = (handle: Telling, id: TaskId): Effect.Effect<string | undefined> => {
  const { [key]: ofMemory }: Telling = unheld(handle)
  return (handle[key] ?? ofMemory)?.(id) ?? Effect.sync(() => undefined)
}
