/** The places of the concurrency limit: who holds one, who waits for one, and in which order they are given out. */
import * as events from "./events.js"
import { started } from "./snapshots.js"
import type { TaskRecord, TaskTable, Waiter } from "./TaskTable.js"

/** The task of a chain in whose place all of it runs. */
const holderOf = (tasks: ReadonlyArray<TaskRecord>): TaskRecord | undefined =>
  tasks.find((task) => task.place !== "shared")

/** A task that still waits elsewhere goes on without its place: what it waits for there may need it. */
const needsPlace = (task: TaskRecord | undefined): task is TaskRecord => task?.place === "lent" && !task.isStanding

/** The task has its place: so have all waits that are over and run in it. */
const take = (table: TaskTable, task: TaskRecord): void => {
  task.place = "held"
  table.places++
  if (task.returning === undefined) return
  for (const waiter of task.returning) {
    if (holderOf(waiter.tasks) !== task) continue
    waiter.node?.list?.remove(waiter.node)
    waiter.node = undefined
    returnNoMore(waiter)
    table.consequences.woken.push(waiter.wake)
  }
}

const returnNoMore = (waiter: Waiter): void => {
  for (const task of waiter.tasks) task.returning?.delete(waiter)
}

/** The tool begins (in this step, by the runtime). */
const begin = (table: TaskTable, task: TaskRecord, now: number): void => {
  events.started(table, now, events.change(table, task, started(task.snapshot, now)))
  if (task.runtime !== undefined) table.consequences.launched.push(task.runtime)
}

/** Begins a launch that is admitted, or queues it if the limit is reached. The caller has counted it as active. */
export const admit = (table: TaskTable, task: TaskRecord, now: number): void => {
  const parent = task.inlineParent
  if (parent !== undefined && parent.place !== "none") {
    task.place = "shared"
    begin(table, task, now)
  } else if (table.places < table.limits.concurrency && table.queue.isEmpty && table.returning.isEmpty) {
    take(table, task)
    begin(table, task, now)
  } else {
    task.queueNode = table.queue.append(task)
    events.queued(table, now, events.change(table, task, { ...task.snapshot, status: "Queued" }))
  }
}

/** Gives out free places: first to waits that are over, then to the queue. */
export const grant = (table: TaskTable, now: number): void => {
  while (table.places < table.limits.concurrency) {
    const waiter = table.returning.shift()
    if (waiter !== undefined) {
      waiter.node = undefined
      table.consequences.woken.push(waiter.wake)
      reclaimOf(table, waiter)
      continue
    }
    const task = table.queue.shift()
    if (task === undefined) return
    task.queueNode = undefined
    take(table, task)
    begin(table, task, now)
  }
}

/** The launch is over, or left the queue. */
export const vacate = (table: TaskTable, task: TaskRecord): void => {
  if (task.queueNode !== undefined) {
    table.queue.remove(task.queueNode)
    task.queueNode = undefined
  }
  if (task.place === "held") table.places--
  task.place = "none"
}

/** A waiting task's place is free for others. */
export const lend = (table: TaskTable, waiter: Waiter, now: number): void => {
  const holder = holderOf(waiter.tasks)
  if (holder?.place !== "held") return
  holder.place = "lent"
  table.places--
  grant(table, now)
}

/** Wakes a waiter whose wait is over, once its task has its place back. */
export const wakeInPlace = (table: TaskTable, waiter: Waiter): void => {
  const holder = holderOf(waiter.tasks)
  if (needsPlace(holder)) {
    if (table.places >= table.limits.concurrency) {
      waiter.node = table.returning.append(waiter)
      for (const task of waiter.tasks) task.returning = (task.returning ?? new Set()).add(waiter)
      return
    }
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
  returnNoMore(waiter)
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
