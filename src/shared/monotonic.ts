/**
 * Time for waits and limits. The wall clock is for times that are told: set back by an hour, it would make a wait of seconds an hour
 * long, and set forward it would end it at once.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Milliseconds on a clock that nobody sets. They count from a moment of its own. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos() / 1_000_000n)

/** The same, on the clock of the fiber. */
export const monotonicNow: Effect.Effect<number> = Effect.clockWith((clock) =>
  Effect.sync(() => monotonicMillis(clock))
)
