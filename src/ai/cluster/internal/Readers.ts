/**
 * The readers of events that clients have at the sessions of a group. A client says how many it has; what it may not have got is kept
 * until it says that it has it.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { forgottenAfter, wireMillis } from "../../../cluster/internal/wire.js"
import type { SessionId } from "../../../model/ids.js"
import { ParkedReaders } from "../../../shared/ParkedReaders.js"
import type { AgentEvent, AgentSessionState } from "../../loop/AgentEvent.js"
import type { AgentSession } from "../../loop/AgentSession.js"
import type { Batch, Positions } from "./protocol.js"

interface Reader {
  readonly sessionId: SessionId
  readonly queue: Queue.Dequeue<AgentEvent>
  readonly scope: Scope.CloseableScope
  /** Events that the client may not have, and how many came before them. */
  pending: ReadonlyArray<AgentEvent>
  before: number
  lastAsked: number
}

/** How many events one answer has of a reader: the others wait in its queue, which is bounded. */
const atOnce = 512

/** Nothing is held, and nothing more will come. */
const isOver = (queue: Queue.Dequeue<unknown>): boolean => queue.unsafeSize()._tag === "None"

const isEmpty = (queue: Queue.Dequeue<unknown>): boolean => {
  const size = queue.unsafeSize()
  return size._tag === "None" || size.value === 0
}

export class Readers {
  private readonly readers = new Map<string, Reader>()
  private readonly parked = new ParkedReaders()
  /** Whether the sessions go on elsewhere: what they say from then on is told to nobody, and their readers begin again there. */
  private readonly isLeaving: () => boolean

  constructor(isLeaving: () => boolean) {
    this.isLeaving = isLeaving
  }

  /** Something was told, or nothing will be any more. */
  wake(): void {
    this.parked.wakeAll()
  }

  isReading(sessionId: SessionId): boolean {
    for (const reader of this.readers.values()) if (reader.sessionId === sessionId) return true
    return false
  }

  /** Opens a reader, and gives what the session is at this moment. One that its client opens again begins anew. */
  open(id: string, session: AgentSession): Effect.Effect<AgentSessionState> {
    return Effect.gen(this, function*() {
      yield* this.close([id])
      const scope = yield* Scope.make()
      const { events, ...state } = yield* Scope.extend(session.watch, scope)
      this.readers.set(id, {
        sessionId: session.sessionId,
        queue: events,
        scope,
        pending: [],
        before: 0,
        lastAsked: wireMillis()
      })
      return state
    })
  }

  close(ids: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.forEach(ids, (id) => {
      const reader = this.readers.get(id)
      this.readers.delete(id)
      return reader === undefined ? Effect.void : Scope.close(reader.scope, Exit.void)
    }, { discard: true })
  }

  get closeAll(): Effect.Effect<void> {
    return Effect.suspend(() => this.close([...this.readers.keys()]))
  }

  /** Closes readers that nobody asks. */
  get sweep(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = wireMillis()
      return this.close(
        [...this.readers].flatMap(([id, { lastAsked }]) => now - lastAsked < forgottenAfter ? [] : [id])
      )
    })
  }

  /** What these readers have missed by now. */
  news(asked: Positions): ReadonlyArray<Batch> {
    return asked.flatMap(({ has, reader }) => this.batch(reader, has))
  }

  /** Returns once one of the readers has something for its client. */
  awaitNews(asked: Positions): Effect.Effect<void> {
    return Effect.suspend(() => {
      const hasNews = () => asked.some(({ has, reader }) => this.hasNews(reader, has))
      return hasNews()
        ? Effect.void
        : Effect.flatMap(this.parked.parkUnless(hasNews), () => this.awaitNews(asked))
    })
  }

  private hasNews(id: string, has: number): boolean {
    const reader = this.readers.get(id)
    if (reader === undefined) return true
    reader.lastAsked = wireMillis()
    return has < reader.before + reader.pending.length || isOver(reader.queue) || !isEmpty(reader.queue)
  }

  private batch(id: string, has: number): ReadonlyArray<Batch> {
    const reader = this.readers.get(id)
    if (reader === undefined || this.isLeaving()) return [{ reader: id, state: "Unknown", before: 0, events: [] }]
    reader.lastAsked = wireMillis()
    const held = reader.pending.slice(Math.max(0, has - reader.before))
    reader.before += reader.pending.length - held.length
    const room = atOnce - held.length
    const more = room <= 0 || isEmpty(reader.queue)
      ? []
      : Chunk.toReadonlyArray(Effect.runSync(Queue.takeUpTo(reader.queue, room)))
    const events = held.concat(more)
    reader.pending = events
    const ends = isOver(reader.queue)
    return events.length === 0 && !ends
      ? []
      : [{ reader: id, state: ends ? "Ended" : "Open", before: reader.before, events }]
  }
}
