/** Event streams that carry several subscriptions each: one connection of a client, whatever it listens to. */
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { randomToken } from "../../shared/randomToken.js"
import type { SubscriptionAsked, SubscriptionChanges } from "../api/internal/bodies.js"
import type { ProblemOf } from "../api/Problem.js"
import type { Grant } from "./Access.js"
import { CurrentCaller } from "./CurrentCaller.js"
import type { EventStream } from "./EventStream.js"
import { ended, forSubscription, frameOf, opened, sharedOpening, snapshotFrame } from "./frames.js"
import { nameOf } from "./managerHeader.js"
import { problem } from "./problems.js"
import type { Streams } from "./Streams.js"

const none = problem(404, "NoSuchStream", "Not found", "There is no such event stream: it has ended.", {
  field: "stream"
})

interface Shared {
  readonly grant: Grant | undefined
  readonly stream: EventStream
  /** Of the request that it answers. */
  readonly scope: Scope.Scope
  readonly subscriptions: Map<number, Scope.CloseableScope>
}

export interface SharedStreams {
  readonly open: Effect.Effect<HttpServerResponse.HttpServerResponse, ProblemOf<429>, Scope.Scope>
  /** Gives the subscriptions for which there is no room. */
  readonly change: (
    changes: typeof SubscriptionChanges.Type
  ) => Effect.Effect<{ readonly refused: ReadonlyArray<number> }, ProblemOf<404>>
}

export const makeSharedStreams = (
  handle: TaskManagerHandle,
  streams: Streams,
  maxSubscriptions: number
): SharedStreams => {
  const all = new Map<string, Shared>()

  const open = Effect.gen(function*() {
    const caller = yield* CurrentCaller
    const stream = yield* streams.open
    const name = randomToken()
    const shared: Shared = {
      grant: caller?.grant,
      stream,
      scope: yield* Effect.scope,
      subscriptions: new Map()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => void all.set(name, shared)),
      () => Effect.sync(() => void all.delete(name))
    )
    stream.unsafeOffer(sharedOpening(name, nameOf(handle)))
    return streams.respond(stream)
  })

  const end = ({ subscriptions }: Shared, id: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const scope = subscriptions.get(id)
      subscriptions.delete(id)
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })

  /** Its first frame says where it begins; the last one, that nothing more comes. */
  const listen = ({ stream }: Shared, { after, from, id, sessionId, taskId }: SubscriptionAsked) =>
    Effect.gen(function*() {
      const mark = forSubscription(id)
      const marked = (event: Parameters<typeof frameOf>[0]) => mark(frameOf(event))
      const filter = { sessionId, taskId }
      const passOn = (first: () => Uint8Array, passing: Effect.Effect<void>) =>
        streams.send(stream, () => mark(first())).pipe(
          // a queue that is over interrupts who takes
          Effect.zipRight(Effect.exit(passing)),
          Effect.zipRight(streams.send(stream, () => mark(ended("shutdown")))),
          Effect.interruptible,
          Effect.forkScoped
        )
      if (from === "snapshot") {
        const watch = yield* handle.watchOf({ ...filter, after })
        return yield* passOn(
          () => snapshotFrame(watch, after === undefined),
          streams.share(stream, watch.events, marked)
        )
      }
      if (after !== undefined) {
        const events = yield* handle.subscribeTo({ ...filter, after })
        return yield* passOn(() => opened(after), streams.share(stream, events, marked))
      }
      if (from === "now") {
        const { events, seq } = yield* handle.watchOf(filter)
        return yield* passOn(() => opened(seq), streams.share(stream, events, marked))
      }
      return yield* passOn(() => opened(undefined), streams.shareAll(stream, handle.eventsOf(filter), marked))
    })

  const begin = (shared: Shared, asked: SubscriptionAsked): Effect.Effect<boolean> =>
    Effect.gen(function*() {
      const { subscriptions } = shared
      if (subscriptions.has(asked.id)) return true
      if (subscriptions.size >= maxSubscriptions) return false
      const scope = yield* Scope.fork(shared.scope, ExecutionStrategy.sequential)
      subscriptions.set(asked.id, scope)
      yield* Scope.extend(listen(shared, asked), scope)
      return true
    })

  return {
    open,
    change: ({ close, open: asked, stream }) =>
      Effect.flatMap(CurrentCaller, (caller) => {
        const shared = all.get(stream)
        // its name is that of a token: whoever has another one cannot speak for it
        if (shared === undefined || shared.grant !== caller?.grant) return Effect.fail(none)
        return Effect.uninterruptible(Effect.gen(function*() {
          yield* Effect.forEach(close, (id) => end(shared, id), { discard: true })
          const refused: Array<number> = []
          for (const one of asked) {
            if (!(yield* begin(shared, one))) refused.push(one.id)
          }
          return { refused }
        }))
      })
  }
}
