/** A limit for the time in which nothing comes. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { monotonicMillis, monotonicNow } from "../../../shared/monotonic.js"

/**
 * Interrupts the work, and fails, once nothing has come for so long. The work says when something comes. One timer for all
 * of it: not one for each thing that comes. Whoever is interrupted here goes on once the work has ended; `Effect.raceFirst` does not
 * wait for it, and it could go on speaking after the turn.
 */
export const unlessIdle = <A, E, R, E2>(
  millis: number,
  onIdle: () => E2,
  work: (onProgress: () => void) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2, R> =>
  Effect.clockWith((clock) => {
    let last = monotonicMillis(clock)
    const watched = work(() => {
      last = monotonicMillis(clock)
    })
    if (millis === Infinity) return watched
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const working = yield* Effect.fork(restore(watched))
        let isIdle = false
        const watch: Effect.Effect<void> = Effect.flatMap(monotonicNow, (now) => {
          const left = last + millis - now
          if (left > 0) return Effect.zipRight(Effect.sleep(left), watch)
          isIdle = true
          return Effect.asVoid(Fiber.interrupt(working))
        })
        const watching = yield* Effect.fork(Effect.interruptible(watch))
        const end = yield* Effect.exit(restore(Fiber.join(working)))
        yield* Fiber.interruptAll([watching, working])
        return yield* (isIdle && Exit.isInterrupted(end) ? Effect.fail(onIdle()) : end)
      })
    )
  })
