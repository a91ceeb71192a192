/**
 * Time for one case: a clock that stands still until the case moves it. Not `TestContext`, whose clock stays behind in
 * the fiber that provides it, and whose every step sleeps for real.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Sleeper {
  readonly deadline: number
  readonly wake: () => void
}

export interface VirtualTime {
  readonly clock: Clock.Clock
  /** Moves the clock, waking sleepers one after the other at their times. */
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  /** Returns once every fiber that could run has run, and the layer has nothing on its way. */
  readonly settle: Effect.Effect<void>
}

/** The clock of the machine: it bounds how long a broken layer can hang, and is never compared with anything. */
export const realClock = Clock.make()

const macrotask = realClock.sleep(Duration.zero)

/** Fibers go on in microtasks, this is a few tasks later. */
const allHaveRun: Effect.Effect<void> = Effect.zipRight(macrotask, macrotask)

/** `layerIsQuiet` returns when what the layer does outside of fibers is done. */
export const make = (layerIsQuiet?: Effect.Effect<void>): VirtualTime => {
  const settle = layerIsQuiet === undefined
    ? allHaveRun
    : Effect.zipRight(allHaveRun, Effect.zipRight(Effect.withClock(layerIsQuiet, realClock), allHaveRun))
  let now = 1_700_000_000_000
  const sleepers: Array<Sleeper> = []
  const remove = (sleeper: Sleeper): void => {
    const index = sleepers.indexOf(sleeper)
    if (index >= 0) sleepers.splice(index, 1)
  }
  const nanos = () => BigInt(now) * 1_000_000n
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        const deadline = now + Duration.toMillis(duration)
        if (deadline <= now) {
          resume(Effect.void)
          return
        }
        const sleeper: Sleeper = { deadline, wake: () => resume(Effect.void) }
        const behind = sleepers.findIndex((other) => other.deadline > deadline)
        sleepers.splice(behind < 0 ? sleepers.length : behind, 0, sleeper)
        return Effect.sync(() => remove(sleeper))
      })
  }
  const advanceTo = (target: number): Effect.Effect<void> =>
    Effect.flatMap(settle, () => {
      const next = sleepers[0]
      if (next === undefined || next.deadline > target) {
        now = target
        return settle
      }
      now = next.deadline
      remove(next)
      next.wake()
      return advanceTo(target)
    })
  return { clock, settle, advance: (duration) => Effect.suspend(() => advanceTo(now + Duration.toMillis(duration))) }
}
