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
  work: (onProgress: () => void) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2, R> =>
  Effect.clockWith((clock) => {
    let last = clock.unsafeCurrentTimeMillis()
    const watched = work(() => {
      last = clock.unsafeCurrentTimeMillis()
    })
    if (millis === Infinity) return watched
    const watch: Effect.Effect<never, E2> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const left = last + millis - now
      return left <= 0 ? Effect.fail(onIdle()) : Effect.zipRight(Effect.sleep(left), watch)
    })
    return Effect.raceFirst(watched, watch)
  })
