/** Changes of a task's snapshot, and the numbering of the events that tell of them. */
import type { ApprovalRequest } from "../model/Approval.js"
import type { TaskSnapshot } from "../model/Task.js"
import type { TaskEvent, TaskProgress } from "../model/TaskEvent.js"
import type { ToolResultPart } from "../model/ToolCall.js"
import type { ToolError } from "../errors.js"
import type { TaskRecord, TaskTable } from "./TaskTable.js"

/** What an event says beside its number and its time. */
export type Announcement =
  | { readonly _tag: "Queued" | "Started" | "Detached" | "Cancelled"; readonly snapshot: TaskSnapshot }
  | { readonly _tag: "Progress"; readonly snapshot: TaskSnapshot; readonly progress: TaskProgress }
  | { readonly _tag: "AwaitingApproval"; readonly snapshot: TaskSnapshot; readonly approval: ApprovalRequest }
  | { readonly _tag: "Completed"; readonly snapshot: TaskSnapshot; readonly result: ToolResultPart }
  | {
    readonly _tag: "Failed"
    readonly snapshot: TaskSnapshot
    readonly error: ToolError
    readonly result: ToolResultPart
  }

/** Publishes an event under the next number. */
export const announce = (table: TaskTable, at: number, announcement: Announcement): void => {
  table.consequences.events.push({ ...announcement, seq: ++table.seq, at })
}

/** Asks the host for another turn. */
export const requestContinue = (table: TaskTable, at: number, task: TaskRecord): void => {
  const event: TaskEvent = {
    _tag: "ContinueRequested",
    sessionId: task.snapshot.sessionId,
    taskId: task.snapshot.id,
    seq: ++table.seq,
    at
  }
  table.consequences.events.push(event)
}

/** Replaces the snapshot of a live task. */
export const change = (table: TaskTable, task: TaskRecord, patch: Partial<TaskSnapshot>): TaskSnapshot => {
  table.version++
  return task.snapshot = { ...task.snapshot, ...patch }
}
