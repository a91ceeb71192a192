/**
 * The one event stream of a client, which carries all its subscriptions. A connection that breaks is made again, and each goes on behind the
 * last event that has come: every event comes once, or a `Reset` says that some are gone. It is there as long as there are subscriptions.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { EventReset, TaskEventFilter } from "../../../model/TaskEvent.js"
import { monotonicNow } from "../../../shared/monotonic.js"
import type { TaskManagerUnreachable } from "../../TaskManagerUnreachable.js"
import { follow } from "./follow.js"
import type { Frame } from "./FrameReader.js"
import { type Link, mayPass } from "./Link.js"
import type { Bounds } from "./ResetEvents.js"
import { AllEvents, type AnySubscription, type Begin, FilteredEvents } from "./Subscription.js"

/** What the first frame of the stream says. */
const decodeOpening = Schema.decodeUnknownSync(Schema.Struct({ stream: Schema.String, manager: Schema.String }))

interface Connection {
  readonly stream: string
  readonly manager: string
  /** What the server has not been told yet. */
  readonly toOpen: Set<number>
  readonly toClose: Set<number>
  isTelling: boolean
}

interface Subscribed<Events> {
  readonly events: Events
  /** What the server showed first, of one that began with `snapshot`. */
  readonly first: EventReset | undefined
}

export class SharedEvents {
  private readonly link: Link
  private readonly bounds: Bounds
  private readonly subscriptions = new Map<number, AnySubscription>()
  private lastId = 0
  private connection: Connection | undefined = undefined
  /** Is done where the connection is of no use any more. */
  private broken = Deferred.unsafeMake<void>(FiberId.none)
  private listening: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  /** How often it has begun to listen. */
  private round = 0
  private hasWarned = false
  private isClosed = false

  private constructor(link: Link, bounds: Bounds) {
    this.link = link
    this.bounds = bounds
  }

  /** Its subscriptions end with the scope, at the latest. */
  static readonly make = (link: Link, bounds: Bounds): Effect.Effect<SharedEvents, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => new SharedEvents(link, bounds)),
      (shared) => Effect.sync(() => shared.close())
    )

  private close(): void {
    this.isClosed = true
    this.stop()
    for (const subscription of this.subscriptions.values()) subscription.end()
    this.subscriptions.clear()
  }

  /** Every event, until the scope closes. */
  all(from: Begin): Effect.Effect<Subscribed<AllEvents["events"]>, never, Scope.Scope> {
    return this.subscribe(from, {}, (options) => new AllEvents(options))
  }

  /** The events of a filter, until the scope closes. */
  filtered(
    from: Begin,
    filter: TaskEventFilter
  ): Effect.Effect<Subscribed<FilteredEvents["events"]>, never, Scope.Scope> {
    return this.subscribe(from, filter, (options) => new FilteredEvents(options))
  }

  private subscribe<One extends AnySubscription>(
    from: Begin,
    filter: TaskEventFilter,
    make: (options: ConstructorParameters<typeof FilteredEvents>[0]) => One
  ): Effect.Effect<Subscribed<One["events"]>, never, Scope.Scope> {
    const acquire = Effect.map(monotonicNow, (since) => {
      const held: { id: number } = { id: 0 }
      const renew = (): void => {
        this.remove(held.id)
        held.id = this.add(made)
      }
      const made = make({ ...this.bounds, from, filter, since, renew })
      held.id = this.add(made)
      return { made, held }
    })
    const release = ({ held, made }: { readonly made: One; readonly held: { readonly id: number } }) =>
      Effect.sync(() => {
        this.remove(held.id)
        made.events.unsafeClose()
        if (this.subscriptions.size === 0) this.stop()
      })
    return Effect.flatMap(
      Effect.acquireRelease(acquire, release),
      ({ made }) => Effect.map(Deferred.await(made.opened), (first) => ({ events: made.events, first }))
    )
  }

  private add(subscription: AnySubscription): number {
    const id = ++this.lastId
    if (this.isClosed) subscription.end()
    if (subscription.isEnded) return id
    this.subscriptions.set(id, subscription)
    if (this.listening === undefined) this.listen()
    else if (this.connection !== undefined) this.tell(this.connection, [id])
    return id
  }

  private remove(id: number): void {
    if (!this.subscriptions.delete(id) || this.connection === undefined || this.subscriptions.size === 0) return
    const { connection } = this
    if (connection.toOpen.delete(id)) return
    connection.toClose.add(id)
    this.tell(connection, [])
  }

  private stop(): void {
    this.connection = undefined
    this.listening?.unsafeInterruptAsFork(FiberId.none)
    this.listening = undefined
  }

  private warnOnce(what: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.hasWarned) return Effect.void
      this.hasWarned = true
      return Effect.logWarning(`A subscription waits: the server has as many ${what} open as it allows`)
    })
  }

  private tell(connection: Connection, opened: Iterable<number>): void {
    for (const id of opened) connection.toOpen.add(id)
    if (!connection.isTelling) this.link.fork(this.tellAll(connection))
  }

  /**
   * Tells the server of subscriptions, with one request after the other: one that closes must not come before the one that opens. Where that
   * fails, the connection is made again, and brings all of them.
   */
  private tellAll(connection: Connection): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { manager, stream, toClose, toOpen } = connection
      const close = [...toClose]
      const open = [...toOpen].flatMap((id) => {
        const subscription = this.subscriptions.get(id)
        return subscription === undefined ? [] : [subscription.askedFor(id, manager)]
      })
      toClose.clear()
      toOpen.clear()
      connection.isTelling = this.connection === connection && open.length + close.length > 0
      if (!connection.isTelling) return Effect.void
      return Effect.matchCauseEffect(this.link.api.tasks.subscribe({ payload: { stream, open, close } }), {
        onFailure: () => Effect.sync(() => this.connection === connection ? this.breakUp() : undefined),
        onSuccess: ({ refused }) => {
          if (refused.length > 0) this.link.fork(this.tellLater(connection, refused))
          return this.tellAll(connection)
        }
      })
    })
  }

  private tellLater(connection: Connection, refused: ReadonlyArray<number>): Effect.Effect<void> {
    return this.warnOnce("subscriptions (maxSubscriptions)").pipe(
      Effect.zipRight(Effect.sleep("1 second")),
      Effect.zipRight(Effect.sync(() => this.connection === connection ? this.tell(connection, refused) : undefined))
    )
  }

  private breakUp(): void {
    this.connection = undefined
    Deferred.unsafeDone(this.broken, Effect.void)
  }

  private hear(frame: Frame): void {
    const { data, event, subscription } = frame
    if (event === "stream") {
      this.connection = { ...decodeOpening(data), toOpen: new Set(), toClose: new Set(), isTelling: false }
      this.hasWarned = false
      this.tell(this.connection, this.subscriptions.keys())
    } else if (subscription !== undefined && this.connection !== undefined) {
      const one = this.subscriptions.get(subscription)
      one?.hear(frame, this.connection.manager)
      if (one?.isEnded === true) this.subscriptions.delete(subscription)
    }
  }

  /** A subscription that is not open yet waits no longer than any other request, unless there are too many; an open one does. */
  private giveUp(error: TaskManagerUnreachable, now: number): void {
    for (const [id, subscription] of this.subscriptions) {
      const isOld = now - subscription.since >= this.link.patienceMillis && error.reason !== "TooMany"
      if (mayPass(error) && (subscription.isOpen || !isOld)) continue
      this.subscriptions.delete(id)
      if (subscription.isOpen) subscription.end()
      else subscription.fail(error)
    }
  }

  private listen(): void {
    const round = ++this.round
    const following = follow(this.link, {
      path: "/api/events/shared",
      connected: (broken) => {
        this.connection = undefined
        this.broken = broken
      },
      hear: (frame) => this.hear(frame),
      failed: (error) =>
        Effect.zipRight(
          error.reason === "TooMany" ? this.warnOnce("event streams (maxStreams)") : Effect.void,
          Effect.map(monotonicNow, (now) => this.giveUp(error, now))
        ),
      goesOn: () => this.subscriptions.size > 0
    })
    this.listening = this.link.fork(Effect.ensuring(following, Effect.sync(() => this.hasEnded(round))))
  }

  private hasEnded(round: number): void {
    // one that was stopped may end after the next one has begun
    if (round !== this.round) return
    this.connection = undefined
    this.listening = undefined
    // what came while it ended has nobody who listens
    if (!this.isClosed && this.subscriptions.size > 0) this.listen()
  }
}
