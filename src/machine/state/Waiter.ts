/** Who waits, and for what: the foreground of a turn, every task of the manager, or the first of several tasks. */
import type { TaskId } from "../../model/ids.js"
import { LinkedList, type LinkedNode } from "../../shared/LinkedList.js"
import type { Turn } from "./Session.js"
import type { TaskRecord } from "./TaskRecord.js"
import type { TaskTable } from "./TaskTable.js"

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
  /** Where several waits are over because they wait for each other, this one is only if those of others do not suffice. */
  readonly comesLast: boolean
}

export type WaitTarget = Drain | TaskWait

/** Where nothing is active. */
export const makeDrain = (): Drain => ({
  _tag: "Drain",
  waiters: new LinkedList(),
  active: 0,
  standing: 0,
  waitedFrom: undefined,
  mayLeaveOut: 0
})
