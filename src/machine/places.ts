/** The places under the limits on how many tasks run at once: who holds one, and how they are given out, lent and taken back. */
import { hears } from "./budgets.js"
import * as events from "./events.js"
import { meterBegins } from "./ledger.js"
import { started } from "./snapshots.js"
import { type Lane, Line, nextLine, place } from "./state/lanes.js"
import type { Session } from "./state/Session.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { Waiter } from "./state/Waiter.js"

/** The task of a chain in whose place all of it runs. */
const holderOf = (tasks: ReadonlyArray<TaskRecord>): TaskRecord | undefined =>
  tasks.find((task) => task.place !== "shared")

/** A task that still waits elsewhere goes on without its place: what it waits for there may need it. */
const needsPlace = (task: TaskRecord | undefined): task is TaskRecord => task?.place === "lent" && !task.isStanding

const isFull = ({ limits: { perSession } }: TaskTable, session: Session): boolean => session.places >= perSession

const hasPlace = (table: TaskTable, { lane, session }: TaskRecord): boolean =>
  table.places < table.limits.concurrency && lane.places < lane.limit && !isFull(table, session)

/** Its lines may be served, or may not be served any more. */
const placeLines = (table: TaskTable, session: Session): void => {
  if (session.lines === undefined) return
  const full = isFull(table, session)
  for (const line of session.lines.values()) place(line, full)
}

const lineOf = (table: TaskTable, lane: Lane, session: Session): Line => {
  if (table.limits.perSession === Infinity) return lane.line ??= new Line(lane, undefined)
  session.lines ??= new Map()
  const known = session.lines.get(lane)
  if (known !== undefined) return known
  const line = new Line(lane, session)
  session.lines.set(lane, line)
  return line
}

/** Somebody has joined a line or has left it. */
const changed = (table: TaskTable, line: Line, session: Session, by: 1 | -1): void => {
  table.waiting += by
  place(line, line.session !== undefined && isFull(table, session))
  if (line.isEmpty) session.lines?.delete(line.lane)
}

const joinLine = (table: TaskTable, task: TaskRecord): void => {
  const line = lineOf(table, task.lane, task.session)
  task.waitsSince = ++table.lastWaiting
  task.queueNode = line.append(task)
  changed(table, line, task.session, 1)
}

const leaveLine = (table: TaskTable, task: TaskRecord): void => {
  if (task.queueNode === undefined) return
  const line = lineOf(table, task.lane, task.session)
  line.remove(task, task.queueNode)
  task.queueNode = undefined
  changed(table, line, task.session, -1)
}

/** A wait is over, and its task has no place to go on in. */
const joinReturning = (table: TaskTable, waiter: Waiter, holder: TaskRecord): void => {
  const line = lineOf(table, holder.lane, holder.session)
  waiter.waitsSince = ++table.lastWaiting
  waiter.node = line.returning.append(waiter)
  waiter.returnsTo = holder
  for (const task of waiter.tasks) task.returning = (task.returning ?? new Set()).add(waiter)
  changed(table, line, holder.session, 1)
}

/** A wait that wanted its task's place back does not wait for it any more. */
const leaveReturning = (table: TaskTable, waiter: Waiter): void => {
  for (const task of waiter.tasks) {
    if (task.returning?.delete(waiter) === true) hears(table, task)
  }
  const { node, returnsTo } = waiter
  waiter.returnsTo = undefined
  if (returnsTo === undefined) return
  const line = lineOf(table, returnsTo.lane, returnsTo.session)
  // who was woken in between, or has left, is out of its list already
  if (node !== undefined) line.returning.remove(node)
  waiter.node = undefined
  changed(table, line, returnsTo.session, -1)
}

const useOne = (table: TaskTable, { lane, session }: TaskRecord): void => {
  table.places++
  lane.places++
  session.places++
  if (table.limits.perSession === Infinity) return
  session.lastServed = ++table.lastServed
  placeLines(table, session)
}

const giveBack = (table: TaskTable, { lane, session }: TaskRecord): void => {
  table.places--
  lane.places--
  session.places--
  placeLines(table, session)
}

/** The task has its place: so have all waits that are over and run in it. */
const take = (table: TaskTable, task: TaskRecord): void => {
  task.place = "held"
  useOne(table, task)
  if (task.returning === undefined) return
  for (const waiter of task.returning) {
    if (holderOf(waiter.tasks) !== task) continue
    leaveReturning(table, waiter)
    table.consequences.woken.push(waiter.wake)
  }
}

/** The tool begins (in this step, by the runtime). */
const begin = (table: TaskTable, task: TaskRecord, now: number): void => {
  if (task.meter !== undefined) meterBegins(task.meter)
  events.started(table, now, events.change(table, task, started(task.snapshot, now)))
  if (task.runtime !== undefined) table.consequences.launched.push(task.runtime)
}

/** Begins a launch that is admitted, or queues it if the limit is reached. The caller has counted it as active. */
export const admit = (table: TaskTable, task: TaskRecord, now: number): void => {
  const parent = task.inlineParent
  if (parent !== undefined && parent.place !== "none") {
    task.place = "shared"
    begin(table, task, now)
  } else if (hasPlace(table, task) && task.lane.ready.size === 0) {
    take(table, task)
    begin(table, task, now)
  } else {
    joinLine(table, task)
    events.queued(table, now, events.change(table, task, { ...task.snapshot, status: "Queued" }))
  }
}

/** Gives out free places, until none is left that somebody waits for. */
export const grant = (table: TaskTable, now: number): void => {
  while (table.waiting > 0 && table.places < table.limits.concurrency) {
    const line = nextLine(table.lanes)
    if (line === undefined) return
    const waiter = line.returning.first?.value
    if (waiter !== undefined) {
      table.consequences.woken.push(waiter.wake)
      reclaimOf(table, waiter)
      continue
    }
    const task = line.first
    if (task === undefined) return
    leaveLine(table, task)
    take(table, task)
    begin(table, task, now)
  }
}

/** The launch is over, or left the queue. */
export const vacate = (table: TaskTable, task: TaskRecord): void => {
  leaveLine(table, task)
  if (task.place === "held") giveBack(table, task)
  task.place = "none"
  if (task.returning === undefined) return
  // their task has no use for a place any more
  for (const waiter of task.returning) {
    leaveReturning(table, waiter)
    table.consequences.woken.push(waiter.wake)
  }
}

/** A waiting task's place is free for others. */
export const lend = (table: TaskTable, waiter: Waiter, now: number): void => {
  const holder = holderOf(waiter.tasks)
  if (holder?.place !== "held") return
  holder.place = "lent"
  giveBack(table, holder)
  grant(table, now)
}

/** Wakes a waiter whose wait is over, once its task has its place back. */
export const wakeInPlace = (table: TaskTable, waiter: Waiter): void => {
  const holder = holderOf(waiter.tasks)
  if (needsPlace(holder)) {
    if (!hasPlace(table, holder)) return joinReturning(table, waiter, holder)
    take(table, holder)
  }
  table.consequences.woken.push(waiter.wake)
}

/** A task that lent its place goes on at once, over the limit if need be, for it cannot be made to wait. */
export const reclaim = (table: TaskTable, task: TaskRecord): void => {
  if (needsPlace(task)) take(table, task)
}

/** A waiter does not wait any more, for what it waited for or for its place. */
export const reclaimOf = (table: TaskTable, waiter: Waiter): void => {
  leaveReturning(table, waiter)
  const holder = holderOf(waiter.tasks)
  if (holder !== undefined) reclaim(table, holder)
}

/** A task that ran in its parent's place goes on without its parent: it needs a place of its own, over the limit if need be. */
export const stopSharing = (table: TaskTable, task: TaskRecord): void => {
  if (task.place !== "shared") return
  // what it waits for may need the place
  if (task.isStanding) task.place = "lent"
  else take(table, task)
}

/**
 * `change` gives a live task another priority. Where it waits for a place, it stands behind those that have this priority already.
 */
export const movedInLine = (table: TaskTable, task: TaskRecord, change: () => void): void => {
  const waits = task.queueNode !== undefined
  leaveLine(table, task)
  change()
  if (waits) joinLine(table, task)
}

/** How many tasks of a lane run at once, from now on. */
export const setLimit = (table: TaskTable, lane: Lane, limit: number, now: number): void => {
  lane.limit = limit
  grant(table, now)
}
