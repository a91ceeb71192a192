/** What is known of a session that a chat page follows, and what comes of an event. */
import type { AgentSessionState } from "../../ai/loop/AgentEvent.js"
import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { TaskId, ToolCallId, TurnId } from "../../model/ids.js"
import type { UiMessageChunk } from "../UiMessageChunk.js"

/** What comes of an event. `Opened` begins a stream of chunks, and `Ended` is the end of it. */
export type UiOutcome =
  | { readonly _tag: "Opened"; readonly messageId: string; readonly isContinued: boolean }
  | { readonly _tag: "Chunk"; readonly chunk: UiMessageChunk }
  /** The open message answers this message of the user. */
  | { readonly _tag: "Answers"; readonly userMessageId: string }
  | { readonly _tag: "Ended" }
  /** Events were missed: which message answers which is not known. */
  | { readonly _tag: "Missed" }

/** A session at one moment. `entries` is its transcript at that moment; it need not be there where no turn is running. */
export interface JoinedSession extends AgentSessionState {
  readonly entries: ReadonlyArray<TranscriptEntry>
}

/**
 * `Said`: it has no task. `Missed`: it had none and no result when the session was joined: it is about to be started, or has ended and
 * its result is being stored. `Refused`: the page was told that nothing more is told of it. `Answered`: it has asked, and a page's answer
 * is being handed in.
 */
export type CallState = "Said" | "Missed" | "Refused" | "Running" | "Suspended" | "Answered" | "Ended"

/** `Due`: it had settled before a request to the model that is about to be answered, which has its result unless somebody else took it. */
export type BackgroundState = "Lives" | "Settled" | "Due"

export interface Message {
  readonly id: string
  /** The message of the user that its turn took last before it began. */
  readonly userMessageId: string | undefined
  readonly isOpen: boolean
  /** Whether there is more in it than its beginning. */
  readonly hasSaid: boolean
  /** Whether the model has called in this step, and whether results came: what it says next is another step. */
  readonly hasCalls: boolean
  readonly hasResults: boolean
  readonly calls: ReadonlyMap<ToolCallId, CallState>
  /** The text or the thought that is being told. */
  readonly block: { readonly type: "text" | "reasoning"; readonly id: string } | undefined
  /** What the background has told while it was paused: how each task is, and what it asks. */
  readonly later: ReadonlyMap<string, UiMessageChunk>
}

/** What is known of a session. */
export interface UiState {
  readonly turnId: TurnId | undefined
  /** The one that is told; undefined between turns. */
  readonly message: Message | undefined
  /** How many messages and blocks there were: their ids. */
  readonly messages: number
  readonly blocks: number
  /** The tasks in the background that bring a turn. */
  readonly background: ReadonlyMap<TaskId, BackgroundState>
  /** Those of them whose result was taken between turns: the next turn is theirs. */
  readonly collected: ReadonlyArray<TaskId>
  /** What the ids of messages begin with, so that those of another process differ. */
  readonly prefix: string
}

/** What comes of an event. */
export interface UiStep {
  readonly state: UiState
  readonly outcomes: ReadonlyArray<UiOutcome>
}

/**
 * Whether nothing of the open message can go on without an answer: `Answers`; or `Maybe`, where calls have no task and may be about to
 * be started.
 */
export const blockedBy = ({ message }: UiState): "Answers" | "Maybe" | undefined => {
  if (message?.isOpen !== true) return undefined
  let isMaybe = false
  let isAsked = false
  for (const state of message.calls.values()) {
    if (state === "Running" || state === "Answered") return undefined
    if (state === "Said" || state === "Missed") isMaybe = true
    if (state === "Suspended") isAsked = true
  }
  return !isAsked ? undefined : isMaybe ? "Maybe" : "Answers"
}
