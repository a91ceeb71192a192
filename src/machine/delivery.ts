/**
 * Where a resolution goes, and how its reader takes it: this is the one place that delivers results.
 *
 * A foreground resolution goes to its turn (or to the caller that runs it inline), a background one to the session's loop
 * queue or to the manual queue. What is taken is gone from the table; what a failed consumer puts back returns to its
 * old place in the order.
 */
import * as Option from "effect/Option"
import type { TaskApproval } from "../model/Approval.js"
import type { SessionId, TaskId, TurnRef } from "../model/ids.js"
import { TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../model/TaskResolution.js"
import type { LinkedList, LinkedNode } from "../shared/LinkedList.js"
import { ensureSession, ensureTurn, releaseSession, releaseTurn, type Session, type Turn } from "./state/Session.js"
import type { InlineCaller, SettledTask, TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import { type Brings, Delivery, type ManualDelivery, type Undelivered } from "./state/Undelivered.js"
import { wakeAll } from "./waiting.js"

// ---- sending ----

const enqueue = <A>(queue: LinkedList<Delivery<A>>, value: A, order: number): Delivery<A> => {
  const delivery = new Delivery(value, order)
  delivery.node = queue.append(delivery)
  return delivery
}

const sendToTurn = (table: TaskTable, turn: Turn, update: TurnTaskUpdate): Delivery<TurnTaskUpdate> | undefined => {
  if (turn.session.closed) return undefined
  const delivery = enqueue(turn.updates, update, ++table.lastDelivery)
  wakeAll(table, turn.waiters)
  return delivery
}

const sendToLoop = (
  table: TaskTable,
  session: Session,
  resolution: TaskResolution
): Delivery<TaskResolution> | undefined => {
  if (session.closed) return undefined
  const delivery = enqueue(session.updates, resolution, ++table.lastDelivery)
  wakeAll(table, session.waiters)
  return delivery
}

const appendManual = (table: TaskTable, session: Session, item: TaskResolution.Item, order: number): ManualDelivery => {
  const delivery: ManualDelivery = {
    item,
    session,
    order,
    withdrawn: false,
    settled: undefined,
    allNode: undefined,
    sessionNode: undefined
  }
  delivery.allNode = table.manual.append(delivery)
  delivery.sessionNode = session.manual.append(delivery)
  return delivery
}

const sendToHost = (table: TaskTable, session: Session, item: TaskResolution.Item): ManualDelivery | undefined =>
  session.closed ? undefined : appendManual(table, session, item, ++table.lastDelivery)

/** What has been sent is written before it leaves. */
const sent = (table: TaskTable, task: TaskRecord, brings: Brings, delivery: Undelivered | undefined): void => {
  if (table.journal !== undefined && delivery !== undefined) table.journal.sent(task, brings, delivery)
}

/** Its reader has it for good: it does not come again after a restart. */
export const acknowledge = (table: TaskTable, delivery: Undelivered): void => table.journal?.acknowledged(delivery)

/** As `acknowledge`, for a batch. */
export const acknowledgeAll = (table: TaskTable, deliveries: ReadonlyArray<Undelivered>): void => {
  if (table.journal !== undefined) { for (const delivery of deliveries) table.journal.acknowledged(delivery) }
}

/** Whether a delivery may leave: where tasks are written down, it has to be written. */
const mayLeave = (table: TaskTable, { order }: { readonly order: number }): boolean =>
  table.journal === undefined || order <= table.journal.lastWritten

/** Lets a result that waits in its queue be found by its task, if that is (still) kept. */
const tie = (table: TaskTable, settled: SettledTask | undefined, delivery: Undelivered | undefined): void => {
  if (settled === undefined || delivery === undefined) return
  const isKept = table.tasks.get(settled.snapshot.id) === settled
  delivery.settled = isKept ? settled : undefined
  if (isKept) settled.undelivered = delivery
}

/** The task is not kept any more: its result holds it no longer. */
export const untie = ({ undelivered }: SettledTask): void => {
  if (undelivered !== undefined) undelivered.settled = undefined
}

/** The caller that waits inline for what the task comes to; most tasks have none. */
const unansweredCaller = ({ inlineCaller }: TaskRecord): InlineCaller | undefined =>
  inlineCaller?.outcome === undefined ? inlineCaller : undefined

const reply = (table: TaskTable, caller: InlineCaller, outcome: TaskStartOutcome): void => {
  caller.outcome = outcome
  table.consequences.woken.push(caller.wake)
}

/** Sends the result of a settled task to its one destination. Returns whether that is the session's loop queue. */
export const deliverItem = (
  table: TaskTable,
  task: TaskRecord,
  settled: SettledTask,
  item: TaskResolution.Item
): boolean => {
  const { deliveryMode, kind } = task.snapshot
  const caller = kind === "Foreground" ? unansweredCaller(task) : undefined
  if (caller !== undefined) {
    reply(table, caller, TaskStartOutcome.Ready({ resolution: item }))
    return false
  }
  const delivery = kind === "Foreground"
    ? sendToTurn(table, task.turn, TurnTaskUpdate.Resolution({ resolution: item }))
    : deliveryMode === "Manual"
    ? sendToHost(table, task.session, item)
    : sendToLoop(table, task.session, item)
  sent(table, task, "result", delivery)
  tie(table, settled, delivery)
  return kind === "Background" && deliveryMode === "ToLoop" && delivery !== undefined
}

/** Sends the approval that a task asks for. Returns whether it goes to the session's loop queue, in either mode. */
export const deliverApproval = (table: TaskTable, task: TaskRecord, resolution: TaskResolution.Approval): boolean => {
  const isForeground = task.snapshot.kind === "Foreground"
  const caller = isForeground ? unansweredCaller(task) : undefined
  if (caller !== undefined) {
    reply(table, caller, TaskStartOutcome.Ready({ resolution }))
    return false
  }
  const delivery = isForeground
    ? sendToTurn(table, task.turn, TurnTaskUpdate.Resolution({ resolution }))
    : sendToLoop(table, task.session, resolution)
  sent(table, task, "approval", delivery)
  task.undelivered = delivery
  return !isForeground && delivery !== undefined
}

/** Tells the turn (or the caller that ran the task inline) that a task went to the background. */
export const deliverDetached = (table: TaskTable, task: TaskRecord): void => {
  const caller = unansweredCaller(task)
  if (caller !== undefined) {
    reply(table, caller, TaskStartOutcome.Pending({ taskId: task.snapshot.id, kind: "Background" }))
    return
  }
  const delivery = sendToTurn(table, task.turn, TurnTaskUpdate.Detached({ snapshot: task.snapshot }))
  sent(table, task, "detached", delivery)
}

/** The approval was answered: it is not delivered any more. */
export const withdrawApproval = (table: TaskTable, task: TaskRecord): void => {
  const { undelivered } = task
  if (undelivered === undefined) return
  undelivered.withdraw()
  acknowledge(table, undelivered)
  task.undelivered = undefined
}

/** A part of its questions was answered: where its approval still waits for its reader, it shows that. */
export const renewApproval = ({ inlineCaller, undelivered }: TaskRecord, approval: TaskApproval): void => {
  const resolution = TaskResolution.Approval({ approval })
  if (inlineCaller?.outcome?._tag === "Ready") inlineCaller.outcome = TaskStartOutcome.Ready({ resolution })
  if (undelivered === undefined || isManual(undelivered)) return
  if (isOfTurn(undelivered)) undelivered.value = TurnTaskUpdate.Resolution({ resolution })
  else undelivered.value = resolution
}

/** The inline caller is gone: what it was told, or will be, goes to the turn instead. */
export const redirectToTurn = (table: TaskTable, task: TaskRecord, caller: InlineCaller): void => {
  if (task.inlineCaller === caller) task.inlineCaller = undefined
  const outcome = caller.outcome
  caller.outcome = undefined
  if (outcome?._tag !== "Ready") return
  const { resolution } = outcome
  // a part of its questions may have been answered since
  if (resolution._tag === "Approval" && task.asked?.approval !== resolution.approval.approval) return
  if (task.session.closed) return
  // the turn and the session of a settled task may have been forgotten since
  const turn = ensureTurn(ensureSession(table, task.session.id), task.turn.id)
  const delivery = sendToTurn(table, turn, TurnTaskUpdate.Resolution({ resolution }))
  if (resolution._tag === "Approval") task.undelivered = delivery
  else tie(table, keptAs(table, task), delivery)
}

/** What is kept of a settled task. */
const keptAs = (table: TaskTable, task: TaskRecord): SettledTask | undefined => {
  const kept = table.tasks.get(task.snapshot.id)
  // another task may have the id by now
  return kept?.isLive === false && kept.snapshot === task.snapshot ? kept : undefined
}

// ---- taking ----

/** Nothing to take yet: the reader has to wait (again). */
export const NotReady = "NotReady"

const findTurn = (table: TaskTable, ref: TurnRef): Turn | undefined =>
  table.sessions.get(ref.sessionId)?.turns.get(ref.turnId)

/** Whether `takeTurnUpdate` would give an update or `Drained`. */
export const isTurnReady = (table: TaskTable, ref: TurnRef): boolean => {
  const turn = findTurn(table, ref)
  if (turn === undefined) return true
  const first = turn.updates.first
  return first === undefined ? turn.active === 0 : mayLeave(table, first.value)
}

/** Whether a queue has something that may leave. */
export const hasReady = <A extends { readonly order: number }>(table: TaskTable, { first }: LinkedList<A>): boolean =>
  first !== undefined && mayLeave(table, first.value)

/** Whether `takeLoopUpdates` would give something. */
export const isLoopReady = (table: TaskTable, sessionId: SessionId): boolean => {
  const session = table.sessions.get(sessionId)
  return session !== undefined && hasReady(table, session.updates)
}

/** There is an update, and it is not written yet: the reader has to wait (again), also where nothing else will come. */
export const NotWritten = "NotWritten"

/** The turn is over: it has no update and nothing that runs. */
export const Drained = "Drained"

/** The next update of a turn. */
export const takeTurnUpdate = (
  table: TaskTable,
  ref: TurnRef
): Delivery<TurnTaskUpdate> | typeof Drained | typeof NotReady | typeof NotWritten => {
  const turn = findTurn(table, ref)
  if (turn === undefined) return Drained
  const first = turn.updates.first
  if (first !== undefined && !mayLeave(table, first.value)) return NotWritten
  const delivery = turn.updates.shift()
  if (delivery === undefined) {
    if (turn.active > 0) return NotReady
    turn.interrupted = false
    releaseTurn(table, turn)
    return Drained
  }
  delivery.leave()
  releaseTurn(table, turn)
  return delivery
}

/** Empties a queue, except for what may not leave yet. */
const takeWritten = <A extends Undelivered>(table: TaskTable, queue: LinkedList<A>): ReadonlyArray<A> => {
  const { last } = queue
  return last === undefined || mayLeave(table, last.value)
    ? queue.drain()
    : queue.toArray().filter((delivery) => mayLeave(table, delivery))
}

/** Everything that waits for the loop of a session, oldest first. */
export const takeLoopUpdates = (table: TaskTable, sessionId: SessionId): ReadonlyArray<Delivery<TaskResolution>> => {
  const session = table.sessions.get(sessionId)
  if (session === undefined) return []
  const deliveries = takeWritten(table, session.updates)
  for (const delivery of deliveries) delivery.leave()
  releaseSession(table, session)
  return deliveries
}

const writtenManual = (table: TaskTable, sessionId: SessionId | undefined): ReadonlyArray<ManualDelivery> => {
  const queue = sessionId === undefined ? table.manual : table.sessions.get(sessionId)?.manual
  return queue === undefined ? [] : queue.toArray().filter((delivery) => mayLeave(table, delivery))
}

/** Everything in the manual queue, of one session or of all, oldest first. */
export const takeManual = (table: TaskTable, sessionId?: SessionId): ReadonlyArray<TaskResolution.Item> => {
  const deliveries = writtenManual(table, sessionId)
  for (const delivery of deliveries) discardManual(table, delivery)
  acknowledgeAll(table, deliveries)
  return deliveries.map(({ item }) => item)
}

/** One result of the manual queue, taken by a consumer. */
export interface ConsumedManual {
  readonly delivery: ManualDelivery
  readonly session: Session
}

/** As `takeManual`, for a consumer that may put them back. */
export const consumeManual = (table: TaskTable, sessionId?: SessionId): ReadonlyArray<ConsumedManual> =>
  writtenManual(table, sessionId).map((delivery) => {
    const session = enterConsumer(table, delivery.session.id, 1)
    discardManual(table, delivery)
    return { delivery, session }
  })

const discardManual = (table: TaskTable, { allNode, session, sessionNode, settled }: ManualDelivery): void => {
  if (allNode !== undefined) table.manual.remove(allNode)
  if (sessionNode !== undefined) session.manual.remove(sessionNode)
  if (settled !== undefined) settled.undelivered = undefined
  releaseSession(table, session)
}

const isManual = (delivery: Undelivered): delivery is ManualDelivery => "item" in delivery

const isOfTurn = (
  delivery: Delivery<TurnTaskUpdate> | Delivery<TaskResolution>
): delivery is Delivery<TurnTaskUpdate> => delivery.value._tag === "Resolution" || delivery.value._tag === "Detached"

/** Takes one delivery out of its queue, wherever in it it stands. */
const takeOut = (table: TaskTable, ref: TurnRef, delivery: Undelivered): Option.Option<TaskResolution.Item> => {
  if (isManual(delivery)) {
    discardManual(table, delivery)
    return Option.some(delivery.item)
  }
  delivery.leave()
  if (isOfTurn(delivery)) {
    const turn = findTurn(table, ref)
    if (turn !== undefined) releaseTurn(table, turn)
    return delivery.value._tag === "Resolution" ? itemIn(delivery.value.resolution) : Option.none()
  }
  const session = table.sessions.get(ref.sessionId)
  if (session !== undefined) releaseSession(table, session)
  return itemIn(delivery.value)
}

const itemIn = (resolution: TaskResolution): Option.Option<TaskResolution.Item> =>
  resolution._tag === "Item" ? Option.some(resolution) : Option.none()

/** The result of one task, `None` while it is in no queue; undefined if the task is not known. */
export const takeResult = (table: TaskTable, id: TaskId): Option.Option<TaskResolution.Item> | undefined => {
  const task = table.tasks.get(id)
  if (task === undefined) return undefined
  if (task.isLive || task.undelivered === undefined || !mayLeave(table, task.undelivered)) return Option.none()
  acknowledge(table, task.undelivered)
  return takeOut(table, task.snapshot, task.undelivered)
}

/** The result of one task, taken by a consumer. */
export interface ConsumedResult {
  readonly item: TaskResolution.Item
  readonly delivery: Undelivered
  readonly session: Session
  readonly turn: TurnRef
}

/** As `takeResult`, for a consumer that may put it back. */
export const consumeResult = (table: TaskTable, id: TaskId): Option.Option<ConsumedResult> | undefined => {
  const task = table.tasks.get(id)
  if (task === undefined) return undefined
  if (task.isLive || task.undelivered === undefined || !mayLeave(table, task.undelivered)) return Option.none()
  const { snapshot: turn, undelivered: delivery } = task
  const session = enterConsumer(table, turn.sessionId, 1)
  return Option.map(takeOut(table, turn, delivery), (item) => ({ item, delivery, session, turn }))
}

const discard = (table: TaskTable, delivery: Delivery<TurnTaskUpdate> | Delivery<TaskResolution>): void => {
  acknowledge(table, delivery)
  delivery.leave()
}

/** Whether it waits for a reader: nobody has taken it, or it was put back. */
export const isQueued = (delivery: Undelivered): boolean =>
  (isManual(delivery) ? delivery.allNode : delivery.node)?.list !== undefined

/** Nobody has taken it for too long: it is delivered no more. What a consumer has is his. Returns whether it was there. */
export const expire = (table: TaskTable, { snapshot }: TaskRecord, delivery: Undelivered): boolean => {
  if (!isQueued(delivery)) return false
  acknowledge(table, delivery)
  takeOut(table, snapshot, delivery)
  return true
}

/** Throws away what a closed session never took. */
export const discardUndelivered = (table: TaskTable, session: Session): void => {
  for (const delivery of session.updates.drain()) discard(table, delivery)
  for (let node = session.manual.first; node !== undefined; node = session.manual.first) {
    acknowledge(table, node.value)
    discardManual(table, node.value)
  }
  for (const turn of session.turns.values()) {
    for (const delivery of turn.updates.drain()) discard(table, delivery)
  }
}

/** What was undelivered when the process ended stands in its queue again, under its old number. To be called in the order of the numbers. */
export const sendAgain = (
  table: TaskTable,
  task: TaskRecord,
  brings: Brings,
  order: number,
  resolution: TaskResolution | TurnTaskUpdate,
  settled: SettledTask | undefined
): void => {
  const { session, snapshot, turn } = task
  const send = (): Undelivered => {
    if (resolution._tag === "Detached" || resolution._tag === "Resolution") {
      return enqueue<TurnTaskUpdate>(turn.updates, resolution, order)
    }
    if (snapshot.kind === "Foreground") {
      return enqueue<TurnTaskUpdate>(turn.updates, TurnTaskUpdate.Resolution({ resolution }), order)
    }
    if (resolution._tag === "Approval" || snapshot.deliveryMode === "ToLoop") {
      return enqueue<TaskResolution>(session.updates, resolution, order)
    }
    return appendManual(table, session, resolution, order)
  }
  const delivery = send()
  if (brings === "approval" && !isManual(delivery)) task.undelivered = delivery
  tie(table, settled, delivery)
  sent(table, task, brings, delivery)
}

// ---- putting back ----

/** Keeps the session while a consumer may still put back into it what it took; `count` is how much that is. */
export const enterConsumer = (table: TaskTable, sessionId: SessionId, count: number): Session => {
  const session = ensureSession(table, sessionId)
  session.consumers++
  session.inHand += count
  return session
}

/** The consumer is done with `count` deliveries. */
export const leaveConsumer = (table: TaskTable, session: Session, count: number): void => {
  session.consumers--
  session.inHand -= count
  releaseSession(table, session)
}

/** The consumer has succeeded with what it took: it is delivered. */
export const consumed = (table: TaskTable, session: Session, deliveries: ReadonlyArray<Undelivered>): void => {
  acknowledgeAll(table, deliveries)
  leaveConsumer(table, session, deliveries.length)
}

const insertInOrder = <A extends { readonly order: number }>(queue: LinkedList<A>, value: A): LinkedNode<A> => {
  let before: LinkedNode<A> | undefined = undefined
  for (let node = queue.first; node !== undefined && node.value.order < value.order; node = node.next) before = node
  return queue.insertAfter(before, value)
}

/** The consumer has them for good, whatever has become of it: it has acknowledged them itself. A put-back leaves them out. */
export const keepTaken = (table: TaskTable, deliveries: ReadonlyArray<Undelivered>): void => {
  acknowledgeAll(table, deliveries)
  for (const delivery of deliveries) delivery.withdrawn = true
}

/** Puts an update back where it was, unless its session was closed or it was withdrawn meanwhile. */
export const putBackTurnUpdate = (
  table: TaskTable,
  session: Session,
  ref: TurnRef,
  delivery: Delivery<TurnTaskUpdate>
): void => {
  if (!session.closed && !delivery.withdrawn) {
    const turn = ensureTurn(session, ref.turnId)
    delivery.node = insertInOrder(turn.updates, delivery)
    tie(table, delivery.settled, delivery)
    wakeAll(table, turn.waiters)
  } else acknowledge(table, delivery)
  leaveConsumer(table, session, 1)
}

/** Puts a batch back where it was, unless its session was closed; what was withdrawn stays away. */
export const putBackLoopUpdates = (
  table: TaskTable,
  session: Session,
  deliveries: ReadonlyArray<Delivery<TaskResolution>>
): void => {
  if (!session.closed) {
    // from the last: each finds its place in front of the one before, without a walk
    for (let index = deliveries.length - 1; index >= 0; index--) {
      const delivery = deliveries[index]
      if (delivery === undefined || delivery.withdrawn) continue
      delivery.node = insertInOrder(session.updates, delivery)
      tie(table, delivery.settled, delivery)
    }
    if (!session.updates.isEmpty) wakeAll(table, session.waiters)
  } else acknowledgeAll(table, deliveries)
  leaveConsumer(table, session, deliveries.length)
}

/** Puts a result back into the manual queue, unless its session was closed. */
export const putBackManual = (table: TaskTable, { delivery, session }: ConsumedManual): void => {
  if (!session.closed && !delivery.withdrawn) {
    delivery.allNode = insertInOrder(table.manual, delivery)
    delivery.sessionNode = insertInOrder(session.manual, delivery)
    tie(table, delivery.settled, delivery)
  } else acknowledge(table, delivery)
  leaveConsumer(table, session, 1)
}

/** Puts one result back where it was, unless its session was closed. */
export const putBackResult = (table: TaskTable, { delivery, session, turn }: ConsumedResult): void => {
  if (isManual(delivery)) putBackManual(table, { delivery, session })
  else if (isOfTurn(delivery)) putBackTurnUpdate(table, session, turn, delivery)
  else putBackLoopUpdates(table, session, [delivery])
}
