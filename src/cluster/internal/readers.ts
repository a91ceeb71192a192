/**
 * The readers of events that clients have at a group. A client says how many it has; what it may not have got is kept until it
 * says that it has it.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { TaskApproval } from "../../model/Approval.js"
import type { FilteredTaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import type { Engine } from "../../runtime/Engine.js"
import { subscription } from "../../runtime/events/hostEvents.js"
import { ParkedReaders } from "../../shared/ParkedReaders.js"
import type { Batch, Positions } from "./protocol.js"
import { forgottenAfter, wireMillis } from "./wire.js"

interface Reader {
  readonly queue: Queue.Dequeue<FilteredTaskEvent>
  readonly scope: Scope.CloseableScope
  /** Whether its client is to know everything of a session. */
  readonly mirrors: boolean
  /** Events that the client may not have, and how many came before them. */
  pending: ReadonlyArray<FilteredTaskEvent>
  before: number
  lastAsked: number
}

export class Readers {
  private readonly readers = new Map<string, Reader>()
  private readonly parked = new ParkedReaders()
  private readonly engine: Engine

  constructor(engine: Engine) {
    this.engine = engine
  }

  /** Something was published, or nothing will be any more. */
  wake(): void {
    this.parked.wakeAll()
  }

  /** Opens a reader. One that its client opens again, since the answer was lost, begins anew. */
  open(
    id: string,
    filter: TaskEventFilter | undefined,
    { mirrors, replays }: { readonly mirrors: boolean; readonly replays: boolean }
  ): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      yield* this.close([id])
      const scope = yield* Scope.make()
      const queue = yield* Scope.extend(subscription(this.engine, filter, replays), scope)
      this.readers.set(id, {
        queue,
        scope,
        mirrors,
        pending: [],
        before: 0,
        lastAsked: wireMillis()
      })
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

  /** Whether there are none: a client that was told the end closes its reader. */
  get isEmpty(): boolean {
    return this.readers.size === 0
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
    if (reader !== undefined) reader.lastAsked = wireMillis()
    return reader === undefined || has < reader.before + reader.pending.length || isOver(reader.queue) ||
      sizeOf(reader.queue) > 0
  }

  private askedIn(events: ReadonlyArray<FilteredTaskEvent>): ReadonlyArray<TaskApproval> {
    const { tasks } = this.engine.state.table
    return events.flatMap((event) => {
      const task = event._tag === "AwaitingApproval" ? tasks.get(event.taskId) : undefined
      return task?.isLive === true && task.asked !== undefined ? [task.asked] : []
    })
  }

  private batch(id: string, has: number): ReadonlyArray<Batch> {
    const reader = this.readers.get(id)
    if (reader === undefined) return [{ reader: id, state: "Unknown", before: 0, events: [], asked: [] }]
    reader.lastAsked = wireMillis()
    const held = reader.pending.slice(Math.max(0, has - reader.before))
    reader.before += reader.pending.length - held.length
    const more = isOver(reader.queue) ? [] : Chunk.toReadonlyArray(Effect.runSync(Queue.takeAll(reader.queue)))
    const events = held.concat(more)
    reader.pending = events
    const ends = isOver(reader.queue)
    if (events.length === 0 && !ends) return []
    const asked = reader.mirrors ? this.askedIn(events) : []
    return [{ reader: id, state: ends ? "Ended" : "Open", before: reader.before, events, asked }]
  }
}

const sizeOf = (queue: Queue.Dequeue<unknown>): number => {
  const size = queue.unsafeSize()
  return size._tag === "Some" ? size.value : 0
}

/** Nothing is held, and nothing more will come. */
const isOver = (queue: Queue.Dequeue<unknown>): boolean => queue.unsafeSize()._tag === "None"
