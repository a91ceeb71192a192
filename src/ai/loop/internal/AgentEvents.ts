/** The events of one session, and their subscribers. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentEvent } from "../AgentEvent.js"

export interface AgentEvents {
  readonly emit: (event: AgentEvent) => void
  /** Subscribes at once; the stream ends with the session. */
  readonly subscribe: Effect.Effect<Stream.Stream<AgentEvent>, never, Scope.Scope>
  /** No event follows. */
  readonly end: () => void
}

export const make: Effect.Effect<AgentEvents> = Effect.map(
  PubSub.unbounded<Option.Option<AgentEvent>>(),
  (pubsub) => {
    let isOver = false
    return {
      emit: (event) => {
        pubsub.unsafeOffer(Option.some(event))
      },
      subscribe: Effect.map(PubSub.subscribe(pubsub), (queue) =>
        isOver ? Stream.empty : Stream.fromQueue(queue).pipe(
          Stream.takeWhile(Option.isSome),
          Stream.map((event) => event.value)
        )),
      end: () => {
        isOver = true
        pubsub.unsafeOffer(Option.none())
      }
    }
  }
)
