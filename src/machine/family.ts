/** Which tasks were started from inside of a task, and what becomes of them when that is cancelled. */
import type { TaskId } from "../model/ids.js"
import type { Ancestry, TaskRecord, TaskTable } from "./TaskTable.js"

/** A task that a live one has started. */
export const adopt = (parent: TaskRecord, child: TaskRecord): void => {
  child.parent = parent
  parent.children = (parent.children ?? new Set()).add(child)
}

/** A task has settled: it is nobody's child any more, and nobody's parent. */
export const leaveFamily = (task: TaskRecord): void => {
  task.parent?.children?.delete(task)
  task.parent = undefined
  // a task that starts its successor and ends would otherwise keep each of its ancestors in memory
  for (const child of task.children ?? []) child.parent = undefined
  task.children = undefined
}

/** The live children that are cancelled with their parent. */
export const cancelledWith = ({ children, childPolicy }: TaskRecord): ReadonlyArray<TaskRecord> => {
  if (children === undefined || childPolicy === "keep") return []
  return [...children].filter(({ snapshot }) => childPolicy === "cancel" || snapshot.kind === "Foreground")
}

/** The task in whose name nothing is started any more, if something is started from inside of one: it is being stopped, or was. */
export const stoppedIn = (table: TaskTable, ancestry: Ancestry | undefined): TaskId | undefined => {
  if (ancestry === undefined || ancestry.table !== table) return undefined
  const { task } = ancestry
  return task?.snapshot.status === "Cancelling" ? task.snapshot.id : ancestry.stopped
}
