/** What a client is told of a session, in words that both versions of the protocol can be made of. */
import type { TurnEnd } from "../../ai/loop/AgentEvent.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { TaskId, TurnId } from "../../model/ids.js"
import type { AcpToolCallView } from "../AcpAgentOptions.js"
import type { Block, CallContent } from "./content.js"

/** The statuses of version 2; version 1 has no `paused` and no `cancelled`. */
export type CallStatus = "pending" | "in_progress" | "paused" | "completed" | "failed" | "cancelled"

/** What is new of a call. Its content takes the place of what it showed before; what is left out stays as it was. */
export interface CallUpdate {
  readonly toolCallId: string
  /** The client has not heard of the call before. */
  readonly isNew: boolean
  readonly view?: { readonly toolName: string; readonly input: unknown; readonly shown: AcpToolCallView }
  readonly status: CallStatus
  readonly content?: ReadonlyArray<CallContent>
  readonly output?: unknown
  /** Whether `tool_call/cancel` takes it now. */
  readonly isCancellable: boolean
  /** The terminal that shows what the task writes, above the content. */
  readonly terminalId?: string
  readonly task?: { readonly taskId: TaskId; readonly kind: "Foreground" | "Background" }
}

export type ForegroundState = "running" | "idle" | "requires_action"

/** A piece of what the model says or thinks. */
export interface Spoken {
  readonly _tag: "Said" | "Thought"
  readonly messageId: string
  readonly text: string
}

/** What follows from an event of a session. Some of it is sent as it is, some is done, some has to be looked up first. */
export type Update =
  | Spoken
  /** What the model said and thought under this id does not count. */
  | { readonly _tag: "Unsaid"; readonly messageId: string }
  | { readonly _tag: "MessageTaken"; readonly messageId: string; readonly turnId: TurnId }
  | { readonly _tag: "Call"; readonly call: CallUpdate }
  /** `end` is there where this ends a turn. */
  | {
    readonly _tag: "State"
    readonly state: ForegroundState
    readonly background: ReadonlyArray<string>
    readonly end?: TurnEnd
  }
  /** A task has written something that was not read yet, or has ended and may have. */
  | { readonly _tag: "Wrote"; readonly taskId: TaskId; readonly toolCallId: string }
  /** A task ended while nobody heard: its end has to be looked up. */
  | { readonly _tag: "Missed"; readonly taskId: TaskId; readonly toolCallId: string }
  | { readonly _tag: "Ask"; readonly approval: TaskApproval; readonly toolCallId: string }
  /** The task asks nothing any more, or something else. */
  | { readonly _tag: "StopAsking"; readonly taskId: TaskId }
  /** Without `end` nobody heard how. */
  | { readonly _tag: "TurnEnded"; readonly turnId: TurnId; readonly end?: TurnEnd }

/** What is sent to a client. */
export type Sent =
  | Extract<Update, { readonly _tag: "Said" | "Thought" | "Unsaid" | "Call" | "State" }>
  /** `isEcho`: the client has just sent it. */
  | {
    readonly _tag: "UserSaid"
    readonly messageId: string
    readonly content: ReadonlyArray<Block>
    readonly isEcho: boolean
  }
  | { readonly _tag: "TerminalOpened"; readonly toolCallId: string; readonly terminalId: string }
  /** More of what a task wrote, or, where something of it was lost, all that is kept. `tail` is the end of it all. */
  | {
    readonly _tag: "TerminalOutput"
    readonly toolCallId: string
    readonly terminalId: string
    readonly text: string
    readonly isWhole: boolean
    readonly tail: string
  }
  | {
    readonly _tag: "TerminalExited"
    readonly toolCallId: string
    readonly terminalId: string
    readonly exitCode?: number
    readonly signal?: string
  }
