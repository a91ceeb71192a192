/**
 * The snapshots of a task's usual ways: started, cancelled, settled. Written out field by field, for every task pays for them: a
 * spread with new fields costs several times a literal.
 */
import * as Duration from "effect/Duration"
import type { TaskSnapshot } from "../model/Task.js"

/** Whether it has a field that few have, which the literals below leave out. */
const hasMore = ({ attempt, lane, overdue, overLimit, parentTaskId, priority, usage }: TaskSnapshot): boolean =>
  lane !== undefined || priority !== undefined || attempt !== undefined || overdue !== undefined ||
  parentTaskId !== undefined || usage !== undefined || overLimit !== undefined

/** A launch begins with its first attempt. */
const withoutAttempt = (snapshot: TaskSnapshot): TaskSnapshot => {
  const { attempt: _, ...rest } = snapshot
  return rest
}

/** The snapshot of a task that begins to run. */
export const started = (snapshot: TaskSnapshot, now: number): TaskSnapshot =>
  hasMore(snapshot) ? { ...withoutAttempt(snapshot), status: "Running", startedAt: now } : {
    id: snapshot.id,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    callId: snapshot.callId,
    toolName: snapshot.toolName,
    kind: snapshot.kind,
    status: "Running",
    launch: snapshot.launch,
    deliveryMode: snapshot.deliveryMode,
    continuePolicy: snapshot.continuePolicy,
    createdAt: snapshot.createdAt,
    startedAt: now,
    metadata: snapshot.metadata
  }

/** The snapshot of a running task whose end is decided. */
export const cancelling = (snapshot: TaskSnapshot): TaskSnapshot =>
  snapshot.startedAt === undefined || hasMore(snapshot) ? { ...snapshot, status: "Cancelling" } : {
    id: snapshot.id,
    sessionId: snapshot.sessionId,
    turnId: snapshot.turnId,
    callId: snapshot.callId,
    toolName: snapshot.toolName,
    kind: snapshot.kind,
    status: "Cancelling",
    launch: snapshot.launch,
    deliveryMode: snapshot.deliveryMode,
    continuePolicy: snapshot.continuePolicy,
    createdAt: snapshot.createdAt,
    startedAt: snapshot.startedAt,
    metadata: snapshot.metadata
  }

/** The snapshot of a task that has ended. */
export const settled = (
  snapshot: TaskSnapshot,
  status: "Completed" | "Failed" | "Cancelled",
  now: number,
  duration: Duration.Duration | undefined
): TaskSnapshot =>
  // few executors say how long they took
  duration !== undefined
    ? { ...snapshot, status, settledAt: now, duration: Duration.toMillis(duration) }
    : snapshot.startedAt === undefined || hasMore(snapshot)
    ? { ...snapshot, status, settledAt: now }
    : {
      id: snapshot.id,
      sessionId: snapshot.sessionId,
      turnId: snapshot.turnId,
      callId: snapshot.callId,
      toolName: snapshot.toolName,
      kind: snapshot.kind,
      status,
      launch: snapshot.launch,
      deliveryMode: snapshot.deliveryMode,
      continuePolicy: snapshot.continuePolicy,
      createdAt: snapshot.createdAt,
      startedAt: snapshot.startedAt,
      settledAt: now,
      metadata: snapshot.metadata
    }
