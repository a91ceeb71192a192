/** Looks at the manager's own state: whether it is consistent at rest, and whether anything is left at the end. */
import type { SessionId } from "../../../src/model/ids.js"
import { wrongPlaces } from "../../support/places.js"
import type { World } from "./World.js"

const isActive = (status: string): boolean => status === "Queued" || status === "Running" || status === "Cancelling"

/** What consumers have in hand; unknown if the session was closed since, for then they work for one that is gone. */
const heldIn = (world: World, sessionId: SessionId): number | undefined => {
  let held = 0
  for (const { began, ended, handed, inHand, operation, sessionId: of } of world.calls) {
    if (of !== sessionId || handed === undefined || ended !== undefined) continue
    // a close that began before may have taken its step after
    const isClosed = world.calls.some((call) =>
      call.operation === "closeSession" && call.sessionId === sessionId &&
      (call.ended === undefined || call.ended.order > began.order)
    )
    if (isClosed) return undefined
    // an update of a turn may be the notice of a detach, which is not in hand here
    held += operation === "consumeTurnUpdate" ? 1 : inHand.length
  }
  return held
}

/** To be called when nobody is ready. */
export const checkTable = (world: World): void => {
  const { state, timers } = world.subject.engine
  const { table } = state
  const expect = (what: string, found: number, wanted: number): void => {
    if (found !== wanted) world.violate(10, `at rest, ${what} is ${found} where ${wanted} is true`)
  }
  let active = 0
  let suspended = 0
  for (const task of table.live) {
    if (isActive(task.snapshot.status)) active++
    if (task.snapshot.status === "Suspended") suspended++
  }
  expect("the number of active tasks", table.idle.active, active)
  expect("the number of suspended tasks", table.suspended.size, suspended)
  for (const wrong of wrongPlaces(table)) world.violate(5, `at rest, ${wrong}`)
  expect("the number of known tasks", table.tasks.size, table.live.size + table.history.length)
  let outputBytes = 0
  for (const output of table.settledOutputs) outputBytes += output.size
  expect("the number of bytes of settled output", table.settledOutputBytes, outputBytes)
  if (outputBytes > table.limits.outputHistory) world.violate(10, `${outputBytes} bytes of settled output are kept`)
  if (table.history.length > table.limits.history) world.violate(10, `${table.history.length} settled tasks are kept`)
  let historyBytes = 0
  for (const { bytes } of table.history) historyBytes += bytes
  expect("the number of bytes of settled tasks", table.history.bytes, historyBytes)
  if (historyBytes > table.limits.historyBytes) world.violate(10, `${historyBytes} bytes of settled tasks are kept`)
  // a live task has five at most: to be detached, to time out, in the background too, to be idle, to be abandoned
  const waits = world.calls.filter(({ ended, isLimited }) => isLimited && ended === undefined).length
  if (timers.size() > 5 * table.live.size + waits) {
    world.violate(10, `${timers.size()} timers are armed for ${table.live.size} live tasks and ${waits} waits`)
  }
  for (const session of table.sessions.values()) {
    let waiting = session.updates.size + session.manual.size
    for (const turn of session.turns.values()) waiting += turn.updates.size
    expect(`the number of results of ${session.id} that wait`, session.undelivered.count, waiting)
    for (const same of session.calls?.values() ?? []) {
      for (const one of same) {
        if (table.tasks.get(one.snapshot.id) !== one) {
          world.violate(10, `${one.snapshot.id} may be joined, and is not live`)
        }
      }
      if (same.size === 0) world.violate(10, `an index of the same calls of ${session.id} is empty`)
    }
    const held = heldIn(world, session.id)
    if (held !== undefined) expect(`what the consumers of ${session.id} have in hand`, session.inHand, held)
    for (const turn of session.turns.values()) {
      let foreground = 0
      for (const { snapshot: { kind, status } } of turn.tasks) {
        if (kind === "Foreground" && isActive(status)) foreground++
      }
      expect(`the number of active tasks of ${session.id}/${turn.id}`, turn.active, foreground)
    }
  }
}

/** To be called when everything is drained. */
export const checkNothingLeft = (world: World, when: string): void => {
  const { state, timers } = world.subject.engine
  const { table } = state
  const none = (what: string, count: number): void => {
    if (count !== 0) world.violate(10, `${count} ${what} left ${when}`)
  }
  none("sessions", table.sessions.size)
  none("live tasks", table.live.size)
  none("suspended tasks", table.suspended.size)
  none("manual results", table.manual.size)
  none("active tasks", table.idle.active)
  none("places in use", table.places)
  none("tasks and waits that wait for a place", table.waiting)
  none("waiters for idle", table.idle.waiters.size)
  none("timers", timers.size())
  for (const { undelivered } of table.history) none("results tied to a settled task", undelivered === undefined ? 0 : 1)
  none("settled tasks too many", Math.max(0, table.history.length - table.limits.history))
  if (table.closed) none("watchers", table.changeWaiters.size + table.inbox.waiters.size)
}
