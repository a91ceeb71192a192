/** A call of `startTask` that is not accepted yet. */
import type { ToolCallId } from "../../model/ids.js"
import type { LinkedList, LinkedNode } from "../../shared/LinkedList.js"
import type { Turn } from "./Session.js"
import type { TaskRecord } from "./TaskRecord.js"

/** Why a call that is not accepted yet is refused. `Answered`: the task that it would resume does not ask any more. */
export type PendingRefusal = "Shutdown" | "Answered"

/** What the runtime does when a call ends before it was answered; the machine only calls it. */
export interface PendingCaller {
  /** Its turn was interrupted: accepts the call now, as one that settles at once. Returns its task if there is one. */
  readonly accept: (now: number) => TaskRecord | undefined
  readonly refuse: (why: PendingRefusal) => void
  /** Lets the caller go on. */
  readonly wake: () => void
}

/** A call of `startTask` that is not accepted yet. */
export interface PendingStart {
  readonly caller: PendingCaller
  readonly turn: Turn | undefined
  /** Under which it stands among the calls of its turn, if that is looked at. */
  callId: ToolCallId | undefined
  /** Where it stands; undefined once it has ended. */
  node: LinkedNode<PendingStart> | undefined
  /** The suspended task that it would resume. */
  readonly resumes: TaskRecord | undefined
  /** Whether it is known that its id is not in use. Until then it is not accepted, also where its turn is interrupted. */
  readonly isNew: boolean
  /** Its turn was interrupted before that was known: it settles at once if it is accepted. */
  isInterrupted: boolean
  /** Its task, where it was accepted for that. */
  accepted: TaskRecord | undefined
  /** Those who wait for this call to end: theirs has the same call id, or they have interrupted its turn. */
  readonly others: LinkedList<() => void>
}
