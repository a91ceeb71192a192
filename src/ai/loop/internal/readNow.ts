/** Reading the manager in the current step. */
import * as Effect from "effect/Effect"
import { unheld } from "../../../services/internal/unheld.js"
import type { TaskManagerHandle } from "../../../services/TaskManager.js"

/**
 * What a read gives, at once: no read of a `TaskManagerHandle` waits, those of a durable manager aside, which `unheld` leaves
 * out. Between two operations of a fiber others run, so that what was read could be old by the time it is used.
 */
export const readNow = <A>(handle: TaskManagerHandle, read: (handle: TaskManagerHandle) => Effect.Effect<A>): A =>
  Effect.runSync(read(unheld(handle)))
