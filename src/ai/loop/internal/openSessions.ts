/** Which sessions are open in which manager: two loops with one session would take each other's results. */
import * as GlobalValue from "effect/GlobalValue"
import type { SessionId } from "../../../model/ids.js"
import type { TaskManager } from "../../../services/TaskManager.js"

const openSessions = GlobalValue.globalValue(
  "effect-task-manager/ai/openSessions",
  () => new WeakMap<TaskManager["Type"], Set<SessionId>>()
)

/** Takes the session for one loop, in the current step; false if it is open. */
export const claim = (manager: TaskManager["Type"], sessionId: SessionId): boolean => {
  const open = openSessions.get(manager) ?? new Set()
  openSessions.set(manager, open)
  if (open.has(sessionId)) return false
  open.add(sessionId)
  return true
}

/** The session is closed: it can be opened again. */
export const release = (manager: TaskManager["Type"], sessionId: SessionId): void => {
  openSessions.get(manager)?.delete(sessionId)
}
