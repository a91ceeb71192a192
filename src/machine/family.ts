/** Which tasks were started from inside of a task, and what becomes of them when that is cancelled. */
import type { TaskId } from "../model/ids.js"
import type { TaskRecord } from "./TaskRecord.js"
import type { TaskTable } from "./TaskTable.js"
import type { Ancestry } from "./Waiter.js"

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

/**
 * The task in whose name nothing is started any more, if something is started from inside of one: it is being stopped, or was. What a
 * tool leaves behind when it ends works for the next task above.
 */
export const stoppedIn = (table: TaskTable, ancestry: Ancestry | undefined): TaskId | undefined => {
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.table !== table) continue
    if (link.task !== undefined) return link.task.snapshot.status === "Cancelling" ? link.task.snapshot.id : undefined
    if (link.stopped !== undefined) return link.stopped
  }
  return undefined
}
