/**
 * One reader of events, with a buffer of its own. What it holds can be read to its end after shutdown, and a reader
 * that is interrupted loses nothing.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { ParkedReaders } from "./ParkedReaders.js"
import { SizedQueue } from "./SizedQueue.js"
import { lostRace, untilTaken } from "./taking.js"

const droppedEvents = Metric.counter("effect_task_manager_dropped_events", {
  description: "Events that subscribers lost because they did not read them",
  incremental: true
})

/** What stands for events that were lost. It is given to nobody before it is told: it may show what must not be seen yet. */
export interface StandIn<A> {
  readonly value: A
  /** Whoever sets it wakes the subscription. */
  isTold: boolean
}

export const toldAtOnce = <A>(value: A): StandIn<A> => ({ value, isTold: true })

export interface SubscriptionOptions<A> {
  /** How many events it holds. */
  readonly limit: number
  /** How many bytes of events it holds; one event may be larger. */
  readonly bytes: number
  /** Makes what stands for the events that were lost, when it is read. Without it the oldest are lost, unsaid. */
  readonly reset: (() => StandIn<A>) | undefined
  readonly isEnded: () => boolean
  /** Is called when there is something for readers that wait. */
  readonly onNews: (subscription: EventSubscription<A>) => void
  readonly onClose: (subscription: EventSubscription<A>) => void
}

export class EventSubscription<A> extends Effectable.Class<A> implements Queue.Dequeue<A> {
  readonly [Queue.DequeueTypeId] = { _Out: (_: never): A => _ }
  private readonly options: SubscriptionOptions<A>
  private readonly buffer = new SizedQueue<A>()
  private readonly parked = new ParkedReaders()
  private closed = false
  /** It is given no event up to this number: its reader was told of what they say in another way. */
  after = 0
  /** It was too slow: nothing is held until it has been told so. */
  private isLost = false
  /** What is read first. */
  private standIn: StandIn<A> | undefined = undefined
  /** How many events each reader waits for that takes several at once: so many are held for it. */
  private wanted: Set<{ readonly events: number }> | undefined = undefined
  /** Whether it is to be woken at the end of the step. */
  private isTold = false

  constructor(options: SubscriptionOptions<A>) {
    super()
    this.options = options
  }

  /** Holds one more event. */
  unsafeOffer(event: A, bytes: number): void {
    if (this.closed) return
    if (this.isLost) return droppedEvents.unsafeUpdate(1, [])
    const { buffer, options } = this
    buffer.push(event, bytes)
    while (this.isOverfull()) {
      if (options.reset === undefined) {
        buffer.shift()
        droppedEvents.unsafeUpdate(1, [])
      } else {
        droppedEvents.unsafeUpdate(buffer.length, [])
        buffer.clear()
        this.isLost = true
      }
    }
    if (this.isTold || this.parked.isEmpty) return
    this.isTold = true
    options.onNews(this)
  }

  private isOverfull(): boolean {
    const { buffer, options } = this
    if (buffer.length <= options.limit && (buffer.bytes <= options.bytes || buffer.length <= 1)) return false
    for (const { events } of this.wanted ?? []) if (buffer.length <= events) return false
    return true
  }

  /** Begins with what stands for events that were lost before. */
  unsafeBegin(standIn: StandIn<A>): void {
    this.standIn = standIn
  }

  /** Wakes the readers that wait, if there is something to see. */
  unsafeWake(): void {
    this.isTold = false
    if (this.parked.isEmpty || (this.held() === 0 && !this.isOver())) return
    this.parked.wakeAll()
  }

  /** Nothing more is held, and every wait ends. */
  unsafeClose(): void {
    if (this.closed) return
    this.closed = true
    this.isLost = false
    this.standIn = undefined
    this.buffer.clear()
    this.options.onClose(this)
    this.unsafeWake()
  }

  private held(): number {
    const behind = this.isLost ? 1 : this.buffer.length
    return this.standIn === undefined ? behind : this.standIn.isTold ? 1 + behind : 0
  }

  /** A reader asks: makes what stands for the events that were lost. From here on events are held again, behind it. */
  private standForLost(): void {
    const { reset } = this.options
    if (!this.isLost || this.standIn !== undefined || reset === undefined) return
    // before events are held again: what happens up to here is in it
    this.standIn = reset()
    this.isLost = false
  }

  /** Nothing is held, and nothing more will come. */
  private isOver(): boolean {
    return this.held() === 0 && (this.closed || this.options.isEnded())
  }

  private get waitForEvent(): Effect.Effect<void> {
    return this.parked.parkUnless(() => this.held() > 0 || this.isOver())
  }

  private unsafeTake(): A {
    this.standForLost()
    const { standIn } = this
    if (standIn !== undefined) {
      if (!standIn.isTold) throw lostRace
      this.standIn = undefined
      return standIn.value
    }
    const event = this.buffer.shift()
    if (event === undefined) throw lostRace
    return event
  }

  private unsafeTakeUpTo(max: number): Chunk.Chunk<A> {
    const taken: Array<A> = []
    const isHeld = () => {
      this.standForLost()
      return this.held() > 0
    }
    while (taken.length < max && isHeld()) taken.push(this.unsafeTake())
    // a wait for the end lasts until the last event is read
    if (this.options.isEnded()) this.unsafeWake()
    return Chunk.unsafeFromArray(taken)
  }

  /** `take` once something is held. It is the last operation, so that an interrupt loses nothing. */
  private whenHeld<B>(take: () => B): Effect.Effect<B> {
    const taking = Effect.sync(take)
    return untilTaken(() =>
      this.held() > 0
        ? taking
        : Effect.flatMap(this.waitForEvent, () => this.isOver() ? Effect.interrupt : taking)
    )
  }

  commit(): Effect.Effect<A> {
    return this.take
  }

  get take(): Effect.Effect<A> {
    return this.whenHeld(() => {
      const event = this.unsafeTake()
      if (this.options.isEnded()) this.unsafeWake()
      return event
    })
  }

  get takeAll(): Effect.Effect<Chunk.Chunk<A>> {
    return this.takeUpTo(Infinity)
  }

  takeUpTo(max: number): Effect.Effect<Chunk.Chunk<A>> {
    return Effect.sync(() => this.unsafeTakeUpTo(max))
  }

  takeBetween(min: number, max: number): Effect.Effect<Chunk.Chunk<A>> {
    if (min <= 0) return this.takeUpTo(max)
    if (min === 1) {
      return this.whenHeld(() => {
        this.standForLost()
        if (this.held() === 0) throw lostRace
        return this.unsafeTakeUpTo(max)
      })
    }
    // all of them in one step at the end: what was taken before an interrupt would be lost with it
    return untilTaken(() =>
      Effect.flatMap(this.waitForEvents(min), () =>
        this.isOver() ? Effect.interrupt : Effect.sync(() => {
          this.standForLost()
          if (!this.hasEnough(min)) throw lostRace
          return this.unsafeTakeUpTo(max)
        }))
    )
  }

  /** Whether so many are held, or as many as there will be. */
  private hasEnough(events: number): boolean {
    return this.held() >= events || this.closed || this.options.isEnded()
  }

  /** Returns once so many events are held, or no more will come. Until then none of them is dropped. */
  private waitForEvents(events: number): Effect.Effect<void> {
    const waited: Effect.Effect<void> = Effect.suspend(() => {
      // what it holds behind what was lost counts from here on
      this.standForLost()
      if (this.hasEnough(events)) return Effect.void
      return Effect.zipRight(this.parked.parkUnless(() => this.hasEnough(events)), waited)
    })
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const wanted = { events }
        this.wanted = (this.wanted ?? new Set()).add(wanted)
        return wanted
      }),
      () => waited,
      (wanted) => Effect.sync(() => void this.wanted?.delete(wanted))
    )
  }

  capacity(): number {
    return this.options.limit
  }

  isActive(): boolean {
    return !this.isOver()
  }

  unsafeSize(): Option.Option<number> {
    return this.isOver() ? Option.none() : Option.some(this.held())
  }

  get size(): Effect.Effect<number> {
    return Effect.sync(() => this.held())
  }

  get isFull(): Effect.Effect<boolean> {
    return Effect.sync(() => this.held() === this.capacity())
  }

  get isEmpty(): Effect.Effect<boolean> {
    return Effect.sync(() => this.held() === 0)
  }

  get shutdown(): Effect.Effect<void> {
    return Effect.sync(() => this.unsafeClose())
  }

  get isShutdown(): Effect.Effect<boolean> {
    return Effect.sync(() => this.isOver())
  }

  get awaitShutdown(): Effect.Effect<void> {
    return Effect.flatMap(
      this.parked.parkUnless(() => this.isOver()),
      // oxlint-disable-next-line no-accessor-recursion -- asked again when the effect runs, not by the getter
      () => this.isOver() ? Effect.void : this.awaitShutdown
    )
  }
}

/** A subscription, and what was made together with it in one step, until the scope closes. */
export const untilScopeCloses = <A>(
  subscribe: () => A,
  subscriptionOf: (made: A) => { readonly unsafeClose: () => void }
): Effect.Effect<A, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(subscribe), (made) => Effect.sync(() => subscriptionOf(made).unsafeClose()))
