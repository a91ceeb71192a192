/**
 * Who is counted as running, and who waits for that count.
 *
 * A task that waits stays counted: no turn has drained while a call of it is open. Tools that wait for each other would wait for
 * ever; waitGraph.ts decides when the wait of such a task ends all the same. While a task waits, another one may use its place
 * under the concurrency limit.
 */
import { LinkedList } from "../shared/LinkedList.js"
import { tasksStandingStill } from "./ancestry.js"
import { hears } from "./budgets.js"
import { lend, reclaim, reclaimOf, wakeInPlace } from "./places.js"
import type { Turn } from "./state/Session.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { Drain, TaskWait, Waiter, WaitTarget } from "./state/Waiter.js"
import { isActive, isForeground, leftOut, overByEnd, overByWait } from "./waitGraph.js"

const wake = (table: TaskTable, waiter: Waiter): void => {
  if (waiter.node !== undefined) waiter.node.list?.remove(waiter.node)
  waiter.node = undefined
  stopWaiting(table, waiter)
  wakeInPlace(table, waiter)
}

/** Wakes every waiter of a list; each checks its condition again. */
export const wakeAll = (table: TaskTable, waiters: LinkedList<Waiter>): void => {
  for (let node = waiters.first; node !== undefined; node = waiters.first) wake(table, node.value)
}

const orderOf = ({ tasks: [own] }: Waiter): number => own?.order ?? 0

/**
 * Wakes the waiters whose wait is over, the oldest task first. All of them were found before the first is woken: once one is
 * awake, the waits of the others do not look over any more.
 */
const wakeOver = (table: TaskTable, over: ReadonlyArray<Waiter>): void => {
  if (over.length === 0) return
  const inOrder = [...over].sort((left, right) => orderOf(left) - orderOf(right))
  for (const waiter of inOrder) if (waiter.isWaiting && !comesLast(waiter)) wakeFoundOver(table, waiter)
  for (const waiter of inOrder) {
    if (waiter.isWaiting && comesLast(waiter) && overByWait(table, waiter).includes(waiter)) {
      wakeFoundOver(table, waiter)
    }
  }
}

/**
 * Whether the wait goes on as long as those of other tools can end instead: a call stays with the one that it has joined, and who stops
 * a task hears of its end.
 */
const comesLast = ({ target }: Waiter): boolean => target?._tag === "TaskWait" && target.comesLast

const wakeFoundOver = (table: TaskTable, waiter: Waiter): void => {
  waiter.foundOver = true
  if (waiter.target?._tag === "TaskWait") leaveTasks(waiter.target)
  wake(table, waiter)
}

const addActive = (drain: Drain, task: TaskRecord, by: 1 | -1): void => {
  drain.active += by
  if (task.isStanding) drain.standing += by
}

/** From now on `waitForIdle` waits for the task and, if it is in the foreground, `waitForTurn` does too. */
export const count = (table: TaskTable, task: TaskRecord): void => {
  addActive(table.idle, task, 1)
  if (isForeground(task)) addActive(task.turn, task, 1)
}

/** Nothing waits for the task any more. To be called while its status and kind are still the counted ones. */
export const uncount = (table: TaskTable, task: TaskRecord): void => {
  addActive(table.idle, task, -1)
  if (isForeground(task)) addActive(task.turn, task, -1)
}

/** A counted foreground task goes to the background. */
export const uncountFromTurn = (task: TaskRecord): void => addActive(task.turn, task, -1)

/** To be called at the end of a transition that uncounted a task: only then is everything it delivered in its queue. */
export const wakeUncounted = (table: TaskTable, { turn }: TaskRecord): void => {
  if (turn.active === 0) wakeAll(table, turn.waiters)
  if (table.idle.active === 0) wakeAll(table, table.idle.waiters)
  wakeOver(table, overByEnd(table, turn))
}

/** Wakes the waiters for a change of the live tasks, once for all changes of a step. */
export const wakeWatchers = (table: TaskTable): void => {
  const { inbox } = table
  if (inbox.toldVersion !== inbox.version) {
    inbox.toldVersion = inbox.version
    wakeAll(table, inbox.waiters)
  }
  if (table.toldVersion === table.version) return
  table.toldVersion = table.version
  wakeAll(table, table.changeWaiters)
}

const addStanding = (table: TaskTable, task: TaskRecord, by: 1 | -1): void => {
  if (!isActive(task)) return
  table.idle.standing += by
  if (isForeground(task)) task.turn.standing += by
}

const addWait = (drain: Drain, from: Turn, mayLeaveOut: number): void => {
  drain.waitedFrom ??= new Map()
  drain.waitedFrom.set(from, (drain.waitedFrom.get(from) ?? 0) + 1)
  drain.mayLeaveOut = Math.max(drain.mayLeaveOut, mayLeaveOut)
}

const removeWait = (drain: Drain, from: Turn): void => {
  const { waitedFrom } = drain
  if (waitedFrom === undefined) return
  const times = waitedFrom.get(from) ?? 0
  if (times > 1) waitedFrom.set(from, times - 1)
  else waitedFrom.delete(from)
  if (waitedFrom.size === 0) drain.mayLeaveOut = 0
}

/** The tasks of a waiter cannot go on from now on, until the wait ends. */
const standStill = (table: TaskTable, waiter: Waiter, target: WaitTarget): void => {
  waiter.tasks = tasksStandingStill(table, waiter.ancestry)
  for (const task of waiter.tasks) {
    if (!task.isStanding) addStanding(table, task, 1)
    task.waiting = (task.waiting ?? new Set()).add(waiter)
  }
  for (const { turn } of waiter.tasks) {
    if (target._tag === "Drain") addWait(target, turn, leftOut(table, target, waiter))
    // it waits for these tasks only, not for the others in their turns
    else for (const task of target.tasks) addWait(task.turn, turn, Infinity)
  }
}

const stopWaiting = (table: TaskTable, waiter: Waiter): void => {
  waiter.isWaiting = false
  for (const task of waiter.tasks) hears(table, task)
  if (waiter.target !== undefined) standStillNoMore(table, waiter, waiter.target)
}

const standStillNoMore = (table: TaskTable, waiter: Waiter, target: WaitTarget): void => {
  for (const task of waiter.tasks) {
    task.waiting?.delete(waiter)
    if (!task.isStanding) addStanding(table, task, -1)
  }
  for (const { turn } of waiter.tasks) {
    if (target._tag === "Drain") removeWait(target, turn)
    else for (const task of target.tasks) removeWait(task.turn, turn)
  }
}

/**
 * Parks a waiter until it is woken, or wakes it at once if its condition already holds: looking and parking are one step,
 * so that no wake-up falls between them.
 */
export const park = (
  table: TaskTable,
  waiter: Waiter,
  at: LinkedList<Waiter> | WaitTarget,
  isReady: () => boolean,
  now: number
): void => {
  if (isReady()) {
    table.consequences.woken.push(waiter.wake)
    return
  }
  waiter.isWaiting = true
  if (at instanceof LinkedList) {
    waiter.tasks = tasksStandingStill(table, waiter.ancestry)
    waiter.node = at.append(waiter)
  } else {
    waiter.node = at.waiters.append(waiter)
    if (waiter.ancestry !== undefined) {
      waiter.target = at
      standStill(table, waiter, at)
      wakeOver(table, overByWait(table, waiter))
    }
  }
  if (waiter.isWaiting) lend(table, waiter, now)
}

/**
 * A launch of the task is over, or its caller does not wait inline any more. A wait that was begun inside of it belongs to the next
 * task above from now on.
 */
export const passOnWaits = (table: TaskTable, task: TaskRecord): void => {
  if (task.waiting === undefined) return
  // a copy: the waits that go on add themselves to the set again
  const waiters = [...task.waiting]
  for (const waiter of waiters) {
    const { target, tasks } = waiter
    if (target === undefined) continue
    standStillNoMore(table, waiter, target)
    standStill(table, waiter, target)
    for (const one of tasks) reclaim(table, one)
    wakeOver(table, overByWait(table, waiter))
  }
}

/** Parks a wait at each of its tasks. */
export const enterTasks = (wait: TaskWait): void => {
  for (const task of wait.tasks) {
    task.taskWaits ??= new LinkedList()
    wait.nodes.push(task.taskWaits.append(wait))
  }
}

/** The wait is over: nothing of it is left at any task. */
export const leaveTasks = ({ nodes }: TaskWait): void => {
  for (const node of nodes.splice(0)) node.list?.remove(node)
}

/** Wakes the waiters for the task to settle or to be suspended, once its result or approval is in its queue. */
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
  reclaimOf(table, waiter)
}
