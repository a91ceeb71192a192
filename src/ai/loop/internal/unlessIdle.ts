/** A limit for the time in which nothing comes. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/**
 * Interrupts the work, and fails, once nothing has come for so long. The work says when something comes. One timer for all
 * of it: not one for each thing that comes.
 */
export const unlessIdle = <A, E, R, E2>(
  millis: number,
  onIdle: () => E2,
  work: (onProgress: Effect.Effect<void>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2, R> =>
  Effect.gen(function*() {
    let last = yield* Clock.currentTimeMillis
    const onProgress = Effect.map(Clock.currentTimeMillis, (now) => {
      last = now
    })
    if (millis === Infinity) return yield* work(Effect.void)
    const watch: Effect.Effect<never, E2> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const left = last + millis - now
      return left <= 0 ? Effect.fail(onIdle()) : Effect.zipRight(Effect.sleep(left), watch)
    })
    return yield* Effect.raceFirst(work(onProgress), watch)
  })
