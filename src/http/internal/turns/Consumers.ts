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

const tooMany = problem(
  429,
  "TooManyConsumers",
  "Too many requests",
  "Too many consumers of this token have updates of turns."
)

const forgotten = problem(
  409,
  "ConsumerForgotten",
  "Conflict",
  "The consumer is not known, or is over: what it had was put back. Begin with another name, and number 1.",
  { field: "consumer" }
)

const closes = problem(
  503,
  "Closing",
  "Unavailable",
  "The server closes: it has put back what was not used. Ask again."
)

/** How many consumers of a token take, and how many that are over are remembered. */
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

const forgetOldest = (consumers: Map<string, Consumer>): void => {
  for (const [name, consumer] of consumers) {
    if (consumer.isOver) return void consumers.delete(name)
  }
}

export interface Consumers {
  readonly next: (asked: Next) => Effect.Effect<TurnNews, ProblemOf<409> | ProblemOf<429> | ProblemOf<503>>
  readonly keep: (consumer: string) => Effect.Effect<void, ProblemOf<409>>
  readonly end: (consumer: string, number: number) => Effect.Effect<void, ProblemOf<409>>
}

export const makeConsumers = (
  manager: TaskManager["Type"],
  { closing, heldForMillis }: { readonly closing: Effect.Effect<void>; readonly heldForMillis: number }
): Effect.Effect<Consumers, never, Scope.Scope> =>
  Effect.gen(function*() {
    /** By the name of the token, and that of the consumer: whoever has another token cannot speak for it. */
    const tokens = new Map<string, Map<string, Consumer>>()
    const fork = yield* FiberSet.makeRuntime<never, void, never>()
    let isClosed = false
    // before the fibers are interrupted: what was used is delivered, and the rest put back
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        isClosed = true
        const all = [...tokens.values()].flatMap((consumers) => [...consumers.values()])
        tokens.clear()
        return Effect.forEach(all, (one) => one.end(0), { concurrency: "unbounded", discard: true })
      })
    )

    const sweep = Effect.flatMap(monotonicNow, (now) => {
      const gone: Array<Consumer> = []
      for (const consumers of tokens.values()) {
        for (const [name, consumer] of consumers) {
          if (!consumer.isForgotten(now, heldForMillis)) continue
          consumers.delete(name)
          gone.push(consumer)
        }
      }
      return Effect.forEach(gone, (consumer) => consumer.end(0), { concurrency: "unbounded", discard: true })
    })
    const isUnused = (): boolean => [...tokens.values()].every((consumers) => consumers.size === 0)
    // idle as long as there are none
    const sweeping = Effect.unsafeMakeLatch(false)
    const sweepLater = sweeping.await.pipe(
      Effect.zipRight(Effect.sleep(heldForMillis / 4)),
      Effect.zipRight(sweep),
      Effect.zipRight(Effect.suspend(() => isUnused() ? sweeping.close : Effect.void))
    )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(sweepLater)))

    /** Those of the token of whoever asks. */
    const ofCaller = Effect.map(CurrentCaller, (caller) => {
      const token = caller?.grant.name ?? ""
      const known = tokens.get(token)
      if (known !== undefined) return known
      const made = new Map<string, Consumer>()
      tokens.set(token, made)
      return made
    })

    const find = (consumers: Map<string, Consumer>, name: string): Effect.Effect<Consumer, ProblemOf<409>> =>
      Effect.suspend(() => {
        const found = consumers.get(name)
        return found === undefined || found.hasDied ? Effect.fail(forgotten) : Effect.succeed(found)
      })

    const begun = (
      consumers: Map<string, Consumer>,
      name: string,
      turn: TurnRef
    ): Effect.Effect<Consumer, ProblemOf<429>> =>
      Effect.flatMap(Effect.clock, (clock) => {
        if (consumers.size >= most) forgetOldest(consumers)
        if (consumers.size >= most) return Effect.fail(tooMany)
        const consumer = new Consumer(manager, turn, monotonicMillis(clock))
        consumers.set(name, consumer)
        consumer.begin(fork)
        sweeping.unsafeOpen()
        return Effect.succeed(consumer)
      })

    const nothing: TurnNews = { drained: false, heldFor: heldForMillis }

    return {
      next: ({ consumer: name, number, turn, within }) =>
        Effect.flatMap(ofCaller, (consumers) => {
          // an answer without an update would say that what was used before it is known
          if (isClosed) return Effect.fail(closes)
          const known: Effect.Effect<Consumer, ProblemOf<409> | ProblemOf<429>> =
            number === 1 && consumers.get(name)?.hasDied !== false
              ? begun(consumers, name, turn)
              : find(consumers, name)
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
                Effect.flatMap((asked): Effect.Effect<TurnNews, ProblemOf<409> | ProblemOf<503>> => {
                  if (asked?._tag === "Refuse") return Effect.fail(isClosed ? closes : forgotten)
                  if (asked === undefined || isClosed) return Effect.succeed(nothing)
                  return Effect.succeed(
                    asked._tag === "Give" ? { ...nothing, update: asked.update } : { ...nothing, drained: true }
                  )
                })
              )
            }
          )
        }),
      keep: (name) =>
        Effect.flatMap(ofCaller, (consumers) =>
          Effect.flatMap(
            find(consumers, name),
            (consumer) => consumer.isOver ? Effect.fail(forgotten) : consumer.whileAsking(Effect.void)
          )),
      end: (name, number) =>
        Effect.flatMap(ofCaller, (consumers) =>
          // what it never had, it has not used
          !consumers.has(name) && number <= 1
            ? Effect.void
            : Effect.flatMap(find(consumers, name), (consumer) => Effect.uninterruptible(consumer.end(number))))
    }
  })
