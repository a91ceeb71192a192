/** A task: its record while it is live, and what is kept of it once it has settled. */
import type { ApprovalRequest, TaskApproval } from "../../model/Approval.js"
import type { RetryRule } from "../../model/RetryRule.js"
import type { CancelReason, TaskKind, TaskSnapshot } from "../../model/Task.js"
import type { TaskProgress } from "../../model/TaskEvent.js"
import type { TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { ToolRequest, ToolResultPart } from "../../model/ToolCall.js"
import type { ReachedLimit } from "../../model/Usage.js"
import type { LinkedList, LinkedNode } from "../../shared/LinkedList.js"
import type { OutputRing } from "../../shared/OutputRing.js"
import type { Budgets, Overrun } from "./Budgets.js"
import type { Duplicates } from "./Duplicates.js"
import type { Inbox } from "./Inbox.js"
import type { Lane } from "./lanes.js"
import type { Meter } from "./Ledger.js"
import type { PendingStart } from "./PendingStart.js"
import type { Session, Turn } from "./Session.js"
import type { TaskTable } from "./TaskTable.js"
import type { Delivery, Undelivered } from "./Undelivered.js"
import type { Ancestry, TaskWait, Waiter } from "./Waiter.js"

/** The caller of an inline `startTask`, and what it will be told. */
export interface InlineCaller {
  readonly wake: () => void
  outcome: TaskStartOutcome | undefined
}

/** The time that the tools interrupted in one step have to end. */
export interface GracePeriod {
  readonly enter: (task: TaskRuntime) => void
  readonly leave: () => void
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
  /** The same call, which the task had joined, brings it no result. */
  readonly goOn: () => void
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
  /** What it was called with, as JSON text, where that is kept: a tool may change its request. */
  input: string | undefined = undefined
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
  /** From when on that counts, in epoch milliseconds; undefined: from when the task was created. */
  detachFrom: number | undefined = undefined
  /** The other limits on how long it may take; undefined for none. */
  budgets: Budgets | undefined = undefined
  /** The live task whose tool started it, and the live ones that its own tool has started; made for the first of them. */
  parent: TaskRecord | undefined = undefined
  children: Set<TaskRecord> | undefined = undefined
  /** What becomes of these when it is cancelled; undefined: those in the foreground are cancelled. */
  childPolicy: "cancel" | "keep" | undefined = undefined
  /** What the task has in common with the same calls of its session; undefined where its route says nothing of them. */
  duplicates: Duplicates | undefined = undefined
  /** What it uses; undefined where that is not summed up. */
  meter: Meter | undefined = undefined
  /** The limit on what is used that it has passed, if that is why it is Cancelling. */
  reached: ReachedLimit | undefined = undefined
  /** It asks because a limit is reached, and its tool has not begun. */
  asksForLimit = false
  /** When its tool is tried again; undefined for never. */
  retry: RetryRule | undefined = undefined
  /** Which limit it has passed, if that is why it is Cancelling. */
  overrun: Overrun | undefined = undefined
  /** When it asked, in epoch milliseconds, where the answer has a limit. */
  askedAt: number | undefined = undefined
  /** The number of the event that told that it asks: what asks is shown in this order. */
  askedIn: number | undefined = undefined
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
  /** Its place among the suspended tasks. */
  suspendedNode: LinkedNode<TaskRecord> | undefined = undefined
  /** Whoever waits for the task to settle. */
  settledWaiters: Set<() => void> | undefined = undefined
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

  /** It waits for an answer, behind all that wait for one. */
  suspend(table: TaskTable): void {
    this.suspendedNode = table.suspended.append(this)
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

/** A task has settled: it is nobody's child any more, and nobody's parent. */
const leaveFamily = (task: TaskRecord): void => {
  task.parent?.children?.delete(task)
  task.parent = undefined
  // a task that starts its successor and ends would otherwise keep each of its ancestors in memory
  for (const child of task.children ?? []) child.parent = undefined
  task.children = undefined
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
  /** As in `TaskRecord`. */
  readonly input: string | undefined
  /** How much memory it takes, without its output. */
  readonly bytes: number
  readonly output: OutputRing | undefined
  /** The result while it waits in a queue. */
  undelivered: Undelivered | undefined
}
