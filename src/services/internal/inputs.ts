/**
 * What tasks were called with, for adapters that show it to people where the host wants that. It is no member of the handle: most that
 * have one are not to see it.
 */
import * as Effect from "effect/Effect"
import type { TaskId } from "../../model/ids.js"
import type { TaskManagerHandle } from "../TaskManager.js"
import { handleMember } from "./handleMember.js"
import { unheld } from "./unheld.js"

const member = handleMember<(id: TaskId) => Effect.Effect<string | undefined>>("inputs")

export const withInputs = member.with

/** What a task was called with, as JSON text; undefined where the manager does not know it, or does not know it any more. */
export const inputOf = (handle: TaskManagerHandle, id: TaskId): Effect.Effect<string | undefined> =>
  (member.of(handle) ?? member.of(unheld(handle)))?.(id) ?? Effect.sync(() => undefined)
