/** Which tasks something runs under. */
import type { Ancestry, TaskRecord, TaskTable } from "./TaskTable.js"

/** The innermost task of one manager in a chain of launches. */
export const taskOf = (table: TaskTable, ancestry: Ancestry | undefined): TaskRecord | undefined => {
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.table === table && link.task !== undefined) return link.task
  }
  return undefined
}

/** Whether the task is in the chain: what runs there works for it, or for one that it started. */
export const runsUnder = (ancestry: Ancestry | undefined, task: TaskRecord): boolean => {
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.task === task) return true
  }
  return false
}

/** The tasks that stand still while something waits: its own, and those that run it inline. */
export const tasksStandingStill = (
  table: TaskTable,
  ancestry: Ancestry | undefined
): ReadonlyArray<TaskRecord> => {
  const tasks: Array<TaskRecord> = []
  for (
    let task = taskOf(table, ancestry);
    // a parent may be in its next launch, which does not wait for what an earlier one ran
    task !== undefined && runsUnder(ancestry, task);
    task = task.inlineParent
  ) tasks.push(task)
  return tasks
}
