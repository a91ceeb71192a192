/**
 * When the wait of a tool is over although not everything that it waits for has ended.
 *
 * A *drain* is what ends when no task in it is active any more: a turn, or idle. A tool that waits for a drain waits for every
 * active task in it; one that waits for tasks waits for the first of them to end. It leaves out its own task and those that it runs
 * under.
 *
 * A task is *held* by another if it cannot go on before that one does: it waits for a drain with a held task in it, or for tasks
 * that are all held. A wait is over when everything that it waits for is held by its own task, for otherwise it would never
 * end. One exception: it is not over while one of these tasks runs under its own. In such a circle the waits of others are over
 * first, and a tool that waits for what it has started gets the result. Where several waits are over, those of a call for one that it has
 * joined, and of a tool for one that it has stopped, end last, and only if the others did not open the circle.
 *
 * Nothing here changes the table. The search begins only where every task that is left in a drain waits itself. It follows the waits
 * backwards from one task, so its cost does not depend on other tasks.
 */
import { runsUnder } from "./ancestry.js"
import type { Turn } from "./state/Session.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { Ancestry, Drain, TaskWait, Waiter } from "./state/Waiter.js"

/** Whether `waitForIdle` waits for the task, and `waitForTurn` too if it is in the foreground. */
export const isActive = ({ snapshot: { status } }: TaskRecord): boolean =>
  status === "Running" || status === "Queued" || status === "Cancelling"

export const isForeground = ({ snapshot }: TaskRecord): boolean => snapshot.kind === "Foreground"

const isIn = (table: TaskTable, drain: Drain, task: TaskRecord): boolean =>
  isActive(task) && (drain === table.idle || drain === task.turn && isForeground(task))

/** How many tasks of a chain are active in the drain. */
const countIn = (
  table: TaskTable,
  drain: Drain,
  ancestry: Ancestry | undefined,
  isMeant: (task: TaskRecord) => boolean
): number => {
  let count = 0
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.task !== undefined && link.table === table && isIn(table, drain, link.task) && isMeant(link.task)) count++
  }
  return count
}

const always = (): boolean => true

/** How many active tasks the wait leaves out of the drain, beside its own. They may still go on. */
export const leftOut = (table: TaskTable, drain: Drain, waiter: Waiter): number =>
  countIn(table, drain, waiter.ancestry, (task) => task !== waiter.tasks[0])

/** Whether the wait leaves out everything in the drain: nothing is active there but what it runs under. */
const leavesOutAll = (table: TaskTable, { ancestry, target }: Waiter): boolean =>
  target?._tag === "Drain" && target.active === countIn(table, target, ancestry, always)

/** Whether tasks wait for the drain, and one of their waits may be over. */
const isRipe = ({ active, mayLeaveOut, standing, waitedFrom }: Drain): boolean =>
  waitedFrom !== undefined && waitedFrom.size > 0 && active - standing <= mayLeaveOut

/** Most tasks end without anybody's wait. */
const nobody: ReadonlyArray<Waiter> = []

/** Whether `isRipe` holds for a drain that the tasks are in, that tasks waiting for these drains are in, and so on. */
const isAnyRipe = (table: TaskTable, tasks: ReadonlyArray<TaskRecord>): boolean => {
  const drains = new Set<Drain>([table.idle])
  for (const task of tasks) drains.add(task.turn)
  // a Set goes on to what is added meanwhile
  for (const drain of drains) {
    if (isRipe(drain)) return true
    if (drain.waitedFrom !== undefined) { for (const turn of drain.waitedFrom.keys()) drains.add(turn) }
  }
  return false
}

interface Search {
  readonly held: Set<TaskRecord>
  /** The waits for the first of several tasks of which at least one is held. */
  readonly first: ReadonlyArray<readonly [waiter: Waiter, target: TaskWait]>
}

/** Follows all waits but the `free` ones backwards from the roots. */
const search = (table: TaskTable, roots: ReadonlyArray<TaskRecord>, free: ReadonlySet<Waiter>): Search => {
  const held = new Set(roots)
  const first: Array<readonly [Waiter, TaskWait]> = []
  // a waiter of a drain waits for every task in it, those aside that it runs under
  const left = new Map<Drain, Iterable<Waiter>>()
  for (const task of held) {
    for (const drain of [task.turn, table.idle]) {
      if (drain.waitedFrom === undefined || !isIn(table, drain, task)) continue
      const still: Array<Waiter> = []
      for (const waiter of left.get(drain) ?? drain.waiters) {
        if (runsUnder(waiter.ancestry, task)) still.push(waiter)
        else for (const one of waiter.tasks) held.add(one)
      }
      left.set(drain, still)
    }
    if (task.taskWaits === undefined) continue
    for (const wait of task.taskWaits) {
      for (const waiter of wait.waiters) {
        if (waiter.tasks.length === 0 || free.has(waiter)) continue
        first.push([waiter, wait])
        for (const one of waiter.tasks) held.add(one)
      }
    }
  }
  return { held, first }
}

/** The tasks that cannot go on before the roots do, and the roots. */
const heldBy = (table: TaskTable, roots: ReadonlyArray<TaskRecord>): ReadonlySet<TaskRecord> => {
  const free = new Set<Waiter>()
  for (;;) {
    const { first, held } = search(table, roots, free)
    const { size } = free
    for (const [waiter, target] of first) if (target.tasks.some((task) => !held.has(task))) free.add(waiter)
    if (free.size === size) return held
  }
}

const addTo = <K, V>(map: Map<K, Set<V>>, key: K, value: V): void => {
  const known = map.get(key)
  if (known === undefined) map.set(key, new Set([value]))
  else known.add(value)
}

/** The waits that are over among those of a task and of the tasks in one circle with it. */
const overInCircle = (
  table: TaskTable,
  waiter: Waiter,
  own: TaskRecord
): { readonly circle: ReadonlySet<TaskRecord>; readonly over: ReadonlyArray<Waiter> } => {
  const held = heldBy(table, waiter.tasks)
  const members = new Map<Drain, Set<TaskRecord>>()
  /** Where tasks are that run under a task. */
  const startedIn = new Map<TaskRecord, Set<Drain>>()
  for (const task of held) {
    const drains = [task.turn, table.idle].filter((drain) => isIn(table, drain, task))
    for (const drain of drains) {
      addTo(members, drain, task)
      for (let link = task.runtime?.parent; link !== undefined; link = link.parent) {
        if (link.task !== undefined) addTo(startedIn, link.task, drain)
      }
    }
  }

  const isHeldUp = ({ tasks }: TaskWait): boolean => tasks.every((task) => held.has(task))

  /** Everything held that the task waits for, directly or not. */
  const circle = new Set([own])
  const left = new Map<Drain, Iterable<TaskRecord>>()
  for (const task of circle) {
    for (const { ancestry, target, tasks } of task.waiting ?? []) {
      if (target === undefined || target._tag === "TaskWait" && !isHeldUp(target)) continue
      // an inline parent waits for what it runs
      for (const one of tasks.slice(0, tasks.indexOf(task))) if (held.has(one)) circle.add(one)
      if (target._tag === "TaskWait") {
        for (const one of target.tasks) circle.add(one)
        continue
      }
      const still: Array<TaskRecord> = []
      for (const one of left.get(target) ?? members.get(target) ?? []) {
        if (runsUnder(ancestry, one)) still.push(one)
        else circle.add(one)
      }
      left.set(target, still)
    }
  }

  const isOver = ({ ancestry, target, tasks: [task] }: Waiter): boolean => {
    if (target === undefined || task === undefined) return false
    if (target._tag === "TaskWait") {
      return isHeldUp(target) && !target.tasks.some((one) => runsUnder(one.runtime, task))
    }
    const inside = members.get(target)?.size ?? 0
    return target.active === inside + countIn(table, target, ancestry, (one) => !held.has(one)) &&
      startedIn.get(task)?.has(target) !== true
  }

  const over: Array<Waiter> = []
  for (const task of circle) {
    for (const one of task.waiting ?? []) if (one.tasks[0] === task && isOver(one)) over.push(one)
  }
  return { circle, over }
}

const isStanding = (task: TaskRecord): boolean => task.isStanding

/** Whether a task that the wait waits for waits itself: without one there is no circle. */
const waitsForWaiting = (table: TaskTable, { ancestry, target }: Waiter): boolean =>
  target?._tag === "Drain"
    ? target.standing > countIn(table, target, ancestry, isStanding)
    : target?.tasks.some(isStanding) === true

/** The waits that are over because the waiter, which is parked, waits. */
export const overByWait = (table: TaskTable, waiter: Waiter): ReadonlyArray<Waiter> => {
  const [own] = waiter.tasks
  if (own === undefined) return []
  if (leavesOutAll(table, waiter)) return [waiter]
  return waitsForWaiting(table, waiter) && isAnyRipe(table, waiter.tasks)
    ? overInCircle(table, waiter, own).over
    : []
}

/** The waits that are over because a task left the turn or ended. */
export const overByEnd = (table: TaskTable, turn: Turn): ReadonlyArray<Waiter> => {
  if (!isRipe(turn) && !isRipe(table.idle)) return nobody
  const found: Array<Waiter> = []
  const seen = new Set<TaskRecord>()
  for (const drain of [turn, table.idle]) {
    if (!isRipe(drain)) continue
    for (const waiter of drain.waiters) {
      const [own] = waiter.tasks
      if (own === undefined || seen.has(own)) continue
      if (leavesOutAll(table, waiter)) {
        found.push(waiter)
        continue
      }
      const { circle, over } = overInCircle(table, waiter, own)
      for (const task of circle) seen.add(task)
      found.push(...over)
    }
  }
  return found
}
