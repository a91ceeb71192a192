/**
 * Calls of `startTask` that are not accepted yet: what they wait for (their routing, another call) takes time. They are
 * known to the table all that time, so that whatever ends a turn, a session, a suspension or the manager reaches them.
 *
 * A call for a new task stands at its turn, an approved one at the task that it would resume. Each ends once: it is
 * answered and goes on (`leave`), it is accepted because its turn is interrupted, or it is refused. Where a store is asked first whether
 * the id of the call is in use, it is accepted no sooner than that is known.
 */
import type { ToolCallId, TurnRef } from "../model/ids.js"
import { LinkedList } from "../shared/LinkedList.js"
import type { PendingCaller, PendingRefusal, PendingStart } from "./state/PendingStart.js"
import { ensureSession, ensureTurn, releaseTurn, type Turn } from "./state/Session.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

interface CallRef extends TurnRef {
  readonly callId: ToolCallId
}

/** A call for a new task waits to be accepted. `isNew`: as in `PendingStart`. */
export const enter = (table: TaskTable, request: CallRef, caller: PendingCaller, isNew = true): PendingStart => {
  const turn = ensureTurn(ensureSession(table, request.sessionId), request.turnId)
  const pending: PendingStart = {
    caller,
    turn,
    callId: undefined,
    node: undefined,
    resumes: undefined,
    isNew,
    isInterrupted: false,
    accepted: undefined,
    others: new LinkedList()
  }
  turn.pending ??= new LinkedList()
  pending.node = turn.pending.append(pending)
  // one that waits for an earlier call of its id does not take its place
  if (earlierCall(table, request) === undefined) rememberCall(table, turn, request.callId, pending)
  return pending
}

/** A call that approves a suspended task waits to be accepted. */
export const enterResume = (task: TaskRecord, caller: PendingCaller): PendingStart => {
  const pending: PendingStart = {
    caller,
    turn: undefined,
    callId: undefined,
    node: undefined,
    resumes: task,
    isNew: true,
    isInterrupted: false,
    accepted: undefined,
    others: new LinkedList()
  }
  task.pending ??= new LinkedList()
  pending.node = task.pending.append(pending)
  return pending
}

/** The call has ended, or goes on in this step. Does nothing if it had ended before. */
export const leave = (table: TaskTable, pending: PendingStart): void => {
  const { callId, node, resumes, turn } = pending
  if (node === undefined) return
  // the time for an answer may have passed meanwhile
  if (resumes?.askedAt !== undefined) table.consequences.questions.push(resumes)
  pending.node = undefined
  node.list?.remove(node)
  if (turn !== undefined && callId !== undefined && turn.calls?.get(callId) === pending) turn.calls.delete(callId)
  for (const wake of pending.others.drain()) table.consequences.woken.push(wake)
}

/** The call has ended without a task: nothing is left of it, nor of what was there for it alone. */
export const giveUp = (table: TaskTable, pending: PendingStart): void => {
  if (pending.node === undefined) return
  leave(table, pending)
  release(table, pending)
}

/** Forgets the turn of a call that has ended, if nothing else is left in it. */
export const release = (table: TaskTable, { turn }: PendingStart): void => {
  // it may have been forgotten and made anew since
  if (turn !== undefined && turn.session.turns.get(turn.id) === turn) releaseTurn(table, turn)
}

const refuseAll = (table: TaskTable, list: LinkedList<PendingStart> | undefined, why: PendingRefusal): void => {
  if (list === undefined) return
  for (const pending of list.toArray()) {
    leave(table, pending)
    pending.caller.refuse(why)
    table.consequences.woken.push(pending.caller.wake)
  }
}

/**
 * The turn is interrupted: its calls are accepted, never run and settle at once. Returns their tasks, and the calls of which it is not
 * known yet whether they are new.
 */
export const acceptInterrupted = (
  table: TaskTable,
  turn: Turn,
  now: number
): { readonly accepted: ReadonlyArray<TaskRecord>; readonly unknown: ReadonlyArray<PendingStart> } => {
  const calls = turn.pending?.toArray() ?? []
  return {
    accepted: calls.flatMap((pending) => acceptOne(table, pending, now) ?? []),
    unknown: calls.filter(({ isNew }) => !isNew)
  }
}

/** As `acceptInterrupted`, for one call. */
export const acceptOne = (table: TaskTable, pending: PendingStart, now: number): TaskRecord | undefined => {
  if (!pending.isNew) {
    pending.isInterrupted = true
    return undefined
  }
  leave(table, pending)
  const task = pending.caller.accept(now)
  table.consequences.woken.push(pending.caller.wake)
  return task
}

/** The task does not ask any more: whoever was about to resume it came too late. */
export const refuseResumes = (table: TaskTable, task: TaskRecord): void => refuseAll(table, task.pending, "Answered")

/** The turns are gone, or the manager is: their calls start nothing any more. */
export const refuseTurns = (table: TaskTable, turns: Iterable<Turn>): void => {
  for (const turn of turns) {
    refuseAll(table, turn.pending, "Shutdown")
    for (const task of turn.tasks) refuseAll(table, task.pending, "Shutdown")
  }
}

/** As `refuseTurns`, for every session. Nothing is left of turns that were there for such calls alone. */
export const refuseEverything = (table: TaskTable): void => {
  for (const session of table.sessions.values()) {
    const turns = [...session.turns.values()]
    refuseTurns(table, turns)
    for (const turn of turns) releaseTurn(table, turn)
  }
}

/** What is known of the call id in the turn, if that is looked at: a task, or a call that is not accepted yet. */
export const earlierCall = (
  table: TaskTable,
  { callId, sessionId, turnId }: CallRef
): TaskRecord | PendingStart | undefined =>
  table.limits.duplicateCallIds === "run"
    ? undefined
    : table.sessions.get(sessionId)?.turns.get(turnId)?.calls?.get(callId)

/** Remembers the call id of the turn, if that is looked at. */
export const rememberCall = (
  table: TaskTable,
  turn: Turn,
  callId: ToolCallId,
  call: TaskRecord | PendingStart
): void => {
  if (table.limits.duplicateCallIds === "run") return
  turn.calls ??= new Map()
  turn.calls.set(callId, call)
  if (!("isLive" in call)) call.callId = callId
}
