/**
 * Where a resolution goes, and how its reader takes it: this is the one place that delivers results.
 *
 * A foreground resolution goes to its turn (or to the caller that runs it inline), a background one to the session's loop
 * queue or to the manual queue. What is taken is gone from the table; what a failed consumer puts back returns to its
 * old place in the order.
 */
import * as Option from "effect/Option"
import type { SessionId, TurnRef } from "../model/ids.js"
import { type TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../model/TaskResolution.js"
import type { LinkedList } from "./LinkedList.js"
import {
  Delivery,
  ensureSession,
  ensureTurn,
  type InlineCaller,
  type ManualDelivery,
  releaseSession,
  releaseTurn,
  type Session,
  type TaskRecord,
  type TaskTable,
  type Turn
} from "./TaskTable.js"
import { wakeAll } from "./waiting.js"

// ---- sending ----

const enqueue = <A>(table: TaskTable, queue: LinkedList<Delivery<A>>, value: A): Delivery<A> => {
  const delivery = new Delivery(value, ++table.lastDelivery)
  delivery.node = queue.append(delivery)
  return delivery
}

const sendToTurn = (table: TaskTable, turn: Turn, update: TurnTaskUpdate): Delivery<TurnTaskUpdate> | undefined => {
  if (turn.session.closed) return undefined
  const delivery = enqueue(table, turn.updates, update)
  wakeAll(table, turn.waiters)
  return delivery
}

const sendToLoop = (
  table: TaskTable,
  session: Session,
  resolution: TaskResolution
): Delivery<TaskResolution> | undefined => {
  if (session.closed) return undefined
  const delivery = enqueue(table, session.updates, resolution)
  wakeAll(table, session.waiters)
  return delivery
}

const sendToHost = (table: TaskTable, session: Session, item: TaskResolution.Item): void => {
  if (session.closed) return
  const delivery: ManualDelivery = { item, session, allNode: undefined, sessionNode: undefined }
  delivery.allNode = table.manual.append(delivery)
  delivery.sessionNode = session.manual.append(delivery)
}

const reply = (table: TaskTable, task: TaskRecord, outcome: TaskStartOutcome): boolean => {
  const caller = task.inlineCaller
  if (caller === undefined || caller.outcome !== undefined) return false
  caller.outcome = outcome
  table.consequences.woken.push(caller.wake)
  return true
}

/** Sends the result of a settled task to its one destination. Returns whether that is the session's loop queue. */
export const deliverItem = (table: TaskTable, task: TaskRecord, item: TaskResolution.Item): boolean => {
  if (task.snapshot.kind === "Foreground") {
    if (!reply(table, task, TaskStartOutcome.Ready({ resolution: item }))) {
      sendToTurn(table, task.turn, TurnTaskUpdate.Resolution({ resolution: item }))
    }
    return false
  }
  if (task.snapshot.deliveryMode === "Manual") {
    sendToHost(table, task.session, item)
    return false
  }
  return sendToLoop(table, task.session, item) !== undefined
}

/** Sends the approval that a task asks for. Returns whether it goes to the session's loop queue, in either mode. */
export const deliverApproval = (table: TaskTable, task: TaskRecord, resolution: TaskResolution.Approval): boolean => {
  if (task.snapshot.kind === "Foreground") {
    if (!reply(table, task, TaskStartOutcome.Ready({ resolution }))) {
      task.undelivered = sendToTurn(table, task.turn, TurnTaskUpdate.Resolution({ resolution }))
    }
    return false
  }
  const delivery = sendToLoop(table, task.session, resolution)
  task.undelivered = delivery
  return delivery !== undefined
}

/** Tells the turn (or the caller that ran the task inline) that a task went to the background. */
export const deliverDetached = (table: TaskTable, task: TaskRecord): void => {
  const outcome = TaskStartOutcome.Pending({ taskId: task.snapshot.id, kind: "Background" })
  if (!reply(table, task, outcome)) {
    sendToTurn(table, task.turn, TurnTaskUpdate.Detached({ snapshot: task.snapshot }))
  }
}

/** The approval was answered: it is not delivered any more. */
export const withdrawApproval = (task: TaskRecord): void => {
  task.undelivered?.withdraw()
  task.undelivered = undefined
}

/** The inline caller is gone: what it was told, or will be, goes to the turn instead. */
export const redirectToTurn = (table: TaskTable, task: TaskRecord, caller: InlineCaller): void => {
  if (task.inlineCaller === caller) task.inlineCaller = undefined
  const outcome = caller.outcome
  caller.outcome = undefined
  if (outcome?._tag !== "Ready") return
  const { resolution } = outcome
  if (resolution._tag === "Approval" && task.asked !== resolution.approval) return
  if (task.session.closed) return
  // the turn and the session of a settled task may have been forgotten since
  const turn = ensureTurn(ensureSession(table, task.session.id), task.turn.id)
  const delivery = sendToTurn(table, turn, TurnTaskUpdate.Resolution({ resolution }))
  if (resolution._tag === "Approval") task.undelivered = delivery
}

// ---- taking ----

/** Nothing to take yet: the reader has to wait (again). */
export const NotReady = "NotReady"

const findTurn = (table: TaskTable, ref: TurnRef): Turn | undefined =>
  table.sessions.get(ref.sessionId)?.turns.get(ref.turnId)

/** Whether `takeTurnUpdate` would give an update or `None`. */
export const isTurnReady = (table: TaskTable, ref: TurnRef): boolean => {
  const turn = findTurn(table, ref)
  return turn === undefined || !turn.updates.isEmpty || turn.active === 0
}

/** The next update of a turn, `None` if it has drained. */
export const takeTurnUpdate = (
  table: TaskTable,
  ref: TurnRef
): Option.Option<Delivery<TurnTaskUpdate>> | typeof NotReady => {
  const turn = findTurn(table, ref)
  if (turn === undefined) return Option.none()
  const delivery = turn.updates.shift()
  if (delivery === undefined) {
    if (turn.active > 0) return NotReady
    turn.interrupted = false
    releaseTurn(table, turn)
    return Option.none()
  }
  delivery.node = undefined
  releaseTurn(table, turn)
  return Option.some(delivery)
}

/** Everything that waits for the loop of a session, oldest first. */
export const takeLoopUpdates = (table: TaskTable, sessionId: SessionId): ReadonlyArray<Delivery<TaskResolution>> => {
  const session = table.sessions.get(sessionId)
  if (session === undefined) return []
  const deliveries = session.updates.drain()
  for (const delivery of deliveries) delivery.node = undefined
  releaseSession(table, session)
  return deliveries
}

/** Everything in the manual queue, of one session or of all, oldest first. */
export const takeManual = (table: TaskTable, sessionId?: SessionId): ReadonlyArray<TaskResolution.Item> => {
  const queue = sessionId === undefined ? table.manual : table.sessions.get(sessionId)?.manual
  if (queue === undefined) return []
  const deliveries = [...queue]
  for (const delivery of deliveries) discardManual(table, delivery)
  return deliveries.map(({ item }) => item)
}

const discardManual = (table: TaskTable, { allNode, session, sessionNode }: ManualDelivery): void => {
  if (allNode !== undefined) table.manual.remove(allNode)
  if (sessionNode !== undefined) session.manual.remove(sessionNode)
  releaseSession(table, session)
}

/** Throws away what a closed session never took. */
export const discardUndelivered = (table: TaskTable, session: Session): void => {
  session.updates.drain()
  for (let node = session.manual.first; node !== undefined; node = session.manual.first) {
    discardManual(table, node.value)
  }
  for (const turn of session.turns.values()) turn.updates.drain()
}

// ---- putting back ----

/** Keeps the session while a consumer may still put back into it what it took; `count` is how much that is. */
export const enterConsumer = (table: TaskTable, sessionId: SessionId, count: number): Session => {
  const session = ensureSession(table, sessionId)
  session.consumers++
  session.inHand += count
  return session
}

/** The consumer is done with what it took. */
export const leaveConsumer = (table: TaskTable, session: Session, count: number): void => {
  session.consumers--
  session.inHand -= count
  releaseSession(table, session)
}

const putBack = <A>(queue: LinkedList<Delivery<A>>, delivery: Delivery<A>): void => {
  if (delivery.withdrawn) return
  let before = undefined
  for (let node = queue.first; node !== undefined && node.value.order < delivery.order; node = node.next) before = node
  delivery.node = queue.insertAfter(before, delivery)
}

/** Puts an update back where it was, unless its session was closed or its approval withdrawn meanwhile. */
export const putBackTurnUpdate = (
  table: TaskTable,
  session: Session,
  ref: TurnRef,
  delivery: Delivery<TurnTaskUpdate>
): void => {
  if (!session.closed && !delivery.withdrawn) {
    const turn = ensureTurn(session, ref.turnId)
    putBack(turn.updates, delivery)
    wakeAll(table, turn.waiters)
  }
  leaveConsumer(table, session, 1)
}

/** Puts a batch back where it was, unless its session was closed; withdrawn approvals stay away. */
export const putBackLoopUpdates = (
  table: TaskTable,
  session: Session,
  deliveries: ReadonlyArray<Delivery<TaskResolution>>
): void => {
  if (!session.closed) {
    // from the last: each finds its place in front of the one before, without a walk
    for (let index = deliveries.length - 1; index >= 0; index--) {
      const delivery = deliveries[index]
      if (delivery !== undefined) putBack(session.updates, delivery)
    }
    if (!session.updates.isEmpty) wakeAll(table, session.waiters)
  }
  leaveConsumer(table, session, deliveries.length)
}
