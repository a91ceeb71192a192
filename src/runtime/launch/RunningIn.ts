/** Which task a fiber works for. It travels in the context, so whatever a tool forks still knows it. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { TaskRecord, TaskTable } from "../../machine/TaskTable.js"
import { runningInKey } from "../../shared/runningInKey.js"

/** One link of the chain of tasks that a fiber runs under, innermost first, of this manager or of others. */
export interface Ancestry {
  readonly table: TaskTable
  /** Undefined once the launch is over: whatever a tool leaves behind does not work for its task any more. */
  readonly task: TaskRecord | undefined
  /** The task whose tool started this one. */
  parent: Ancestry | undefined
}

/** The innermost task that a fiber works for. */
export class RunningIn extends Context.Tag(runningInKey)<RunningIn, Ancestry>() {}

/** The chain that the fiber works under. */
export const ancestryOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Ancestry | undefined => {
  // the map is read without a default: most fibers work for no task
  const ancestry: Ancestry | undefined = fiber.currentContext.unsafeMap.get(RunningIn.key)
  // tasks that start their successors would otherwise keep every predecessor in memory
  for (let link = ancestry; link !== undefined; link = link.parent) {
    while (link.parent !== undefined && link.parent.task === undefined) link.parent = link.parent.parent
  }
  return ancestry
}

/** The innermost task of one manager that the fiber works for. */
export const taskOf = (table: TaskTable, ancestry: Ancestry | undefined): TaskRecord | undefined => {
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.table === table && link.task !== undefined) return link.task
  }
  return undefined
}

/** Whether the fiber works for the task, or for one that it started. */
export const runsUnder = (ancestry: Ancestry | undefined, task: TaskRecord): boolean => {
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.task === task) return true
  }
  return false
}

/** The tasks that stand still while the fiber waits: its own, and those that run it inline. */
export const tasksStandingStill = (
  table: TaskTable,
  fiber: Fiber.RuntimeFiber<unknown, unknown>
): ReadonlyArray<TaskRecord> => {
  const tasks: Array<TaskRecord> = []
  for (let task = taskOf(table, ancestryOf(fiber)); task !== undefined; task = task.inlineParent) tasks.push(task)
  return tasks
}
