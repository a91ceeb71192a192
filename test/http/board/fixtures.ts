/** Tasks and events, as a server tells them. */
import { Schema } from "effect"
import {
  SessionId,
  TaskApproval,
  type TaskEvent,
  TaskId,
  TaskSnapshot,
  ToolCallId,
  type ToolResultPart,
  TurnId
} from "effect-task-manager"

const makeSnapshot = Schema.decodeUnknownSync(TaskSnapshot)

/** A task: `c7` is task 7, accepted at 7 000 ms, of session `s`, unless `fields` say something else. It begins at once, unless it is queued. */
export const snapshot = (number: number, fields: Partial<Record<keyof TaskSnapshot, unknown>> = {}): TaskSnapshot =>
  makeSnapshot({
    id: `task-${number}`,
    sessionId: "s",
    turnId: "t",
    callId: `c${number}`,
    toolName: "read_file",
    kind: "Foreground",
    status: "Running",
    launch: 1,
    deliveryMode: "ToLoop",
    continuePolicy: "NotifyOnly",
    createdAt: number * 1_000,
    ...(fields.status === "Queued" ? {} : { startedAt: number * 1_000 }),
    metadata: {},
    ...fields
  })

const stamp = ({ id, sessionId, turnId }: TaskSnapshot, seq: number, at: number) => ({
  seq,
  at,
  sessionId,
  turnId,
  taskId: id
})

const result = ({ callId }: TaskSnapshot): ToolResultPart => ({
  _tag: "ToolResult",
  callId,
  output: { _tag: "Text", text: "done" },
  isError: false,
  metadata: {}
})

/** An event that needs nothing but its task. */
export const told = (
  tag: "Queued" | "Started" | "Detached" | "Cancelled" | "Completed",
  of: TaskSnapshot,
  seq: number,
  at: number
): TaskEvent =>
  tag === "Completed"
    ? { _tag: tag, ...stamp(of, seq, at), snapshot: of, result: result(of) }
    : { _tag: tag, ...stamp(of, seq, at), snapshot: of }

export const progressed = (of: TaskSnapshot, seq: number, at: number, message: string): TaskEvent => ({
  _tag: "Progress",
  ...stamp(of, seq, at),
  snapshot: of,
  progress: { message, fraction: 0.5 }
})

const makeApproval = Schema.decodeUnknownSync(TaskApproval)

export const asked = (of: TaskSnapshot): TaskApproval =>
  makeApproval({
    taskId: of.id,
    toolRequest: {
      sessionId: of.sessionId,
      turnId: of.turnId,
      callId: of.callId,
      toolName: of.toolName,
      input: {},
      metadata: {}
    },
    approval: {
      id: `approval-${of.id}`,
      requestKind: "shell",
      reason: "it deletes",
      summary: "rm -r build",
      metadata: {}
    }
  })

export const suspended = (of: TaskSnapshot, seq: number, at: number): TaskEvent => ({
  _tag: "AwaitingApproval",
  ...stamp(of, seq, at),
  snapshot: of,
  approval: asked(of).approval
})

export const closed = (sessionId: string, seq: number): TaskEvent => ({
  _tag: "SessionClosed",
  seq,
  at: 1,
  sessionId: SessionId.make(sessionId)
})

export const ids = { task: TaskId.make, session: SessionId.make, turn: TurnId.make, call: ToolCallId.make }
