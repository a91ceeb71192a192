/** Host events: a sliding `PubSub`, the last events for late readers, and the subscriptions that are open. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { TaskEvent } from "../model/TaskEvent.js"

export interface EventHub {
  /** Publishes in the current step. A subscriber that does not read loses its oldest event. */
  readonly unsafePublish: (event: TaskEvent) => void
  /** Subscribes in the current step; closing the scope ends the subscription. */
  readonly unsafeSubscribe: (scope: Scope.Scope) => Queue.Dequeue<TaskEvent>
  /** The last events, oldest first. */
  readonly recent: () => ReadonlyArray<TaskEvent>
  /** Nothing more will be published: readers that wait are let go, the others once they have read what they hold. */
  readonly end: Effect.Effect<void>
}

export const make = (options: {
  readonly buffer: number
  readonly replay: number
}): Effect.Effect<EventHub, never, Scope.Scope> =>
  Effect.gen(function*() {
    const pubsub = yield* Effect.acquireRelease(PubSub.sliding<TaskEvent>(options.buffer), PubSub.shutdown)
    const runtime = yield* Effect.runtime<never>()
    const runSync = Runtime.runSync(runtime)
    const open = new Set<Subscription>()
    const recent: Array<TaskEvent> = []
    const replay = Math.min(options.replay, options.buffer)
    let published = 0
    let ended = false

    return {
      unsafePublish: (event) => {
        if (replay > 0) recent[published++ % replay] = event
        // an offer to a full sliding PubSub drops the newest, only publish slides; and publish costs a fiber
        if (!pubsub.unsafeOffer(event)) runSync(PubSub.publish(pubsub, event))
      },
      unsafeSubscribe: (scope) => {
        // synchronous, and has to be within the caller's step
        const inner = runSync(Scope.extend(PubSub.subscribe(pubsub), scope))
        const subscription = new Subscription(inner, () => ended)
        open.add(subscription)
        runSync(Scope.addFinalizer(scope, Effect.sync(() => open.delete(subscription))))
        return subscription
      },
      recent: () => {
        const oldest = published % replay
        return published > replay ? [...recent.slice(oldest), ...recent.slice(0, oldest)] : recent.slice()
      },
      end: Effect.suspend(() => {
        ended = true
        return Effect.forEach(open, (subscription) => subscription.letGo, { discard: true })
      })
    }
  })

/**
 * A subscription that can be read to its end after the last event. That of `PubSub` drops what it holds when the PubSub
 * shuts down.
 */
class Subscription extends Effectable.Class<TaskEvent> implements Queue.Dequeue<TaskEvent> {
  readonly [Queue.DequeueTypeId] = { _Out: (_: never): TaskEvent => _ }
  private readonly inner: Queue.Dequeue<TaskEvent>
  private readonly isEnded: () => boolean

  constructor(inner: Queue.Dequeue<TaskEvent>, isEnded: () => boolean) {
    super()
    this.inner = inner
    this.isEnded = isEnded
  }

  private unsafeIsOver(): boolean {
    return this.isEnded() && Option.getOrElse(this.inner.unsafeSize(), () => 0) === 0
  }

  /** After the last event: whoever waits on an empty queue would wait for ever. */
  get letGo(): Effect.Effect<void> {
    return Effect.suspend(() => this.unsafeIsOver() ? this.inner.shutdown : Effect.void)
  }

  private get over(): Effect.Effect<never> {
    return Effect.zipRight(this.inner.shutdown, Effect.interrupt)
  }

  commit(): Effect.Effect<TaskEvent> {
    return this.take
  }

  get take(): Effect.Effect<TaskEvent> {
    return Effect.suspend(() => this.unsafeIsOver() ? this.over : this.inner.take)
  }

  get takeAll(): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    return Effect.suspend(() => this.unsafeIsOver() ? Effect.succeed(Chunk.empty()) : this.inner.takeAll)
  }

  takeUpTo(max: number): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    return Effect.suspend(() => this.unsafeIsOver() ? Effect.succeed(Chunk.empty()) : this.inner.takeUpTo(max))
  }

  takeBetween(min: number, max: number): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    return Effect.suspend(() => {
      if (!this.isEnded()) return this.inner.takeBetween(min, max)
      return this.unsafeIsOver() && min > 0 ? this.over : this.takeUpTo(max)
    })
  }

  capacity(): number {
    return this.inner.capacity()
  }

  isActive(): boolean {
    return this.inner.isActive() && !this.unsafeIsOver()
  }

  unsafeSize(): Option.Option<number> {
    return this.unsafeIsOver() ? Option.none() : this.inner.unsafeSize()
  }

  get size(): Effect.Effect<number> {
    return Effect.suspend(() => this.unsafeIsOver() ? Effect.succeed(0) : this.inner.size)
  }

  get isFull(): Effect.Effect<boolean> {
    return Effect.suspend(() => this.unsafeIsOver() ? Effect.succeed(false) : this.inner.isFull)
  }

  get isEmpty(): Effect.Effect<boolean> {
    return Effect.map(this.size, (size) => size === 0)
  }

  get shutdown(): Effect.Effect<void> {
    return this.inner.shutdown
  }

  get isShutdown(): Effect.Effect<boolean> {
    return Effect.flatMap(this.inner.isShutdown, (isShutdown) =>
      Effect.sync(() => isShutdown || this.unsafeIsOver()))
  }

  get awaitShutdown(): Effect.Effect<void> {
    return this.inner.awaitShutdown
  }
}
