/**
 * The readers of events that clients have at a runner. A client says how many events it has; what it may not have got is kept until it
 * says that it has it.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { ParkedReaders } from "../../shared/ParkedReaders.js"
import type { Positions } from "./protocol.js"
import { forgottenAfter, wireMillis } from "./wire.js"

/** What a reader reads, and what else is known of it. */
export interface Source<Event, About> {
  readonly queue: Queue.Dequeue<Event>
  readonly about: About
}

interface Reader<Event, About> extends Source<Event, About> {
  readonly scope: Scope.CloseableScope
  /** Events that the client may not have, and how many came before them. */
  pending: ReadonlyArray<Event>
  before: number
  lastAsked: number
}

/** What a client has missed of a reader. `Unknown`: there is no such reader here. `Ended`: nothing comes after these. */
export type Missed<Event, About> =
  | { readonly state: "Unknown"; readonly reader: string }
  | {
    readonly state: "Open" | "Ended"
    readonly reader: string
    readonly before: number
    readonly events: ReadonlyArray<Event>
    readonly about: About
  }

/** Nothing is held, and nothing more will come. */
const isOver = (queue: Queue.Dequeue<unknown>): boolean => queue.unsafeSize()._tag === "None"

const sizeOf = (queue: Queue.Dequeue<unknown>): number => {
  const size = queue.unsafeSize()
  return size._tag === "Some" ? size.value : 0
}

export class EventReaders<Event, About> {
  private readonly readers = new Map<string, Reader<Event, About>>()
  private readonly parked = new ParkedReaders()
  /** How many events one answer has of a reader: the others wait in its queue, which is bounded. */
  private readonly atOnce: number

  constructor(atOnce = Infinity) {
    this.atOnce = atOnce
  }

  /** Something was told, or nothing will be any more. */
  wake(): void {
    this.parked.wakeAll()
  }

  /** Whether there are none: a client that was told the end closes its reader. */
  get isEmpty(): boolean {
    return this.readers.size === 0
  }

  /** Whether one of the readers is so. */
  some(isSo: (about: About) => boolean): boolean {
    for (const { about } of this.readers.values()) if (isSo(about)) return true
    return false
  }

  /** Enters a reader. One that its client opens again, since the answer was lost, begins anew. */
  protected enter<S extends Source<Event, About>>(
    id: string,
    subscribe: Effect.Effect<S, never, Scope.Scope>
  ): Effect.Effect<S> {
    return Effect.gen(this, function*() {
      yield* this.close([id])
      const scope = yield* Scope.make()
      const source = yield* Scope.extend(subscribe, scope)
      const { about, queue } = source
      this.readers.set(id, { queue, about, scope, pending: [], before: 0, lastAsked: wireMillis() })
      return source
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
    return has < reader.before + reader.pending.length || isOver(reader.queue) || sizeOf(reader.queue) > 0
  }

  /** What the clients of these readers have missed by now; nothing of those that have missed nothing. */
  protected missed(asked: Positions): ReadonlyArray<Missed<Event, About>> {
    return asked.flatMap(({ has, reader }) => this.missedBy(reader, has) ?? [])
  }

  private missedBy(id: string, has: number): Missed<Event, About> | undefined {
    const reader = this.readers.get(id)
    if (reader === undefined) return { state: "Unknown", reader: id }
    reader.lastAsked = wireMillis()
    const held = reader.pending.slice(Math.max(0, has - reader.before))
    reader.before += reader.pending.length - held.length
    const room = this.atOnce - held.length
    const more = room <= 0 || isOver(reader.queue)
      ? []
      : Chunk.toReadonlyArray(Effect.runSync(Queue.takeUpTo(reader.queue, room)))
    const events = held.concat(more)
    reader.pending = events
    const state = isOver(reader.queue) ? "Ended" : "Open"
    const { about, before } = reader
    return events.length === 0 && state === "Open" ? undefined : { state, reader: id, before, events, about }
  }
}
