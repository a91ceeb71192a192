/**
 * Who is counted as running, and who waits for that count.
 *
 * A task that waits itself is not counted and lends its place under the concurrency limit: two tools that wait for the
 * same manager would otherwise wait for ever.
 */
import { LinkedList } from "../shared/LinkedList.js"
import { lend, reclaim, wakeInPlace } from "./places.js"
import type { TaskRecord, TaskTable, TaskWait, Turn, Waiter } from "./TaskTable.js"

const isActive = ({ snapshot: { status } }: TaskRecord): boolean =>
  status === "Running" || status === "Queued" || status === "Cancelling"

const isForeground = (task: TaskRecord): boolean => task.snapshot.kind === "Foreground"

/** Wakes everybody who waits in a list; each checks its condition again. */
export const wakeAll = (table: TaskTable, waiters: LinkedList<Waiter>): void => {
  for (let node = waiters.first; node !== undefined; node = waiters.first) {
    waiters.remove(node)
    node.value.node = undefined
    stopWaiting(table, node.value)
    wakeInPlace(table, node.value)
  }
}

const wakeDrained = (table: TaskTable, turn: Turn): void => {
  if (turn.active > 0) return
  // before one of them counts again: to each other, tasks that wait for their own turn would never have ended
  for (const waiter of turn.waiters) waiter.foundDrained = waiter.tasks.length > 0
  wakeAll(table, turn.waiters)
}

const wakeIdle = (table: TaskTable): void => {
  if (table.active === 0) wakeAll(table, table.idleWaiters)
}

/** The task holds up `waitForIdle` and, in the foreground, `waitForTurn`. Does nothing while it waits itself. */
export const count = (table: TaskTable, task: TaskRecord): void => {
  if (task.waits > 0) return
  table.active++
  if (isForeground(task)) task.turn.active++
}

/** The task no longer holds up anything. To be called while its status and kind are still the counted ones. */
export const uncount = (table: TaskTable, task: TaskRecord): void => {
  if (task.waits > 0) return
  table.active--
  if (isForeground(task)) task.turn.active--
}

/** A counted foreground task goes to the background. */
export const uncountFromTurn = (task: TaskRecord): void => {
  if (task.waits === 0) task.turn.active--
}

/** To be called at the end of a transition that uncounted a task: only then is everything it delivered in its queue. */
export const wakeUncounted = (table: TaskTable, task: TaskRecord): void => {
  wakeDrained(table, task.turn)
  wakeIdle(table)
}

/** Wakes those who watch the set of live tasks, once for all changes of a step. */
export const wakeWatchers = (table: TaskTable): void => {
  if (table.toldVersion === table.version) return
  table.toldVersion = table.version
  wakeAll(table, table.changeWaiters)
}

const stopWaiting = (table: TaskTable, waiter: Waiter): void => {
  waiter.isWaiting = false
  if (waiter.staysCounted) return
  for (const task of waiter.tasks) {
    task.waits--
    if (isActive(task)) count(table, task)
  }
}

/**
 * Parks a waiter until it is woken, or wakes it at once if its condition already holds: looking and parking are one step,
 * so that no wake-up falls between them.
 */
export const park = (
  table: TaskTable,
  waiter: Waiter,
  waiters: LinkedList<Waiter>,
  isReady: () => boolean,
  now: number
): void => {
  waiter.isWaiting = true
  if (!waiter.staysCounted) {
    for (const task of waiter.tasks) {
      if (isActive(task)) uncount(table, task)
      task.waits++
    }
  }
  waiter.node = waiters.append(waiter)
  lend(table, waiter, now)
  for (const task of waiter.tasks) wakeDrained(table, task.turn)
  wakeIdle(table)
  if (waiter.isWaiting && isReady()) {
    waiters.remove(waiter.node)
    waiter.node = undefined
    stopWaiting(table, waiter)
    wakeInPlace(table, waiter)
  }
}

/** Parks a wait at each of the tasks; returns where its waiter is to be parked. */
export const enterTasks = (wait: TaskWait, tasks: ReadonlyArray<TaskRecord>): LinkedList<Waiter> => {
  for (const task of tasks) {
    task.taskWaits ??= new LinkedList()
    wait.nodes.push(task.taskWaits.append(wait))
  }
  return wait.waiters
}

/** The wait is over: nothing of it is left at any task. */
export const leaveTasks = ({ nodes }: TaskWait): void => {
  for (const node of nodes.splice(0)) node.list?.remove(node)
}

/** Wakes those who wait for the task to settle or to be suspended, once its result or approval is in its queue. */
export const wakeTaskWaits = (table: TaskTable, task: TaskRecord): void => {
  const { taskWaits } = task
  if (taskWaits === undefined) return
  for (let node = taskWaits.first; node !== undefined; node = taskWaits.first) {
    leaveTasks(node.value)
    wakeAll(table, node.value.waiters)
  }
  task.taskWaits = undefined
}

/** A waiter leaves before it was woken. */
export const leave = (table: TaskTable, waiter: Waiter): void => {
  const node = waiter.node
  if (node === undefined) return
  waiter.node = undefined
  node.list?.remove(node)
  if (waiter.isWaiting) stopWaiting(table, waiter)
  reclaim(table, waiter)
}
