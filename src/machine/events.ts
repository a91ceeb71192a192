/**
 * Changes of a task's snapshot, and their events: one function per event, which numbers and publishes it. Each
 * writes its event out field by field, for every task pays for it.
 */
import type { ToolError } from "../errors.js"
import type { ApprovalRequest } from "../model/Approval.js"
import type { SessionId } from "../model/ids.js"
import type { TaskSnapshot } from "../model/Task.js"
import type { TaskEvent, TaskProgress } from "../model/TaskEvent.js"
import type { ToolResultPart } from "../model/ToolCall.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

const publish = (table: TaskTable, event: TaskEvent): void => {
  table.consequences.events.push(event)
}

/** The events that have nothing but the snapshot of the task. */
const tell = (
  table: TaskTable,
  _tag: "Queued" | "Started" | "Detached" | "Cancelled" | "Recovered",
  at: number,
  snapshot: TaskSnapshot
): void =>
  publish(table, {
    _tag,
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot
  })

export const queued = (table: TaskTable, at: number, snapshot: TaskSnapshot): void =>
  tell(table, "Queued", at, snapshot)

export const recovered = (table: TaskTable, at: number, snapshot: TaskSnapshot): void =>
  tell(table, "Recovered", at, snapshot)

export const started = (table: TaskTable, at: number, snapshot: TaskSnapshot): void =>
  tell(table, "Started", at, snapshot)

export const detached = (table: TaskTable, at: number, snapshot: TaskSnapshot): void =>
  tell(table, "Detached", at, snapshot)

export const cancelled = (table: TaskTable, at: number, snapshot: TaskSnapshot): void =>
  tell(table, "Cancelled", at, snapshot)

export const progressed = (table: TaskTable, at: number, snapshot: TaskSnapshot, progress: TaskProgress): void =>
  publish(table, {
    _tag: "Progress",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    progress
  })

/** The tool has failed and is tried again. */
export const retrying = (
  table: TaskTable,
  at: number,
  snapshot: TaskSnapshot,
  error: ToolError,
  delay: number
): void =>
  publish(table, {
    _tag: "Retrying",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    error,
    delay
  })

export const awaitingApproval = (
  table: TaskTable,
  at: number,
  snapshot: TaskSnapshot,
  approval: ApprovalRequest
): void =>
  publish(table, {
    _tag: "AwaitingApproval",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    approval
  })

/** Questions of a suspended task were answered. */
export const questionsAnswered = (
  table: TaskTable,
  at: number,
  snapshot: TaskSnapshot,
  answered: ReadonlyArray<string>,
  open: ReadonlyArray<string>
): void =>
  publish(table, {
    _tag: "QuestionsAnswered",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    answered,
    open
  })

export const completed = (table: TaskTable, at: number, snapshot: TaskSnapshot, result: ToolResultPart): void =>
  publish(table, {
    _tag: "Completed",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    result
  })

export const failed = (
  table: TaskTable,
  at: number,
  snapshot: TaskSnapshot,
  error: ToolError,
  result: ToolResultPart
): void =>
  publish(table, {
    _tag: "Failed",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    error,
    result
  })

/** The task has written, and no event said so since its output was read. */
export const outputGrew = (table: TaskTable, at: number, snapshot: TaskSnapshot, end: number): void =>
  publish(table, {
    _tag: "OutputGrew",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id,
    snapshot,
    end
  })

/** Everything of a session that was closed is settled. */
export const sessionClosed = (table: TaskTable, at: number, sessionId: SessionId): void =>
  publish(table, { _tag: "SessionClosed", seq: ++table.seq, at, sessionId })

/** Asks the host for another turn. */
export const requestContinue = (table: TaskTable, at: number, snapshot: TaskSnapshot): void =>
  publish(table, {
    _tag: "ContinueRequested",
    seq: ++table.seq,
    at,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    taskId: snapshot.id
  })

/** Replaces the snapshot of a live task. */
export const change = (table: TaskTable, task: TaskRecord, snapshot: TaskSnapshot): TaskSnapshot => {
  table.version++
  task.snapshot = snapshot
  table.journal?.changed(task)
  return snapshot
}
