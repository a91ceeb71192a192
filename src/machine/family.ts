/** Which tasks were started from inside of a task, and what becomes of them when that is cancelled. */
import type { TaskId } from "../model/ids.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { Ancestry } from "./state/Waiter.js"

/** A task that a live one has started. */
export const adopt = (parent: TaskRecord, child: TaskRecord): void => {
  child.parent = parent
  parent.children = (parent.children ?? new Set()).add(child)
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
