/**
 * What the suspended tasks of one session ask. `listSuspended` has those of all sessions, and who hosts one of many must not pay for the
 * others.
 */
import * as Effect from "effect/Effect"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId } from "../../model/ids.js"
import type { TaskManagerHandle } from "../TaskManager.js"
import { handleMember } from "./handleMember.js"

const member = handleMember<(sessionId: SessionId) => Effect.Effect<ReadonlyArray<TaskApproval>>>("suspendedOf")

/** The handle, with a read that looks at no other session. */
export const withSuspendedOf = member.with

/** What the suspended tasks of a session ask, longest suspended first. */
export const suspendedOf = (
  handle: TaskManagerHandle,
  sessionId: SessionId
): Effect.Effect<ReadonlyArray<TaskApproval>> =>
  member.of(handle)?.(sessionId) ??
    // a handle that is made of none of ours, such as that of a test
    Effect.map(handle.listSuspended, (all) => all.filter(({ toolRequest }) => toolRequest.sessionId === sessionId))
