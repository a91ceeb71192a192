/** The consumers of turns over HTTP: who they are, how many there may be, and when one is forgotten. */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { TurnRef } from "../../../model/ids.js"
import type { TurnTaskUpdate } from "../../../model/TaskResolution.js"
import type { TaskManager } from "../../../services/TaskManager.js"
import { monotonicMillis, monotonicNow } from "../../../shared/monotonic.js"
import type { ProblemOf } from "../../api/Problem.js"
import { CurrentCaller } from "../CurrentCaller.js"
import { problem } from "../problems.js"
import { Consumer } from "./Consumer.js"

const tooMany = problem(429, "TooManyConsumers", "Too many requests", "Too many consumers have updates of turns.")

const forgotten = problem(
  409,
  "ConsumerForgotten",
  "Conflict",
  "The consumer is not known, or is over: what it had was put back. Begin with another name, and number 1.",
  { field: "consumer" }
)

/** How many consumers take, and how many that are over are remembered. */
const most = 1_024

interface Next {
  readonly consumer: string
  readonly turn: TurnRef
  readonly number: number
  readonly within: number
}

interface TurnNews {
  readonly update?: TurnTaskUpdate
  readonly drained: boolean
  readonly heldFor: number
}

export interface Consumers {
  readonly next: (asked: Next) => Effect.Effect<TurnNews, ProblemOf<409> | ProblemOf<429>>
  readonly keep: (consumer: string) => Effect.Effect<void, ProblemOf<409>>
  readonly end: (consumer: string, number: number) => Effect.Effect<void, ProblemOf<409>>
}

export const makeConsumers = (
  manager: TaskManager["Type"],
  { closing, heldForMillis }: { readonly closing: Effect.Effect<void>; readonly heldForMillis: number }
): Effect.Effect<Consumers, never, Scope.Scope> =>
  Effect.gen(function*() {
    const consumers = new Map<string, Consumer>()
    const fork = yield* FiberSet.makeRuntime<never, void, never>()
    let isClosed = false
    // before the fibers are interrupted: what was used is delivered, and the rest put back
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        isClosed = true
        const all = [...consumers.values()]
        consumers.clear()
        return Effect.forEach(all, (one) => one.end(0), { concurrency: "unbounded", discard: true })
      })
    )

    const sweep = Effect.flatMap(monotonicNow, (now) => {
      const gone = [...consumers].filter(([, consumer]) => consumer.isForgotten(now, heldForMillis))
      for (const [name] of gone) consumers.delete(name)
      return Effect.forEach(gone, ([, consumer]) => consumer.end(0), { concurrency: "unbounded", discard: true })
    })
    // idle as long as there are none
    const sweeping = Effect.unsafeMakeLatch(false)
    const sweepLater = sweeping.await.pipe(
      Effect.zipRight(Effect.sleep(heldForMillis / 4)),
      Effect.zipRight(sweep),
      Effect.zipRight(Effect.suspend(() => consumers.size === 0 ? sweeping.close : Effect.void))
    )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(sweepLater)))

    /** A name is that of a token: whoever has another one cannot speak for it. */
    const named = (consumer: string): Effect.Effect<string> =>
      Effect.map(CurrentCaller, (caller) => JSON.stringify([caller?.grant.name, consumer]))

    const find = (name: string): Effect.Effect<Consumer, ProblemOf<409>> =>
      Effect.suspend(() => {
        const found = consumers.get(name)
        return found === undefined ? Effect.fail(forgotten) : Effect.succeed(found)
      })

    const forgetOldest = (): void => {
      for (const [name, consumer] of consumers) {
        if (consumer.isOver) return void consumers.delete(name)
      }
    }

    const begun = (name: string, turn: TurnRef): Effect.Effect<Consumer, ProblemOf<429>> =>
      Effect.flatMap(Effect.clock, (clock) => {
        if (consumers.size >= most) forgetOldest()
        if (consumers.size >= most) return Effect.fail(tooMany)
        const consumer = new Consumer(manager, turn, monotonicMillis(clock))
        consumers.set(name, consumer)
        consumer.begin(fork)
        sweeping.unsafeOpen()
        return Effect.succeed(consumer)
      })

    const nothing: TurnNews = { drained: false, heldFor: heldForMillis }

    return {
      next: ({ consumer: given, number, turn, within }) =>
        Effect.flatMap(named(given), (name) => {
          if (isClosed) return Effect.succeed(nothing)
          const known: Effect.Effect<Consumer, ProblemOf<409> | ProblemOf<429>> = number === 1 && !consumers.has(name)
            ? begun(name, turn)
            : find(name)
          return Effect.flatMap(
            known,
            (consumer) => {
              const isOfTurn = consumer.turn.sessionId === turn.sessionId && consumer.turn.turnId === turn.turnId
              if (!isOfTurn) return Effect.fail(forgotten)
              const waiting = Effect.timeoutTo(consumer.next(number), {
                duration: within,
                onSuccess: (asked) => asked,
                onTimeout: () => undefined
              })
              return consumer.whileAsking(Effect.raceFirst(waiting, Effect.as(closing, undefined))).pipe(
                Effect.flatMap((asked): Effect.Effect<TurnNews, ProblemOf<409>> => {
                  if (asked === undefined || isClosed) return Effect.succeed(nothing)
                  if (asked._tag === "Refuse") return Effect.fail(forgotten)
                  return Effect.succeed(
                    asked._tag === "Give" ? { ...nothing, update: asked.update } : { ...nothing, drained: true }
                  )
                })
              )
            }
          )
        }),
      keep: (given) =>
        Effect.flatMap(named(given), (name) =>
          Effect.flatMap(
            find(name),
            (consumer) => consumer.isOver ? Effect.fail(forgotten) : consumer.whileAsking(Effect.void)
          )),
      end: (given, number) =>
        Effect.flatMap(named(given), (name) =>
          // what it never had, it has not used
          !consumers.has(name) && number <= 1
            ? Effect.void
            : Effect.flatMap(find(name), (consumer) => Effect.uninterruptible(consumer.end(number))))
    }
  })
