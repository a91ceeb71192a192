/** What is written down of a run, in the order in which it happened. */
import type { SessionId, TaskId, TurnId } from "../../../src/model/ids.js"
import type { RoutingDecision } from "../../../src/model/RoutingDecision.js"
import type { CancelReason, TaskSnapshot } from "../../../src/model/Task.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import type { TaskResolution } from "../../../src/model/TaskResolution.js"
import type { ToolRequest } from "../../../src/model/ToolCall.js"
import type { ToolScript } from "./plan.js"

/** When something happened: the virtual time, and a number that orders everything. */
export interface Moment {
  readonly at: number
  readonly order: number
}

/** A message to a task. */
export interface MessageRecord {
  readonly taskId: TaskId
  readonly message: string
}

export type Operation =
  | "startTask"
  | "approve"
  | "approveWrongly"
  | "approveAgain"
  | "answer"
  | "answerWrongly"
  | "waitForTurn"
  | "consumeTurnUpdate"
  | "takePendingLoopUpdates"
  | "consumePendingLoopUpdates"
  | "waitForLoopUpdate"
  | "takeResult"
  | "consumeResult"
  | "waitForTask"
  | "onTurnInterrupted"
  | "rejectApproval"
  | "closeSession"
  | "cancel"
  | "detach"
  | "setContinuePolicy"
  | "setDeliveryMode"
  | "setPriority"
  | "setConcurrency"
  | "drainReadyItems"
  | "drainReadyItemsOf"
  | "waitForIdle"
  | "watch"
  | "shutdown"

/** One call of a method of the manager. */
export interface CallRecord {
  readonly operation: Operation
  readonly actor: string
  readonly began: Moment
  /** Made by a tool: then the task whose tool it was. */
  readonly inTask: TaskId | undefined
  readonly inFinalizer: boolean
  readonly taskId: TaskId | undefined
  sessionId: SessionId | undefined
  readonly turnId: TurnId | undefined
  /** The token of the question that it answers. */
  readonly asking: string | undefined
  ended: Moment | undefined
  /** Whether it waits with a timeout. */
  isLimited: boolean
  /** When it first changed or looked at the table, if it may end what is being routed. */
  reached: Moment | undefined
  /** `ok`, what it answered, the tag of its error, `interrupted` or `died`. */
  outcome: string | undefined
  /** What was asked in an approval that was given to `use`, or was shown when it was answered. */
  readonly inHand: Array<TaskResolution>
  /** The limit that it was refused for. */
  refused: { readonly limit: "maxLive" | "maxUndelivered"; readonly max: number } | undefined
  /** The most that was live, and undelivered in its session, while it was in progress. */
  readonly peak: { live: number; undelivered: number }
  /** Its answers were the last ones: they approved. */
  hasApproved: boolean
  /** When `use` got what is in hand. */
  handed: Moment | undefined
  receipt: ReadonlyArray<TaskSnapshot> | undefined
}

/** Whether a reader's note is made in the very step that takes: only then nothing can happen in between. */
export interface DeliveryRecord extends Moment {
  readonly to: "Turn" | "Loop" | "Manual" | "Ready" | "Result"
  readonly reader: string
  readonly sessionId: SessionId
  readonly turnId: TurnId | undefined
  readonly resolution: TaskResolution
  readonly isDirect: boolean
  /** The number of the batch it came in. */
  readonly batch: number
}

export interface DetachedRecord extends Moment {
  readonly taskId: TaskId
  readonly sessionId: SessionId
  readonly turnId: TurnId
}

/** One run of a tool's body. */
export interface ToolRun {
  readonly taskId: TaskId
  readonly launch: number
  readonly request: ToolRequest
  readonly approvalId: string | undefined
  /** What it found answered. */
  readonly answers: Readonly<Record<string, unknown>>
  readonly began: Moment
  ended: Moment | undefined
  outcome: "Succeeded" | "Failed" | "AskedForApproval" | "Died" | "Interrupted" | undefined
  /** Whether it got as far as to interrupt itself. */
  interruptsItself: boolean
  /** What the tool was told of why it was stopped, asked at its end. */
  stopped: CancelReason | undefined
  acquired: number
  released: number
}

export interface EventRecord extends Moment {
  readonly event: TaskEvent
}

/** An answer to one question, and whether it is known to count. */
export interface AnswerRecord {
  readonly taskId: TaskId
  readonly asking: string | undefined
  readonly id: string
  readonly value: number
  isTaken: boolean
  isRefused: boolean
}

/** Somebody who watches what is asked. */
export interface InboxReader {
  readonly name: string
  last: string | undefined
  /** It does not wait for the next list. */
  isBusy: boolean
}

/** What a tool wrote, and when it had; `order` is endless for a write that did not return. */
export interface WriteRecord {
  readonly taskId: TaskId
  readonly launch: number
  readonly chunk: string
  order: number
}

/** One launch as it was routed. */
export interface RouteRecord extends Moment {
  readonly key: string
  readonly decision: RoutingDecision
}

/** A call that was made up: `key` is in its metadata. */
export interface PlannedCall {
  readonly key: string
  readonly request: ToolRequest
  readonly script: ToolScript
}

/** A suspended task that nobody answered until all readers were done and everything was drained. */
export interface LeftSuspended extends Moment {
  readonly taskId: TaskId
  readonly launch: number
}

export interface Violation {
  /** The number of the invariant in the contract. */
  readonly invariant: number
  readonly message: string
}
