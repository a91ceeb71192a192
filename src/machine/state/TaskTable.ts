/**
 * The state of a manager: every task, turn, session and queue, and the indexes over them. It is mutable and lives in one
 * `Ref`; only the transitions in this folder change it, each in one synchronous step.
 */
import type { SessionId, TaskId } from "../../model/ids.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import { LinkedList } from "../../shared/LinkedList.js"
import { Outbox } from "../../shared/Outbox.js"
import type { OutputRing } from "../../shared/OutputRing.js"
import { SizedQueue } from "../../shared/SizedQueue.js"
import type { HistoryIndex } from "./HistoryIndex.js"
import { Lane } from "./lanes.js"
import { type Ledger, type LedgerLimits, makeLedger } from "./Ledger.js"
import type { Session } from "./Session.js"
import type { TableJournal } from "./TableJournal.js"
import type { SettledTask, TaskRecord, TaskRuntime } from "./TaskRecord.js"
import type { ManualDelivery } from "./Undelivered.js"
import { type Drain, makeDrain, type Waiter } from "./Waiter.js"

export interface Limits {
  /** How many settled tasks are kept. */
  readonly history: number
  /** How many bytes of memory they take together. */
  readonly historyBytes: number
  /** Whether they are kept with what they were called with. */
  readonly keepsInputs: boolean
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
  /** What may be used; undefined where that is not summed up. */
  readonly ledger: LedgerLimits | undefined
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
  /** Suspended tasks, longest suspended first. */
  readonly suspended: LinkedList<TaskRecord>
  /** Settled tasks that are kept, in the order in which they settled, and how much memory they take without their output. */
  readonly history: SizedQueue<SettledTask>
  /** These by session and status; made when some of them are first asked for. */
  historyIndex: HistoryIndex | undefined
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
  /** What tasks use; undefined where that is not summed up. */
  readonly ledger: Ledger | undefined
  journal: TableJournal | undefined
}

export const make = (limits: Partial<Limits> = {}): TaskTable => ({
  limits: {
    history: 1_000,
    historyBytes: 67_108_864,
    keepsInputs: false,
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
    ledger: undefined,
    ...limits
  },
  tasks: new Map(),
  sessions: new Map(),
  closedSessions: new Map(),
  live: new LinkedList(),
  suspended: new LinkedList(),
  history: new SizedQueue(),
  historyIndex: undefined,
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
  ledger: limits.ledger === undefined ? undefined : makeLedger(limits.ledger),
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
