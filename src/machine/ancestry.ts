/** Which tasks something runs under. */
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { Ancestry } from "./state/Waiter.js"

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

/** Whether the task was started by a tool of the other, or of one that was started by it. */
export const isStartedUnder = (table: TaskTable, task: TaskRecord, other: TaskRecord): boolean => {
  // what an earlier process had started has no fiber here, and knows its parent by name
  for (let up = task.snapshot.parentTaskId; up !== undefined; up = table.tasks.get(up)?.snapshot.parentTaskId) {
    if (up === other.snapshot.id) return true
  }
  return runsUnder(task.runtime?.parent, other)
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
