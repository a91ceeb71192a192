/** What waits for a reader: an update of a turn, a resolution for a loop, a result for the host. */
import type { TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { LinkedNode } from "../../shared/LinkedList.js"
import type { Session } from "./Session.js"
import type { SettledTask } from "./TaskRecord.js"

/** Something that a reader will take. It keeps its number when it is taken and put back, so that the order stays. */
export class Delivery<A> {
  node: LinkedNode<Delivery<A>> | undefined = undefined
  /** It must not be delivered any more, not even by a put-back: an approval that was answered, or what its reader has for good. */
  withdrawn = false
  /** The kept task whose result this is, to which it is tied while it waits in its queue. */
  settled: SettledTask | undefined = undefined
  /** Replaced where a request for approval is answered in part before its reader has it. */
  value: A
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
  withdrawn: boolean
  /** As in `Delivery`. */
  settled: SettledTask | undefined
  allNode: LinkedNode<ManualDelivery> | undefined
  sessionNode: LinkedNode<ManualDelivery> | undefined
}

/** A result in one of the queues that it can wait in: its turn's, its loop's, or the manual one. */
export type Undelivered = Delivery<TurnTaskUpdate> | Delivery<TaskResolution> | ManualDelivery

/** What a delivery brings of its task: there is at most one of each. */
export type Brings = "result" | "approval" | "detached"
