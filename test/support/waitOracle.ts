/**
 * When the waits of tasks are over, by the definition at the head of src/machine/waitGraph.ts and without any of its
 * shortcuts: every wait as the list of the tasks that it needs.
 */
import { tasksStandingStill } from "../../src/machine/ancestry.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import type { TaskTable } from "../../src/machine/state/TaskTable.js"
import type { Ancestry, Waiter } from "../../src/machine/state/Waiter.js"

export interface Wait {
  readonly waiter: Waiter
  /** The task whose wait it is, then those that run it inline. */
  readonly tasks: ReadonlyArray<TaskRecord>
  /** Whether it waits for all that it needs, or for the first. */
  readonly all: boolean
  readonly needs: ReadonlyArray<TaskRecord>
}

export const isActive = ({ snapshot: { status } }: TaskRecord): boolean =>
  status === "Queued" || status === "Running" || status === "Cancelling"

const above = (ancestry: Ancestry | undefined): Array<TaskRecord> =>
  ancestry === undefined ? [] : [...ancestry.task === undefined ? [] : [ancestry.task], ...above(ancestry.parent)]

export const waitOf = (table: TaskTable, waiter: Waiter): Wait | undefined => {
  const { ancestry, target, tasks } = waiter
  if (target === undefined || tasks.length === 0) return undefined
  const active = [...table.live].filter(isActive)
  const needs = target._tag === "TaskWait"
    ? target.tasks
    : active.filter((task) =>
      (target === table.idle || task.turn === target && task.snapshot.kind === "Foreground") &&
      !above(ancestry).includes(task)
    )
  return { waiter, tasks: [...tasks], all: target._tag === "Drain", needs }
}

export const waitsOf = (table: TaskTable): ReadonlyArray<Wait> =>
  [...new Set([...table.live].flatMap(({ waiting }) => [...waiting ?? []]))].flatMap((waiter) =>
    waitOf(table, waiter) ?? []
  )

const heldBy = (waits: ReadonlyArray<Wait>, roots: ReadonlyArray<TaskRecord>): ReadonlySet<TaskRecord> => {
  let used = waits
  for (;;) {
    const held = new Set(roots)
    for (let size = 0; size < held.size;) {
      size = held.size
      for (const { needs, tasks } of used) {
        if (needs.some((task) => held.has(task))) { for (const task of tasks) held.add(task) }
      }
    }
    const kept = used.filter(({ all, needs }) =>
      all || needs.every((task) => held.has(task)) || !needs.some((task) => held.has(task))
    )
    if (kept.length === used.length) return held
    used = kept
  }
}

/** The waits that are over. */
export const overIn = (waits: ReadonlyArray<Wait>): ReadonlyArray<Wait> => {
  // who waits for nothing but what he runs under does not wait at all
  const free = waits.filter(({ needs }) => needs.length === 0)
  const others = waits.filter(({ needs }) => needs.length > 0)
  return [
    ...free,
    ...others.filter(({ needs, tasks }) => {
      const [own] = tasks
      const held = heldBy(waits, tasks)
      return own !== undefined && needs.every((task) => held.has(task) && !above(task.runtime).includes(own))
    })
  ]
}

/** The waits as they were before a step, without those that it woke and the tasks that it ended; `told`: found over in it. */
export const afterStep = (
  before: ReadonlyArray<Wait>
): { readonly graph: ReadonlyArray<Wait>; readonly told: ReadonlyArray<Wait> } => {
  const graph = before.flatMap((wait) => {
    const { isWaiting, foundOver, target } = wait.waiter
    if (!isWaiting && !foundOver) return []
    const isThere = (task: TaskRecord): boolean =>
      isActive(task) && (target !== task.turn || task.snapshot.kind === "Foreground")
    return [{ ...wait, needs: wait.needs.filter(isThere) }]
  })
  return { graph, told: graph.filter(({ waiter }) => waiter.foundOver) }
}

/**
 * Whether somebody could still get what the wait needs, if no wait were ever over by the rule and everybody who does not wait
 * ended: then it would have been told too early.
 */
export const couldEnd = (
  waits: ReadonlyArray<Wait>,
  tasks: ReadonlyArray<TaskRecord>,
  { needs, tasks: [own] }: Wait
): boolean => {
  const ended = new Set<TaskRecord>()
  for (let size = -1; size < ended.size;) {
    size = ended.size
    for (const task of tasks) {
      const own_ = waits.filter((wait) => wait.tasks.includes(task))
      const goesOn = own_.every(({ all, needs }) =>
        all ? needs.every((one) => ended.has(one)) : needs.some((one) => ended.has(one))
      )
      if (task !== own && goesOn) ended.add(task)
    }
  }
  return needs.some((task) => ended.has(task))
}

/**
 * Whether a wait was told of too early. A wait that began in the step and closed a circle is not among those before it: any
 * task that is active after the step may be the one that began to wait, and those that run it inline stand still with it.
 */
export const isEarly = (table: TaskTable, graph: ReadonlyArray<Wait>, wait: Wait): boolean => {
  const tasks = [...table.live].filter(isActive)
  return [[], ...tasks.map((task) => tasksStandingStill(table, task.runtime))].every((begun) =>
    couldEnd(graph, tasks.filter((task) => !begun.includes(task)), wait)
  )
}
