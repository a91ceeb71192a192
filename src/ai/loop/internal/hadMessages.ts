/** What a session knows of its messages beyond its transcript: those that a compaction has left out. */
import * as Effect from "effect/Effect"
import type { AgentSession } from "../AgentSession.js"

const knownBy = new WeakMap<AgentSession, (messageId: string) => boolean>()

/** A session is made, which knows whether a turn has stored a message. */
export const knowsMessages = (session: AgentSession, hasHad: (messageId: string) => boolean): void => {
  knownBy.set(session, hasHad)
}

/** Whether a turn has stored the message, in the current step; of a session that somebody wraps, whether its transcript has it. */
export const hasHadMessage = (session: AgentSession, messageId: string): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const hasHad = knownBy.get(session)
    return hasHad === undefined
      ? Effect.map(
        session.transcript,
        ({ entries }) => entries.some((entry) => entry._tag === "UserMessage" && entry.messageId === messageId)
      )
      : Effect.succeed(hasHad(messageId))
  })
