/**
 * The state of a manager: every task, turn, session and queue, and the indexes over them. It is mutable and lives in one
 * `Ref`; only the transitions in this folder change it, each in one synchronous step.
 */
import type { ApprovalRequest, TaskApproval } from "../model/Approval.js"
import type { SessionId, TaskId, ToolCallId, TurnId } from "../model/ids.js"
import type { Metadata } from "../model/json.js"
import type { RetryRule } from "../model/RetryRule.js"
import type { CancelReason, TaskKind, TaskSnapshot } from "../model/Task.js"
import type { TaskEvent, TaskProgress } from "../model/TaskEvent.js"
import type { TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../model/TaskResolution.js"
import type { ToolRequest, ToolResultPart } from "../model/ToolCall.js"
import { LinkedList, type LinkedNode, type Tally } from "../shared/LinkedList.js"
import { Outbox } from "../shared/Outbox.js"
import type { OutputRing } from "../shared/OutputRing.js"
import { SizedQueue } from "../shared/SizedQueue.js"
import type { Budgets, Overrun } from "./budgets.js"
import { leaveFamily } from "./family.js"
import { Lane, type Line } from "./lanes.js"
import type { Inbox } from "./messages.js"
import type { PendingStart } from "./pending.js"

/** Something that a reader will take. It keeps its number when it is taken and put back, so that the order stays. */
export class Delivery<A> {
  node: LinkedNode<Delivery<A>> | undefined = undefined
  /** It must not be delivered any more, not even by a put-back: an approval that was answered. */
  withdrawn = false
  /** The kept task whose result this is, to which it is tied while it waits in its queue. */
  settled: SettledTask | undefined = undefined
  readonly value: A
  readonly order: number
  constructor(value: A, order: number) {
    this.value = value
    this.order = order
  }
  /** It is not in its queue any more; it may come back. */
  leave(): void {
    this.node?.list?.remove(this.node)
    this.node = undefined
    if (this.settled !== undefined) this.settled.undelivered = undefined
  }
  withdraw(): void {
    this.withdrawn = true
    this.leave()
  }
}

/** A manual result stands in two queues, so that one session or all can be drained without a scan. */
export interface ManualDelivery {
  readonly item: TaskResolution.Item
  readonly session: Session
  readonly order: number
  /** As in `Delivery`. */
  settled: SettledTask | undefined
  allNode: LinkedNode<ManualDelivery> | undefined
  sessionNode: LinkedNode<ManualDelivery> | undefined
}

/** A result in one of the queues that it can wait in: its turn's, its loop's, or the manual one. */
export type Undelivered = Delivery<TurnTaskUpdate> | Delivery<TaskResolution> | ManualDelivery

/** One link of the chain of launches that something runs under, innermost first, of this manager or of others. */
export interface Ancestry {
  readonly table: TaskTable
  /** Undefined once the launch has ended: what a tool leaves running does not work for its task any more. */
  readonly task: TaskRecord | undefined
  /** The launch whose tool started this one. */
  parent: Ancestry | undefined
  /** The task, once its tool was stopped: also when the launch has ended, or the tool was abandoned. */
  readonly stopped: TaskId | undefined
}

/** Somebody who waits for a condition. */
export interface Waiter {
  /** What the fiber that waits runs under; undefined where it works for no task. */
  readonly ancestry: Ancestry | undefined
  readonly wake: () => void
  /** The tasks that stand still meanwhile: its own, then those that run it inline. */
  tasks: ReadonlyArray<TaskRecord>
  /** What has to end for it, where the wait of a task may be over before that. */
  target: WaitTarget | undefined
  /** Where it is parked; undefined once it was woken or has left. */
  node: LinkedNode<Waiter> | undefined
  isWaiting: boolean
  /** The task in whose place it goes on, while it waits for that place, and its number among those that wait for one. */
  returnsTo: TaskRecord | undefined
  waitsSince: number
  /** It is the wait of a task, and was over although not everything had ended: see waitGraph.ts. */
  foundOver: boolean
}

/** What a wait can be held up by until it ends: the foreground of a turn, or every task of the manager. */
export interface Drain {
  readonly _tag: "Drain"
  readonly waiters: LinkedList<Waiter>
  /** The tasks that are Queued, Running or Cancelling. */
  active: number
  /** How many of these stand still, because they wait for a drain or for tasks. */
  standing: number
  /** In which turns the tasks are that wait for it, and how often; undefined until the first does. */
  waitedFrom: Map<Turn, number> | undefined
  /** How many active tasks that do not stand still a single one of these waits may leave out. */
  mayLeaveOut: number
}

/** A wait for the first of several tasks that ends, parked at each of them. */
export interface TaskWait {
  readonly _tag: "TaskWait"
  readonly tasks: ReadonlyArray<TaskRecord>
  /** Where the one who waits is parked. */
  readonly waiters: LinkedList<Waiter>
  readonly nodes: Array<LinkedNode<TaskWait>>
}

export type WaitTarget = Drain | TaskWait

/** The caller of an inline `startTask`, and what it will be told. */
export interface InlineCaller {
  readonly wake: () => void
  outcome: TaskStartOutcome | undefined
}

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
  /** Where sessions have a limit: its lines, and the number of the last place that one of them was given. */
  lines: Map<Lane, Line> | undefined
  lastServed: number
}

/** The time that the tools interrupted in one step have to end. */
export interface GracePeriod {
  readonly enter: (task: TaskRuntime) => void
  readonly leave: () => void
}

/** What a delivery brings of its task: there is at most one of each. */
export type Brings = "result" | "approval" | "detached"

/** What transitions tell a manager that writes its tasks down, so that it knows what to write. Undefined in memory. */
export interface TableJournal {
  /** The order of the last delivery that is written: what comes after it may not leave yet. */
  readonly lastWritten: number
  readonly changed: (task: TaskRecord) => void
  /** `seq` is the number of its terminal event, `metadata` that of the item, which is more than its result. */
  readonly settled: (task: TaskRecord, kept: SettledTask, seq: number, metadata: Metadata | undefined) => void
  readonly sent: (task: TaskRecord, brings: Brings, delivery: Undelivered) => void
  /** Its tool has written something. */
  readonly wrote: (task: TaskRecord) => void
  /** Nothing more is written, and memory may let go of it. */
  readonly outputEnds: (task: TaskRecord, output: OutputRing) => void
  /** Its reader has it for good, or nobody will: it is not sent again after a restart. */
  readonly acknowledged: (delivery: Undelivered) => void
  /** The host does not see the settled task any more. */
  readonly forgotten: (kept: SettledTask) => void
  readonly closed: (session: Session) => void
}

/** What the runtime keeps for a launch. Transitions write its two fields and call nothing of it. */
export interface TaskRuntime extends Ancestry {
  /** From the step that begins the launch to the one that ends it. */
  task: TaskRecord | undefined
  /** The kind of the task when the launch ended. */
  lastKind: TaskKind
  /** Runs the tool of the current launch; `later`: not in this step, but when the scheduler comes to it. */
  readonly launch: (later?: boolean) => void
  /** Tells the tool why it is stopped and interrupts it. It enters the grace period and leaves it when it ends. */
  readonly interrupt: (gracePeriod: GracePeriod) => void
  /** The tool has not ended within its grace period. */
  readonly abandon: () => void
  /** Starts and stops the timers that depend on where the task runs: the one that would detach it, that of the background. */
  readonly setTimers: () => void
  /** Its tool has waited for others until now, and was not idle. */
  readonly heard: () => void
  /** The launch has ended: stops its timers and releases its fiber. */
  readonly end: () => void
}

/**
 * `held`: counts against the limit. `lent`: given up while the task waits. `shared`: the task runs in the place of the
 * task that started it inline. `none`: not running.
 */
export type Place = "none" | "held" | "lent" | "shared"

/** Answers by the ids of their questions. */
export type Answers = ReadonlyMap<string, unknown>

/** A live task. Whoever still holds the record of a settled one sees its terminal snapshot. */
export class TaskRecord {
  readonly isLive = true
  /** The place among the tasks of the manager, in the order in which they were started. */
  readonly order: number
  /** The number of the last event before its first. */
  readonly bornAfter: number
  snapshot: TaskSnapshot
  request: ToolRequest
  readonly session: Session
  readonly turn: Turn
  /** Why a Cancelling task ends, and with that how it will; decided once. */
  cancelReason: CancelReason | undefined = undefined
  /** What is asked while Suspended. */
  asked: TaskApproval | undefined = undefined
  /** What was answered to the questions of the task, by their ids; made for the first answer and never changed. */
  answers: Answers | undefined = undefined
  /** Approved calls that would resume it and are not accepted yet; made for the first of them. */
  pending: LinkedList<PendingStart> | undefined = undefined
  /** What the current launch was approved with, as its tool may see it. */
  approval: ApprovalRequest | undefined = undefined
  /** The approval that was not taken yet. */
  undelivered: Delivery<TurnTaskUpdate> | Delivery<TaskResolution> | undefined = undefined
  /** Milliseconds that the current launch may run; Infinity for no limit. */
  timeout = Infinity
  /** Milliseconds after which the current launch detaches; Infinity for never. */
  detachAfter = Infinity
  /** The other limits on how long it may take; undefined for none. */
  budgets: Budgets | undefined = undefined
  /** The live task whose tool started it, and the live ones that its own tool has started; made for the first of them. */
  parent: TaskRecord | undefined = undefined
  children: Set<TaskRecord> | undefined = undefined
  /** What becomes of these when it is cancelled; undefined: those in the foreground are cancelled. */
  childPolicy: "cancel" | "keep" | undefined = undefined
  /** When its tool is tried again; undefined for never. */
  retry: RetryRule | undefined = undefined
  /** Which limit it has passed, if that is why it is Cancelling. */
  overrun: Overrun | undefined = undefined
  /** When it asked, in epoch milliseconds, where the answer has a limit. */
  askedAt: number | undefined = undefined
  lane: Lane
  place: Place = "none"
  /** The waits of the task, or of tasks that it runs inline, for a drain or for tasks. */
  waiting: Set<Waiter> | undefined = undefined
  /** The caller that waits for the current launch. */
  inlineCaller: InlineCaller | undefined = undefined
  /** The task whose tool is that caller. */
  inlineParent: TaskRecord | undefined = undefined
  /** Waits of its tool, or of what it runs inline, that are over and wait for their place. */
  returning: Set<Waiter> | undefined = undefined
  readonly liveNode: LinkedNode<TaskRecord>
  readonly turnNode: LinkedNode<TaskRecord>
  /** Where it waits for a place, and its number among those that wait for one. */
  queueNode: LinkedNode<TaskRecord> | undefined = undefined
  waitsSince = 0
  suspendedNode: LinkedNode<TaskRecord> | undefined = undefined
  /** Whoever waits for the task to settle. */
  settledWaiters: Array<() => void> | undefined = undefined
  /** Whoever waits for the task to settle or to be suspended, among others. */
  taskWaits: LinkedList<TaskWait> | undefined = undefined
  /** What its tool said last of how far it is. */
  lastProgress: TaskProgress | undefined = undefined
  /** What the task has written; made when it writes for the first time. */
  output: OutputRing | undefined = undefined
  /** What was said to the task; made when its tool reads for the first time. */
  inbox: Inbox | undefined = undefined
  runtime: TaskRuntime | undefined = undefined

  constructor(table: TaskTable, turn: Turn, request: ToolRequest, snapshot: TaskSnapshot) {
    this.order = ++table.lastTask
    this.bornAfter = table.seq
    this.snapshot = snapshot
    this.request = request
    this.session = turn.session
    this.turn = turn
    this.lane = table.lanes[0]
    this.liveNode = table.live.append(this)
    this.turnNode = turn.tasks.append(this)
    this.session.live++
  }

  get priority(): number {
    return this.snapshot.priority ?? 0
  }

  /** Whether the task stands still, because it waits for a drain or for tasks. */
  get isStanding(): boolean {
    return this.waiting !== undefined && this.waiting.size > 0
  }

  /** The task has settled. */
  leave(table: TaskTable): void {
    table.live.remove(this.liveNode)
    if (this.parent !== undefined || this.children !== undefined) leaveFamily(this)
    this.turn.tasks.remove(this.turnNode)
    if (this.suspendedNode !== undefined) table.suspended.remove(this.suspendedNode)
    if (--this.session.live === 0 && this.session.closed) endClosed(table, this.session)
  }
}

/** Nothing of a closed session is live any more. */
const endClosed = (table: TaskTable, session: Session): void => {
  const closed = table.closedSessions.get(session.id)
  if (closed?.delete(session) === true && closed.size === 0) table.closedSessions.delete(session.id)
}

/** A settled task as it is kept for the host. */
export interface SettledTask {
  readonly isLive: false
  /** As in `TaskRecord`. */
  readonly bornAfter: number
  /** The number of its terminal event. */
  readonly seq: number
  readonly snapshot: TaskSnapshot
  readonly result: ToolResultPart
  /** How much memory it takes, without its output. */
  readonly bytes: number
  readonly output: OutputRing | undefined
  /** The result while it waits in a queue. */
  undelivered: Undelivered | undefined
}

export interface Limits {
  /** How many settled tasks are kept. */
  readonly history: number
  /** How many bytes of memory they take together. */
  readonly historyBytes: number
  /** How many tasks run at once. */
  readonly concurrency: number
  /** How many tasks of one session run at once. */
  readonly perSession: number
  /** How many tasks of each lane run at once. */
  readonly lanes: Readonly<Record<string, number>>
  /** How many tasks are accepted and not settled. */
  readonly live: number
  /** How many updates and results of one session wait to be taken. */
  readonly undelivered: number
  /** How many bytes of the output of one task are kept. */
  readonly output: number
  /** How many bytes of output are kept over all settled tasks. */
  readonly outputHistory: number
  /** How many bytes of UTF-8 a result may have. */
  readonly result: number
  /** How many messages to one task may be unread. */
  readonly messages: number
  /** How many bytes of UTF-8 they may have together. */
  readonly messageBytes: number
  /** What becomes of a call whose id was used in its turn before. */
  readonly duplicateCallIds: "run" | "join" | "reject"
}

/**
 * What a transition asks the runtime to do, in this order: end launches, set timers, publish, interrupt, wake, launch. It is all
 * that leaves a step.
 */
export interface Consequences {
  readonly ended: Outbox<TaskRuntime>
  readonly retimed: Outbox<TaskRuntime>
  /** Tasks whose question has a limit of time, and was asked or is not asked any more. */
  readonly questions: Outbox<TaskRecord>
  /** Launches whose tool has waited for other tasks, or for its place after that, and does not any more. */
  readonly heard: Outbox<TaskRuntime>
  readonly events: Outbox<TaskEvent>
  readonly launched: Outbox<TaskRuntime>
  readonly interrupted: Outbox<TaskRuntime>
  readonly woken: Outbox<() => void>
}

/** Who watches what suspended tasks ask, and how often that has changed. */
interface AskedTasks {
  readonly waiters: LinkedList<Waiter>
  version: number
  toldVersion: number
}

export interface TaskTable {
  readonly limits: Limits
  readonly tasks: Map<TaskId, TaskRecord | SettledTask>
  readonly sessions: Map<SessionId, Session>
  /** Closed sessions that still have live tasks; an id can be opened and closed again meanwhile. */
  readonly closedSessions: Map<SessionId, Set<Session>>
  /** Live tasks, oldest first. */
  readonly live: LinkedList<TaskRecord>
  readonly suspended: LinkedList<TaskRecord>
  /** Settled tasks that are kept, in the order in which they settled, and how much memory they take without their output. */
  readonly history: SizedQueue<SettledTask>
  /** What settled tasks have written, in the order in which they settled. */
  readonly settledOutputs: LinkedList<OutputRing>
  settledOutputBytes: number
  /** Results for the host, of all sessions. */
  readonly manual: LinkedList<ManualDelivery>
  /** Every task. */
  readonly idle: Drain
  /** Places of the concurrency limit in use. */
  places: number
  /** The lane of tasks that were given none, then the named ones. */
  readonly lanes: readonly [Lane, ...Array<Lane>]
  /** How many wait for a place: queued tasks, and waits that are over. */
  waiting: number
  /** The number of the last of them, and of the last place that was given to one where sessions have a limit. */
  lastWaiting: number
  lastServed: number
  readonly changeWaiters: LinkedList<Waiter>
  /** Counts the changes of the set of live tasks, and how many of them the watchers were woken for. */
  version: number
  toldVersion: number
  /** As these, for what suspended tasks ask. */
  readonly inbox: AskedTasks
  /** The number of the last event. */
  seq: number
  /** The order of the last task that was started. */
  lastTask: number
  lastTaskNumber: number
  lastDelivery: number
  /** Nothing is started any more. */
  closing: boolean
  /** Shut down, and every task is settled. */
  closed: boolean
  readonly consequences: Consequences
  journal: TableJournal | undefined
}

const makeDrain = (): Drain => ({
  _tag: "Drain",
  waiters: new LinkedList(),
  active: 0,
  standing: 0,
  waitedFrom: undefined,
  mayLeaveOut: 0
})

export const make = (limits: Partial<Limits> = {}): TaskTable => ({
  limits: {
    history: 1_000,
    historyBytes: 67_108_864,
    concurrency: Infinity,
    perSession: Infinity,
    lanes: {},
    live: Infinity,
    undelivered: Infinity,
    output: 65_536,
    outputHistory: 16_777_216,
    result: 1_048_576,
    messages: 100,
    messageBytes: 1_048_576,
    duplicateCallIds: "run",
    ...limits
  },
  tasks: new Map(),
  sessions: new Map(),
  closedSessions: new Map(),
  live: new LinkedList(),
  suspended: new LinkedList(),
  history: new SizedQueue(),
  settledOutputs: new LinkedList(),
  settledOutputBytes: 0,
  manual: new LinkedList(),
  idle: makeDrain(),
  places: 0,
  lanes: [
    new Lane(undefined, Infinity),
    ...Object.entries(limits.lanes ?? {}).map(([name, limit]) => new Lane(name, limit))
  ],
  waiting: 0,
  lastWaiting: 0,
  lastServed: 0,
  changeWaiters: new LinkedList(),
  version: 0,
  toldVersion: 0,
  inbox: { waiters: new LinkedList(), version: 0, toldVersion: 0 },
  seq: 0,
  lastTask: 0,
  lastTaskNumber: 0,
  lastDelivery: 0,
  closing: false,
  closed: false,
  consequences: {
    ended: new Outbox(),
    retimed: new Outbox(),
    questions: new Outbox(),
    heard: new Outbox(),
    events: new Outbox(),
    launched: new Outbox(),
    interrupted: new Outbox(),
    woken: new Outbox()
  },
  journal: undefined
})

/** The lane of this name; undefined where there is none. */
export const laneOf = ({ lanes }: TaskTable, name: string): Lane | undefined => lanes.find((lane) => lane.name === name)

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
