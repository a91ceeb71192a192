/** Changes of a task's snapshot, and the numbering of the events that tell of them. */
import type { TaskSnapshot } from "../model/Task.js"
import type { TaskEvent } from "../model/TaskEvent.js"
import type { TaskRecord, TaskTable } from "./TaskTable.js"

/** The number of the next event. */
export const nextSeq = (table: TaskTable): number => ++table.seq

/** Publishes an event, made with `nextSeq`. */
export const announce = (table: TaskTable, event: TaskEvent): void => {
  table.consequences.events.push(event)
}

/** Asks the host for another turn. */
export const requestContinue = (table: TaskTable, at: number, task: TaskRecord): void => {
  const { id: taskId, sessionId } = task.snapshot
  announce(table, { _tag: "ContinueRequested", seq: nextSeq(table), at, sessionId, taskId })
}

/** Replaces the snapshot of a live task. */
export const change = (table: TaskTable, task: TaskRecord, snapshot: TaskSnapshot): TaskSnapshot => {
  table.version++
  task.snapshot = snapshot
  return snapshot
}
