/** What the host and the loop do to a task that exists: the cells of the table of operations and states. */
import type { ToolError } from "../errors.js"
import type { SessionId, TaskId, TurnRef } from "../model/ids.js"
import type { CancelReason, ContinuePolicy, DeliveryMode, TaskSnapshot } from "../model/Task.js"
import type { TaskProgress } from "../model/TaskEvent.js"
import type { UsageCosts } from "../model/Usage.js"
import { timeoutOf } from "./budgets.js"
import { deliverDetached, discardUndelivered } from "./delivery.js"
import * as events from "./events.js"
import { cancelledWith } from "./family.js"
import { settle } from "./finish.js"
import { closeSums, type NameTooMany, report } from "./ledger.js"
import { endReading } from "./messages.js"
import { acceptInterrupted, refuseEverything, refuseTurns } from "./pending.js"
import { movedInLine, setLimit, stopSharing } from "./places.js"
import type { Refusal } from "./refusal.js"
import * as results from "./results.js"
import { cancelling } from "./snapshots.js"
import type { Overrun } from "./state/Budgets.js"
import type { PendingStart } from "./state/PendingStart.js"
import { ensureSession, ensureTurn } from "./state/Session.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import { laneOf, type TaskTable } from "./state/TaskTable.js"
import { passOnWaits, uncountFromTurn, wakeAll, wakeUncounted } from "./waiting.js"

const notFound: Refusal = { _tag: "NotFound" }

const isChangeable = (task: TaskRecord): boolean =>
  task.snapshot.status === "Queued" || task.snapshot.status === "Running"

/**
 * Decides that a live task ends, and why. A queued or suspended one is settled at once; a running one is Cancelling until its
 * tool has really ended. What it has started is cancelled with it, as its route says. Does nothing to a task whose end was
 * already decided; `cancelled` gets the tasks that were cancelled.
 */
const cancelTask = (
  table: TaskTable,
  task: TaskRecord,
  reason: CancelReason,
  now: number,
  cancelled: Array<TaskRecord> = []
): void => {
  // a list and no recursion: a family may be deeper than the stack
  const family = [{ task, reason }]
  // those that are added meanwhile come too
  for (const next of family) {
    // before it settles, and leaves its family
    const children = cancelledWith(next.task)
    if (!cancelOne(table, next.task, next.reason, now)) continue
    cancelled.push(next.task)
    for (const child of children) family.push({ task: child, reason: reasonOfChild(next.task, next.reason, child) })
  }
}

/** Why a child is stopped: for what stopped its parent, unless that is about the parent alone. */
const reasonOfChild = (parent: TaskRecord, reason: CancelReason, child: TaskRecord): CancelReason => {
  switch (reason) {
    case "Shutdown":
    case "Cancelled":
      return reason
    case "SessionClosed":
      return child.session === parent.session ? reason : "Cancelled"
    case "TurnInterrupted":
      return child.turn === parent.turn ? reason : "Cancelled"
    case "TimedOut":
    case "LimitReached":
      return "Cancelled"
  }
}

/** As `cancelTask`, without its children. Returns false for a task whose end was already decided. */
const cancelOne = (table: TaskTable, task: TaskRecord, reason: CancelReason, now: number): boolean => {
  switch (task.snapshot.status) {
    case "Queued":
    case "Suspended":
      settle(table, task, { _tag: "Cancelled" }, now)
      return true
    case "Running":
      task.cancelReason = reason
      events.change(table, task, cancelling(task.snapshot))
      endReading(table, task)
      if (task.runtime !== undefined) table.consequences.interrupted.push(task.runtime)
      return true
    default:
      return false
  }
}

/**
 * Cancels a task. Returns its record while it is not settled, to be waited for; `cancelled` gets everything that is cancelled with it.
 */
export const cancel = (
  table: TaskTable,
  id: TaskId,
  now: number,
  cancelled?: Array<TaskRecord>
): TaskRecord | "Settled" | Refusal => {
  const task = table.tasks.get(id)
  if (task === undefined) return notFound
  if (!task.isLive) return "Settled"
  cancelTask(table, task, "Cancelled", now, cancelled)
  return task
}

/** The caller that ran the task inline was interrupted: the result goes to the turn. */
export const cancelInline = (table: TaskTable, task: TaskRecord, now: number): void => {
  task.inlineCaller = undefined
  cancelTask(table, task, "Cancelled", now)
}

/** A running launch has passed one of its limits. */
export const timeOut = (
  table: TaskTable,
  task: TaskRecord,
  launch: number,
  now: number,
  overrun: Overrun = { _tag: "Timeout", millis: task.timeout }
): void => {
  if (task.snapshot.launch !== launch || task.snapshot.status !== "Running") return
  switch (overrun._tag === "Timeout" ? timeoutOf(task) : "fail") {
    case "fail":
      task.overrun = overrun
      cancelTask(table, task, "TimedOut", now)
      return
    case "detach":
      return detachTask(table, task, now, {
        overdue: { after: overrun.millis, asks: task.budgets?.onTimeout === "ask" }
      })
    case "none":
  }
}

/** Nobody has answered the question of a task in time. `asking`: which question that was. */
export const approvalTimedOut = (table: TaskTable, task: TaskRecord, asking: string | undefined, now: number): void => {
  if (task.snapshot.status !== "Suspended" || task.asked?.approval.asking !== asking) return
  // it was answered in time, and is still being routed: should that come to nothing, the timer is set again
  if (task.pending?.isEmpty === false) return
  const why = results.unanswered(task.budgets?.approval ?? Infinity, task.asked?.answered !== undefined)
  const error = results.approvalRejected(task.request, why)
  settle(table, task, { _tag: "Failed", error }, now)
}

const detachTask = (
  table: TaskTable,
  task: TaskRecord,
  now: number,
  why?: Pick<TaskSnapshot, "overdue"> | Pick<TaskSnapshot, "overLimit">
): void => {
  uncountFromTurn(task)
  const snapshot: TaskSnapshot = { ...task.snapshot, kind: "Background", ...why }
  events.detached(table, now, events.change(table, task, snapshot))
  deliverDetached(table, task)
  stopSharing(table, task)
  task.inlineCaller = undefined
  task.inlineParent = undefined
  if (task.runtime !== undefined) table.consequences.retimed.push(task.runtime)
  passOnWaits(table, task)
  wakeUncounted(table, task)
}

/** Sends a task to the background. Returns whether it was in the foreground. */
export const detach = (table: TaskTable, id: TaskId, now: number): boolean | Refusal => {
  const task = table.tasks.get(id)
  if (task === undefined) return notFound
  if (!task.isLive || !isChangeable(task)) return { _tag: "WrongStatus", status: task.snapshot.status }
  if (task.snapshot.kind === "Background") return false
  detachTask(table, task, now)
  return true
}

/** The detach timer of a launch has run out. */
export const detachAfter = (table: TaskTable, task: TaskRecord, launch: number, now: number): void => {
  if (task.snapshot.launch === launch && task.snapshot.kind === "Foreground" && isChangeable(task)) {
    detachTask(table, task, now)
  }
}

/** A live task whose end is not decided. */
const configurable = (table: TaskTable, id: TaskId): TaskRecord | Refusal => {
  const task = table.tasks.get(id)
  if (task === undefined) return notFound
  return task.isLive && (isChangeable(task) || task.snapshot.status === "Suspended")
    ? task
    : { _tag: "WrongStatus", status: task.snapshot.status }
}

/** Changes where a background result will go, or whether it asks for another turn. */
export const configure = (
  table: TaskTable,
  id: TaskId,
  patch: { readonly deliveryMode: DeliveryMode } | { readonly continuePolicy: ContinuePolicy }
): true | Refusal => {
  const task = configurable(table, id)
  if ("_tag" in task) return task
  events.change(table, task, { ...task.snapshot, ...patch })
  return true
}

/** Changes which task gets a place first, of those that wait for one or will. */
export const setPriority = (table: TaskTable, id: TaskId, priority: number): true | Refusal => {
  const task = configurable(table, id)
  if ("_tag" in task) return task
  const { priority: _, ...snapshot } = task.snapshot
  movedInLine(
    table,
    task,
    () => void events.change(table, task, priority === 0 ? snapshot : { ...snapshot, priority })
  )
  return true
}

/** Why a lane keeps its limit. */
export type LaneRefusal =
  | { readonly _tag: "UnknownLane" }
  | { readonly _tag: "InUse"; readonly running: number }

/** Changes how many tasks of a lane run at once. */
export const setConcurrency = (table: TaskTable, name: string, limit: number, now: number): true | LaneRefusal => {
  const lane = laneOf(table, name)
  if (lane === undefined) return { _tag: "UnknownLane" }
  if (limit < lane.places) return { _tag: "InUse", running: lane.places }
  setLimit(table, lane, limit, now)
  return true
}

/** Ends a suspended task as not approved. An answer that names its question answers no other one. */
export const rejectApproval = (
  table: TaskTable,
  id: TaskId,
  { asking, reason }: { readonly asking?: string | undefined; readonly reason?: string | undefined },
  now: number
): true | Refusal | { readonly _tag: "OtherAsking" } => {
  const task = table.tasks.get(id)
  if (task === undefined) return notFound
  if (!task.isLive || task.snapshot.status !== "Suspended") {
    return { _tag: "WrongStatus", status: task.snapshot.status }
  }
  if (asking !== undefined && asking !== task.asked?.approval.asking) return { _tag: "OtherAsking" }
  settle(table, task, { _tag: "Failed", error: results.approvalRejected(task.request, reason) }, now)
  return true
}

/** A running tool says how far it is. */
export const progress = (
  table: TaskTable,
  task: TaskRecord,
  launch: number,
  said: TaskProgress,
  now: number
): void => {
  if (task.snapshot.launch !== launch || task.snapshot.status !== "Running") return
  task.lastProgress = said
  events.progressed(table, now, task.snapshot, said)
}

/**
 * A launch reports what it has used. What is used while its tool is stopped was used, too. What comes after its end is
 * not counted, and makes no name known.
 */
export const addUsage = (
  table: TaskTable,
  task: TaskRecord,
  launch: number,
  costs: UsageCosts,
  now: number
): NameTooMany | undefined => {
  const { meter, snapshot: { launch: current, overLimit, status } } = task
  const isRunning = status === "Running"
  if (table.ledger === undefined || meter === undefined || current !== launch) return undefined
  if (!isRunning && status !== "Cancelling") return undefined
  const broken = report(table.ledger, meter, costs)
  if (broken !== undefined && "nameTooMany" in broken) return broken
  events.change(table, task, { ...task.snapshot, usage: meter.own.usage })
  if (broken === undefined || !isRunning) return undefined
  if (broken.onLimit === "fail") {
    task.reached = broken.reached
    cancelTask(table, task, "LimitReached", now)
    return undefined
  }
  // it was asked before
  if (overLimit !== undefined) return undefined
  const why = { overLimit: broken.reached }
  if (task.snapshot.kind === "Foreground") detachTask(table, task, now, why)
  else events.change(table, task, { ...task.snapshot, ...why })
  return undefined
}

/** A running tool has failed, and is tried again after `delay` milliseconds. */
export const retry = (
  table: TaskTable,
  task: TaskRecord,
  launch: number,
  { delay, error }: { readonly error: ToolError; readonly delay: number },
  now: number
): void => {
  const { attempt = 1, launch: current, status } = task.snapshot
  if (current !== launch || status !== "Running") return
  events.retrying(table, now, events.change(table, task, { ...task.snapshot, attempt: attempt + 1 }), error, delay)
}

/**
 * What an interrupt did. `unsettled` are the tasks to wait for: those it cancelled and those that were Cancelling. `unknown` are calls that
 * may be accepted for it yet.
 */
export interface Interruption {
  readonly cancelled: ReadonlyArray<TaskRecord>
  readonly kept: ReadonlyArray<TaskRecord>
  readonly unsettled: ReadonlyArray<TaskRecord>
  readonly unknown?: ReadonlyArray<PendingStart>
}

const isCancelling = ({ snapshot: { status } }: TaskRecord): boolean => status === "Cancelling"

const interrupt = (
  table: TaskTable,
  tasks: ReadonlyArray<TaskRecord>,
  isMeant: (task: TaskRecord) => boolean,
  reason: CancelReason,
  now: number
): Interruption => {
  const cancelled: Array<TaskRecord> = []
  const kept: Array<TaskRecord> = []
  const unsettled = new Set<TaskRecord>()
  for (const task of tasks) {
    if (!isMeant(task)) {
      if (task.snapshot.status !== "Cancelling") kept.push(task)
      continue
    }
    cancelTask(table, task, reason, now, cancelled)
    if (isCancelling(task)) unsettled.add(task)
  }
  // those in other turns and sessions too, that were started from inside of these
  for (const task of cancelled) if (isCancelling(task)) unsettled.add(task)
  return {
    cancelled,
    kept: kept.filter((task) => task.snapshot.status !== "Cancelled" && !isCancelling(task)),
    unsettled: [...unsettled]
  }
}

/** Cancels the foreground of a turn; what is started for it from now on is cancelled at once, until it has drained. */
export const interruptTurn = (table: TaskTable, ref: TurnRef, now: number): Interruption => {
  const turn = ensureTurn(ensureSession(table, ref.sessionId), ref.turnId)
  turn.interrupted = true
  const tasks = turn.tasks.toArray()
  // first, for the results of what is cancelled count for maxUndelivered
  const { accepted, unknown } = acceptInterrupted(table, turn, now)
  const isMeant = (task: TaskRecord) => task.snapshot.kind === "Foreground"
  const interruption = interrupt(table, tasks, isMeant, "TurnInterrupted", now)
  return { ...interruption, cancelled: [...interruption.cancelled, ...accepted], unknown }
}

/**
 * Tells that the session is closed, unless something that was closed under its id is live: then the last of it tells. After the
 * shutdown nobody is told anything.
 */
const tellClosed = (table: TaskTable, id: SessionId, now: number): void => {
  if (!table.closed && !table.closedSessions.has(id)) events.sessionClosed(table, now, id)
}

/**
 * Cancels everything of a session and forgets it. Its record leaves the table at once, so that the id can be used
 * again; what its tasks still deliver finds a closed session and is dropped.
 */
export const closeSession = (table: TaskTable, id: SessionId, now: number): Interruption => {
  const session = table.sessions.get(id)
  if (session === undefined || session.live === 0) tellClosed(table, id, now)
  // also where only its loop has used something
  closeSums(table, id)
  if (session === undefined) return { cancelled: [], kept: [], unsettled: [] }
  session.closed = true
  table.journal?.closed(session)
  discardUndelivered(table, session)
  table.sessions.delete(id)
  if (session.live > 0) {
    const closed = table.closedSessions.get(id)
    if (closed === undefined) table.closedSessions.set(id, new Set([session]))
    else closed.add(session)
  }
  const turns = [...session.turns.values()]
  refuseTurns(table, turns)
  const interruption = interrupt(table, turns.flatMap((turn) => turn.tasks.toArray()), () => true, "SessionClosed", now)
  for (const turn of turns) wakeAll(table, turn.waiters)
  wakeAll(table, session.waiters)
  return interruption
}

/** Stops starting tasks. */
export const stopStarting = (table: TaskTable): void => {
  table.closing = true
  refuseEverything(table)
}

/** Stops starting tasks and cancels every live one. */
export const beginShutdown = (table: TaskTable, now: number): Interruption => {
  stopStarting(table)
  return interrupt(table, table.live.toArray(), () => true, "Shutdown", now)
}

/** Everything is settled: there is nothing to wait for any more. */
export const endShutdown = (table: TaskTable): void => {
  table.closed = true
  table.version++
  for (const session of table.sessions.values()) {
    wakeAll(table, session.waiters)
    for (const turn of session.turns.values()) wakeAll(table, turn.waiters)
  }
  wakeAll(table, table.idle.waiters)
  // who watches has come to the end, also where nothing was asked
  wakeAll(table, table.inbox.waiters)
}
