/**
 * What the suspended tasks of one session ask. `listSuspended` has those of all sessions, and who hosts one of many must not pay for the
 * others.
 */
import * as Effect from "effect/Effect"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId } from "../../model/ids.js"
import type { TaskManagerHandle } from "../TaskManager.js"

type SuspendedOf = (sessionId: SessionId) => Effect.Effect<ReadonlyArray<TaskApproval>>

// as that of `unheld`: a handle that is made of another one has it too
const key: unique symbol = Symbol.for("effect-task-manager/services/internal/suspendedOf")

interface Indexed extends TaskManagerHandle {
  readonly [key]?: SuspendedOf
}

/** The handle, with a read that looks at no other session. */
export const withSuspendedOf = (handle: TaskManagerHandle, read: SuspendedOf): TaskManagerHandle => {
  const both: Indexed = { ...handle, [key]: read }
  return both
}

/** What the suspended tasks of a session ask, longest suspended first. */
export const suspendedOf = (handle: Indexed, sessionId: SessionId): Effect.Effect<ReadonlyArray<TaskApproval>> =>
  handle[key]?.(sessionId) ??
    // a handle that is made of none of ours, such as that of a test
    Effect.map(handle.listSuspended, (all) => all.filter(({ toolRequest }) => toolRequest.sessionId === sessionId))
