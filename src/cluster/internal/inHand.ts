/**
 * What clients of a group have taken. It is in the hands of a consumer of the manager until the client says that it reached its
 * reader; what it gives back, or says nothing of for a while, is put back.
 *
 * | the token is     | `taken`         | `putBack`       | `held`                      | nothing for `forgottenAfter`, or the group ends |
 * | ---------------- | --------------- | --------------- | --------------------------- | ----------------------------------------------- |
 * | in hand          | delivered       | put back        | in hand, for as long again  | put back                                        |
 * | over, or unknown | nothing         | nothing         | nothing                     | nothing                                         |
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { ancestryOf, RunningIn } from "../../runtime/launch/RunningIn.js"
import type { ToldOf } from "./protocol.js"
import { forgottenAfter, wireMillis } from "./wire.js"

/** What a consumer's `use` fails with where its client gave it back. */
export class PutBack {
  readonly _tag = "PutBack"
}

interface Consumer {
  fiber: Fiber.RuntimeFiber<void> | undefined
}

interface Holding {
  /** The call that it was given to. */
  readonly call: string
  readonly given: Given<unknown>
  readonly end: Deferred.Deferred<void, PutBack>
  /** When its client has said something of it last. */
  readonly since: number
  readonly consumer: Consumer
}

/** What was taken, with its token. */
export interface Given<A> {
  readonly token: number
  /** The numbers of its deliveries in the journal. */
  readonly orders: ReadonlyArray<number>
  readonly value: A
}

/** Takes with one of the manager's consumers, which is given what its `use` does. */
export interface Take<A, E> {
  (use: (value: A) => Effect.Effect<void, PutBack>): Effect.Effect<unknown, E>
}

export class InHand {
  /** Those that nothing was said of for the longest time come first. */
  private readonly holdings = new Map<number, Holding>()
  private readonly ofCalls = new Map<string, number>()
  /** Those whose consumers are not done yet. */
  private readonly ending = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private token: number

  constructor(firstToken: number) {
    this.token = firstToken
  }

  /** What the header of a call says: what has reached its reader, what is given back or still held, and whose answer nobody has. */
  settle({ dropped, held = [], putBack, taken }: ToldOf, now = wireMillis()): void {
    for (const token of held) {
      const holding = this.holdings.get(token)
      if (holding === undefined) continue
      this.holdings.delete(token)
      this.holdings.set(token, { ...holding, since: now })
    }
    for (const token of taken) this.end(token, Effect.void)
    for (const token of putBack) this.end(token, Effect.fail(new PutBack()))
    for (const call of dropped) {
      const token = this.ofCalls.get(call)
      if (token !== undefined) this.end(token, Effect.fail(new PutBack()))
    }
  }

  private end(token: number, how: Effect.Effect<void, PutBack>): void {
    const holding = this.holdings.get(token)
    if (holding === undefined) return
    this.forget(token, holding)
    const { fiber } = holding.consumer
    if (fiber !== undefined && fiber.unsafePoll() === null) this.ending.add(fiber)
    Deferred.unsafeDone(holding.end, how)
  }

  private forget(token: number, { call }: Holding): void {
    this.holdings.delete(token)
    if (this.ofCalls.get(call) === token) this.ofCalls.delete(call)
  }

  /** Puts back what nobody has said anything of. */
  sweep(now = wireMillis()): void {
    for (const [token, { since }] of this.holdings) {
      if (now - since < forgottenAfter) return
      this.end(token, Effect.fail(new PutBack()))
    }
  }

  /** Returns once every consumer that was told how it ends is done. */
  get ended(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.ending.size === 0) return Effect.void
      const fibers = [...this.ending]
      return Effect.forEach(fibers, (fiber) => fiber.await, { discard: true })
    })
  }

  /** What a call has in hand, for one that comes again because its answer was lost: otherwise it would be told that nothing is there. */
  private ofCall<A>(call: string): Given<A> | undefined {
    const token = this.ofCalls.get(call)
    // a call that comes again is the same one, so it has asked for the same
    return token === undefined ? undefined : this.holdings.get(token)?.given as Given<A> | undefined
  }

  /**
   * Takes with one of the manager's `consume…` methods. `take` is given what its `use` does; it returns undefined where there was
   * nothing. `fork` runs the consumer for as long as the token is in hand.
   */
  give<A, E>(
    call: string,
    take: Take<A, E>,
    ordersOf: (value: A) => ReadonlyArray<number>,
    fork: (self: Effect.Effect<void>) => Effect.Effect<Fiber.RuntimeFiber<void>>
  ): Effect.Effect<Given<A> | null, Exclude<E, PutBack>> {
    const taking = Effect.flatMap(Deferred.make<Given<A> | null, Exclude<E, PutBack>>(), (answer) => {
      const consumer: Consumer = { fiber: undefined }
      const use = (value: A): Effect.Effect<void, PutBack> =>
        Effect.flatMap(Deferred.make<void, PutBack>(), (end) => {
          const token = ++this.token
          const given = { token, orders: ordersOf(value), value }
          const holding: Holding = { call, given, end, since: wireMillis(), consumer }
          this.holdings.set(token, holding)
          this.ofCalls.set(call, token)
          Deferred.unsafeDone(answer, Effect.succeed(given))
          return Effect.onInterrupt(Deferred.await(end), () => Effect.sync(() => this.forget(token, holding)))
        })
      const consuming = take(use).pipe(
        Effect.catchAll((error) =>
          // anything but a PutBack is an error of the manager
          error instanceof PutBack ? Effect.void : Effect.fail(error as Exclude<E, PutBack>)
        ),
        Effect.matchCauseEffect({
          onSuccess: () => Deferred.succeed(answer, null),
          onFailure: (cause) => Deferred.failCause(answer, cause)
        }),
        Effect.asVoid
      )
      const forking = Effect.withFiberRuntime<Fiber.RuntimeFiber<void>>((caller) => {
        const ancestry = ancestryOf(caller)
        return fork(ancestry === undefined ? consuming : Effect.provideService(consuming, RunningIn, ancestry))
      })
      return Effect.flatMap(forking, (forked) => {
        consumer.fiber = forked
        forked.addObserver(() => this.ending.delete(forked))
        return Effect.onInterrupt(Deferred.await(answer), () => Fiber.interruptFork(forked))
      })
    })
    return Effect.suspend(() => {
      const inHand = this.ofCall<A>(call)
      return inHand === undefined ? taking : Effect.succeed(inHand)
    })
  }
}
