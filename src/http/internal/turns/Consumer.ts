/** One consumer of the updates of a turn: what `reading.ts` decides, done with a consumer of the manager. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type { TurnRef } from "../../../model/ids.js"
import type { TurnTaskUpdate } from "../../../model/TaskResolution.js"
import type { TaskManager } from "../../../services/TaskManager.js"
import { monotonicNow } from "../../../shared/monotonic.js"
import * as reading from "./reading.js"

/** What a consumer of the manager fails with where an update goes back. */
class PutBack {
  readonly _tag = "PutBack"
}

export class Consumer {
  readonly turn: TurnRef
  private readonly manager: TaskManager["Type"]
  private now: reading.Reading = reading.first
  /** How the consumer of the manager ends that has an update in hand. */
  private inHand: Deferred.Deferred<void, PutBack> | undefined = undefined
  private news = Deferred.unsafeMake<void>(FiberId.none)
  private fiber: Fiber.RuntimeFiber<void> | undefined = undefined
  /** How many requests wait. */
  private asking = 0
  private death: Effect.Effect<never> | undefined = undefined
  private askedAt: number

  constructor(manager: TaskManager["Type"], turn: TurnRef, now: number) {
    this.manager = manager
    this.turn = turn
    this.askedAt = now
  }

  /** Takes one update after the other, each once the one before is used. */
  begin(fork: (self: Effect.Effect<void>) => Fiber.RuntimeFiber<void>): void {
    this.fiber = fork(this.takeAll)
  }

  private get takeAll(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.now._tag === "Taking"
        ? this.manager.consumeTurnUpdate(this.turn, (update) => this.hold(update)).pipe(
          Effect.flatMap((used) => {
            this.now = Option.isSome(used) ? reading.deliver(this.now) : reading.drain(this.now)
            this.tell()
            // oxlint-disable-next-line no-accessor-recursion -- asked again when the effect runs, not by the getter
            return this.takeAll
          }),
          Effect.catchAll(() => Effect.void),
          // a request that waits is told; the next one begins anew
          Effect.catchAllDefect((defect) => {
            this.death = Effect.die(defect)
            this.now = reading.end(this.now, 0).reading
            Deferred.unsafeDone(this.news, this.death)
            return Effect.void
          })
        )
        : Effect.void
    )
  }

  private hold(update: TurnTaskUpdate): Effect.Effect<void, PutBack> {
    return Effect.suspend(() => {
      const given = reading.give(this.now, update)
      if (given === undefined) return Effect.fail(new PutBack())
      const inHand = Deferred.unsafeMake<void, PutBack>(FiberId.none)
      this.now = given
      this.inHand = inHand
      this.tell()
      return Deferred.await(inHand)
    })
  }

  private tell(): void {
    const { news } = this
    this.news = Deferred.unsafeMake(FiberId.none)
    Deferred.unsafeDone(news, Effect.void)
  }

  private settle(how: Effect.Effect<void, PutBack>): void {
    const { inHand } = this
    this.inHand = undefined
    if (inHand !== undefined) Deferred.unsafeDone(inHand, how)
  }

  /** The update of a number, once there is one. */
  next(number: number): Effect.Effect<reading.Answer> {
    return Effect.suspend((): Effect.Effect<reading.Answer> => {
      // it may have died before the request that has begun it has asked
      if (this.death !== undefined) return this.death
      const asked = reading.ask(this.now, number)
      if (!("reading" in asked)) return Effect.succeed(asked)
      this.now = asked.reading
      const { news } = this
      if (asked._tag === "Deliver") this.settle(Effect.void)
      return Effect.zipRight(Deferred.await(news), this.next(number))
    })
  }

  /** Keeps what it has for as long as a request of it lasts, and for a while after. */
  whileAsking<A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const heard = (change: number) =>
      Effect.map(monotonicNow, (now) => {
        this.asking += change
        this.askedAt = now
      })
    return Effect.acquireUseRelease(heard(1), () => request, () => heard(-1))
  }

  /** Whether nothing was heard of it for so long. */
  isForgotten(now: number, millis: number): boolean {
    return this.asking === 0 && now - this.askedAt >= millis
  }

  /** The manager has died of a question: it may answer the next one. */
  get hasDied(): boolean {
    return this.death !== undefined
  }

  /** Nothing of it is in hand, and it takes nothing more. */
  get isOver(): boolean {
    return this.now._tag === "Drained" || this.now._tag === "Ended"
  }

  /** All before a number is used, and nothing more is taken; returns once the manager knows. */
  end(number: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { act, reading: next } = reading.end(this.now, number)
      this.now = next
      if (act === "Deliver") this.settle(Effect.void)
      else if (act === "PutBack") this.settle(Effect.fail(new PutBack()))
      this.tell()
      const { fiber } = this
      if (fiber === undefined) return Effect.void
      // an interrupt would put back what was just delivered
      return Effect.asVoid(act === "Leave" ? Fiber.interrupt(fiber) : Fiber.await(fiber))
    })
  }
}
