/** Host events: a sliding `PubSub`, the last events for late readers, and the subscriptions that are open. */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import type * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { TaskEvent } from "../../model/TaskEvent.js"
import { EventSubscription } from "./EventSubscription.js"

export interface EventHub {
  /** Publishes in the current step. A subscriber that does not read loses its oldest event. */
  readonly unsafePublish: (event: TaskEvent) => void
  /** Wakes the subscribers that wait, once for all events of a step. */
  readonly unsafeWake: () => void
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
}): Effect.Effect<EventHub> =>
  Effect.gen(function*() {
    // never shut down: that would drop what its subscriptions hold, and it owns nothing but memory
    // two places at least: with one place a PubSub that slides hands out events twice, or undefined (effect 3.22.4)
    const pubsub = yield* PubSub.sliding<TaskEvent>(Math.max(2, options.buffer))
    const runtime = yield* Effect.runtime<never>()
    const runSync = Runtime.runSync(runtime)
    const open = new Set<EventSubscription>()
    const recent: Array<TaskEvent> = []
    const replay = Math.min(options.replay, options.buffer)
    let published = 0
    let ended = false

    const unsafeWake = () => {
      for (const subscription of open) subscription.unsafeWake()
    }

    return {
      unsafePublish: (event) => {
        if (replay > 0) recent[published++ % replay] = event
        // an offer to a full sliding PubSub drops the newest, only publish slides; and publish costs a fiber
        if (!pubsub.unsafeOffer(event)) runSync(PubSub.publish(pubsub, event))
      },
      unsafeWake,
      unsafeSubscribe: (scope) => {
        const subscribed: Array<EventSubscription> = []
        // before the subscription, so that it runs after that has ended: who still waits is let go then
        runSync(Scope.addFinalizer(
          scope,
          Effect.sync(() => {
            for (const subscription of subscribed) {
              open.delete(subscription)
              subscription.unsafeWake()
            }
          })
        ))
        // synchronous, and has to be within the caller's step
        const inner = runSync(Scope.extend(PubSub.subscribe(pubsub), scope))
        const subscription = new EventSubscription(inner, options.buffer, () => ended)
        subscribed.push(subscription)
        open.add(subscription)
        return subscription
      },
      recent: () => {
        const oldest = published % replay
        return published > replay ? [...recent.slice(oldest), ...recent.slice(0, oldest)] : recent.slice()
      },
      end: Effect.sync(() => {
        ended = true
        unsafeWake()
      })
    }
  })
