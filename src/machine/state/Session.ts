/** Sessions and their turns, which are made when they are first needed and forgotten when nothing is left in them. */
import type { SessionId, ToolCallId, TurnId } from "../../model/ids.js"
import type { TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import { LinkedList, type Tally } from "../../shared/LinkedList.js"
import type { Lane, Line } from "./lanes.js"
import type { PendingStart } from "./PendingStart.js"
import type { TaskRecord } from "./TaskRecord.js"
import type { TaskTable } from "./TaskTable.js"
import type { Delivery, ManualDelivery } from "./Undelivered.js"
import type { Drain, Waiter } from "./Waiter.js"

/** As a drain it is its foreground. */
export interface Turn extends Drain {
  readonly id: TurnId
  readonly session: Session
  /** Live tasks of the turn, background included. */
  readonly tasks: LinkedList<TaskRecord>
  readonly updates: LinkedList<Delivery<TurnTaskUpdate>>
  /** Interrupted and not drained since: calls started for it settle at once as Cancelled. */
  interrupted: boolean
  /** Calls that are not accepted yet; made for the first of them. */
  pending: LinkedList<PendingStart> | undefined
  /** The calls of the turn by their ids; made where a repeated id does not just run. */
  calls: Map<ToolCallId, TaskRecord | PendingStart> | undefined
}

export interface Session {
  readonly id: SessionId
  readonly turns: Map<TurnId, Turn>
  readonly updates: LinkedList<Delivery<TaskResolution>>
  readonly manual: LinkedList<ManualDelivery>
  /** How much of the session waits to be taken: the updates of its turns, its loop queue, its manual queue. */
  readonly undelivered: Tally
  readonly waiters: LinkedList<Waiter>
  /** Consumers that may still put something back. */
  consumers: number
  /** How much they have taken: it is not delivered until they have succeeded. */
  inHand: number
  /** Closed sessions are out of the index; what still arrives for them is dropped. */
  closed: boolean
  /** How many of its tasks are live. */
  live: number
  /** How many of its tasks have a place. */
  places: number
  /** The live tasks of the same call, oldest first, where routes say that it matters; none that has joined another one. */
  calls: Map<string, Set<TaskRecord>> | undefined
  /** Where sessions have a limit: its lines, and the number of the last place that one of them was given. */
  lines: Map<Lane, Line> | undefined
  lastServed: number
}

/** The session, made when it is first needed. */
export const ensureSession = (table: TaskTable, id: SessionId): Session => {
  const known = table.sessions.get(id)
  if (known !== undefined) return known
  const undelivered: Tally = { count: 0 }
  const session: Session = {
    id,
    turns: new Map(),
    updates: new LinkedList(undelivered),
    manual: new LinkedList(undelivered),
    undelivered,
    waiters: new LinkedList(),
    consumers: 0,
    inHand: 0,
    closed: false,
    live: 0,
    places: 0,
    calls: undefined,
    lines: undefined,
    lastServed: 0
  }
  table.sessions.set(id, session)
  return session
}

/** The turn, made when it is first needed. */
export const ensureTurn = (session: Session, id: TurnId): Turn => {
  const known = session.turns.get(id)
  if (known !== undefined) return known
  // written out: a spread with new fields costs several times a literal, and every call pays for its turn
  const turn: Turn = {
    _tag: "Drain",
    waiters: new LinkedList(),
    active: 0,
    standing: 0,
    waitedFrom: undefined,
    mayLeaveOut: 0,
    id,
    session,
    tasks: new LinkedList(),
    updates: new LinkedList(session.undelivered),
    interrupted: false,
    pending: undefined,
    calls: undefined
  }
  session.turns.set(id, turn)
  return turn
}

/** Forgets the session if nothing is left in it. */
export const releaseSession = (table: TaskTable, session: Session): void => {
  if (
    !session.closed && session.turns.size === 0 && session.updates.isEmpty && session.manual.isEmpty &&
    session.waiters.isEmpty && session.consumers === 0
  ) {
    table.sessions.delete(session.id)
  }
}

/** Forgets the turn if nothing is left in it, and then its session. */
export const releaseTurn = (table: TaskTable, turn: Turn): void => {
  if (
    turn.tasks.isEmpty && turn.updates.isEmpty && turn.waiters.isEmpty && !turn.interrupted &&
    turn.pending?.isEmpty !== false
  ) {
    turn.session.turns.delete(turn.id)
    releaseSession(table, turn.session)
  }
}
