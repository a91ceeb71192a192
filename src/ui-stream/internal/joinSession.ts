/** A session in the middle of whatever it does, with what its transcript has at that moment. */
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import type * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { AgentEvent } from "../../ai/loop/AgentEvent.js"
import type { AgentSession } from "../../ai/loop/AgentSession.js"
import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { JoinedSession } from "./UiState.js"

export interface Joined {
  readonly state: JoinedSession
  /** What happens from that moment on. */
  readonly events: Queue.Dequeue<AgentEvent>
  /** Ends `events`. */
  readonly leave: Effect.Effect<void>
}

const keyOf = (entry: TranscriptEntry): string => {
  switch (entry._tag) {
    case "UserMessage":
      return `${entry._tag} ${entry.messageId}`
    case "AssistantMessage":
      return `${entry._tag} ${entry.replyId}`
    case "ToolResult":
      return `${entry._tag} ${entry.callId}`
    case "LateResult":
      return `${entry._tag} ${entry.taskId}`
    case "Rewrite":
      return entry._tag
  }
}

const isSame = (one: ReadonlyArray<TranscriptEntry>, other: ReadonlyArray<TranscriptEntry>): boolean =>
  one.length === other.length && one.every((entry, at) => {
    const same = other[at]
    return same !== undefined && (entry === same || keyOf(entry) === keyOf(same))
  })

/**
 * A session that is elsewhere gives its state and its transcript one after the other. A transcript that is the same before and after is
 * that of the state: what it has is no event any more, and what it has not is still to come. Between turns none is needed.
 */
export const joinSession = (
  session: AgentSession,
  scope: Scope.Scope,
  before?: ReadonlyArray<TranscriptEntry>
): Effect.Effect<Joined> =>
  Effect.gen(function*() {
    const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const leave = Scope.close(own, Exit.void)
    const { events, ...state } = yield* Scope.extend(session.watch, own)
    if (state.turnId === undefined) return { state: { ...state, entries: [] }, events, leave }
    const { entries } = yield* session.transcript
    if (before !== undefined && isSame(before, entries)) return { state: { ...state, entries }, events, leave }
    yield* leave
    return yield* joinSession(session, scope, entries)
  })
