/** Lets the rest of the program have its turn while a session is busy. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Scheduler from "effect/Scheduler"

// that of the process: a test's clock stands still, and timers are waiting all the same
const turnOfEventLoop = Clock.make().sleep(Duration.zero)

/**
 * An effect to be run before each piece of work; every so many pieces it lets the event loop turn. Effect's default scheduler
 * goes from fiber to fiber in microtasks: a model that answers at once, or a reply of hundreds of calls, would keep every
 * timer and socket of the process waiting. Other schedulers have their own rule.
 */
export const makePace = (pieces: number): Effect.Effect<void> => {
  let done = 0
  return Effect.suspend(() => {
    done++
    if (done % pieces !== 0) return Effect.void
    return Effect.flatMap(
      FiberRef.get(FiberRef.currentScheduler),
      (scheduler) => scheduler === Scheduler.defaultScheduler ? turnOfEventLoop : Effect.void
    )
  })
}
