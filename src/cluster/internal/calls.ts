/**
 * The calls of clients, as a runner carries them out. A call goes on while nobody waits for it, for a client whose answer was lost
 * asks again with the same number and finds it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { Answer, Batch } from "./protocol.js"
import { answersWithin, forgottenAfter, wireMillis, wireSleep } from "./wire.js"

interface Running<A, E> {
  readonly fiber: Fiber.RuntimeFiber<A, E>
  /** How many ask for it now, and when the last one left. */
  asking: number
  left: number
  /** Whether its answer is kept for one that asks again: it must not be carried out twice. */
  readonly isKept: boolean
}

/** Somebody who waits for the end of a call. */
interface Wait {
  readonly until: number
  readonly giveUp: () => void
}

const waiting = { _tag: "Waiting" } as const

/** Runs calls, which may ask for `R`. */
interface Fork<R> {
  <A, E>(self: Effect.Effect<A, E, R>): Fiber.RuntimeFiber<A, E>
}

export class Calls<R = never> {
  private readonly running = new Map<string, Running<unknown, unknown>>()
  private readonly fork: Fork<R>
  private readonly waits = new Set<Wait>()
  private isTimed = false
  private isLeaving = false

  constructor(fork: Fork<R>) {
    this.fork = fork
  }

  /** Carries out a call, or joins it, for as long as a runner lets a client wait. `news` is asked when it is done. */
  answer<A, E>(
    call: string,
    self: Effect.Effect<A, E, R>,
    options: { readonly isKept: boolean; readonly news: () => ReadonlyArray<Batch> }
  ): Effect.Effect<Answer<A>, E> {
    return Effect.suspend(() => {
      // a call that comes again is the same one, so its fiber runs the same effect
      const known = this.running.get(call) as Running<A, E> | undefined
      const running = known ?? this.begin(call, self, options.isKept)
      running.asking++
      const { fiber } = running
      const done = (ended: Exit.Exit<A, E>): Exit.Exit<Answer<A>, E> =>
        Exit.map(ended, (value) => ({ _tag: "Done" as const, news: options.news(), value }))
      const exit = fiber.unsafePoll()
      const waits = exit === null ? this.wait(fiber, done) : done(exit)
      return Effect.onExit(waits, (asked) => this.left(call, running, asked))
    })
  }

  /** Waits for the end of a call as long as a runner lets a client wait: without a fiber and a timer for each. */
  private wait<A, E>(
    fiber: Fiber.RuntimeFiber<A, E>,
    done: (exit: Exit.Exit<A, E>) => Exit.Exit<Answer<A>, E>
  ): Effect.Effect<Answer<A>, E> {
    return Effect.async((resume) => {
      const ended = (exit: Exit.Exit<A, E>): void => {
        this.waits.delete(wait)
        resume(done(exit))
      }
      const wait: Wait = {
        until: wireMillis() + answersWithin,
        giveUp: () => {
          fiber.removeObserver(ended)
          resume(Effect.succeed(waiting))
        }
      }
      if (this.isLeaving) return wait.giveUp()
      this.waits.add(wait)
      fiber.addObserver(ended)
      if (!this.isTimed) {
        this.isTimed = true
        this.fork(this.time)
      }
      return Effect.sync(() => {
        this.waits.delete(wait)
        fiber.removeObserver(ended)
      })
    })
  }

  /** Ends the waits that are over, the oldest first: each is as long as the others. */
  private readonly time: Effect.Effect<void> = Effect.suspend(() => {
    const [oldest] = this.waits
    if (oldest === undefined) {
      this.isTimed = false
      return Effect.void
    }
    return Effect.flatMap(wireSleep(Math.max(1, oldest.until - wireMillis())), () => {
      const now = wireMillis()
      for (const wait of this.waits) {
        if (wait.until > now) break
        this.waits.delete(wait)
        wait.giveUp()
      }
      return this.time
    })
  })

  /** Ends every wait: the group is about to leave this runner. */
  leave(): void {
    this.isLeaving = true
    for (const { giveUp } of this.waits) giveUp()
    this.waits.clear()
  }

  private begin<A, E>(call: string, self: Effect.Effect<A, E, R>, isKept: boolean): Running<A, E> {
    const running: Running<A, E> = { fiber: this.fork(self), asking: 0, left: 0, isKept }
    this.running.set(call, running)
    return running
  }

  private left(
    call: string,
    running: Running<unknown, unknown>,
    asked: Exit.Exit<Answer<unknown>, unknown>
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      running.asking--
      running.left = wireMillis()
      const isAnswered = Exit.isFailure(asked) ? !Cause.isInterruptedOnly(asked.cause) : asked.value._tag === "Done"
      if (isAnswered && !running.isKept) this.running.delete(call)
      // its client does not wait any more
      if (Exit.isFailure(asked) && Cause.isInterruptedOnly(asked.cause) && running.asking === 0) {
        this.running.delete(call)
        // who interrupted it hears when it has ended
        return Effect.asVoid(
          running.fiber.interruptAsFork(running.fiber.id()).pipe(Effect.zipRight(running.fiber.await))
        )
      }
      return Effect.void
    })
  }

  /** Ends what nobody will ask for again. */
  drop(calls: ReadonlyArray<string>): void {
    for (const call of calls) {
      const running = this.running.get(call)
      if (running === undefined || running.asking > 0) continue
      this.running.delete(call)
      running.fiber.unsafeInterruptAsFork(FiberId.none)
    }
  }

  /** Ends what nobody has asked for again. */
  sweep(now = wireMillis()): ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> {
    const ended: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    for (const [call, running] of this.running) {
      if (running.asking > 0 || now - running.left < forgottenAfter) continue
      this.running.delete(call)
      ended.push(running.fiber)
    }
    return ended
  }
}
