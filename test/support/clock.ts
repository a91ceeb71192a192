/** A wall clock that is set back or forward, beside a monotonic one that is not. */
import { type Clock, Effect } from "effect"

/** Runs a test on the `TestClock`, whose wall clock alone is `set` apart by so many milliseconds. */
export const withJumpingClock = <A, E, R>(
  test: (set: (millis: number) => void) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) => {
    let apart = 0
    const jumping: Clock.Clock = Object.assign(Object.create(clock), {
      unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() + apart,
      // the other one must not go by it
      unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
      currentTimeNanos: clock.currentTimeNanos,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + apart)
    })
    return Effect.withClock(
      test((millis) => {
        apart = millis
      }),
      jumping
    )
  })
