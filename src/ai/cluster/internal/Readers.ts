/** The readers of events that clients have at the sessions of a group. */
import * as Effect from "effect/Effect"
import { EventReaders } from "../../../cluster/internal/EventReaders.js"
import type { SessionId } from "../../../model/ids.js"
import type { AgentEvent, AgentSessionState } from "../../loop/AgentEvent.js"
import type { AgentSession } from "../../loop/AgentSession.js"
import type { Batch, Positions } from "./protocol.js"

const atOnce = 512

interface About {
  readonly sessionId: SessionId
}

export class Readers extends EventReaders<AgentEvent, About> {
  /** Whether the sessions go on elsewhere: what they say from then on is told to nobody, and their readers begin again there. */
  private readonly isLeaving: () => boolean

  constructor(isLeaving: () => boolean) {
    super(atOnce)
    this.isLeaving = isLeaving
  }

  isReading(sessionId: SessionId): boolean {
    return this.some((about) => about.sessionId === sessionId)
  }

  /** Opens a reader, and gives what the session is at this moment. */
  open(id: string, { sessionId, watch }: AgentSession): Effect.Effect<AgentSessionState> {
    const subscribe = Effect.map(watch, ({ events: queue, ...state }) => ({ queue, about: { sessionId }, state }))
    return Effect.map(this.enter(id, subscribe), ({ state }) => state)
  }

  /** What these readers have missed by now. */
  news(asked: Positions): ReadonlyArray<Batch> {
    const unknown = (reader: string): Batch => ({ reader, state: "Unknown", before: 0, events: [] })
    if (this.isLeaving()) return asked.map(({ reader }) => unknown(reader))
    return this.missed(asked).map((missed) => {
      if (missed.state === "Unknown") return unknown(missed.reader)
      const { before, events, reader, state } = missed
      return { reader, state, before, events }
    })
  }
}
