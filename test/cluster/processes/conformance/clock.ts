/** The clock of a case in a runner: its time is told by the process that has the case, which also wakes its sleepers. */
import { Clock, Duration, Effect } from "effect"

export interface ToldClock extends Clock.Clock {
  readonly tell: (now: number) => void
}

/** `sleepUntil` returns once the time has come, and gives the time. */
export const toldClock = (start: number, sleepUntil: (deadline: number) => Effect.Effect<unknown>): ToldClock => {
  let now = start
  const nanos = () => BigInt(now) * 1_000_000n
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.suspend(() => {
        const millis = Duration.toMillis(duration)
        return millis <= 0 ? Effect.void : Effect.map(sleepUntil(now + millis), (time) => {
          now = Number(time)
        })
      }),
    tell: (time) => {
      now = time
    }
  }
}
