/**
 * Every timer of a manager on one sleeping fiber of the `Clock`. A fiber per timer would cost more than the task it
 * watches.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import { monotonicMillis } from "../../shared/monotonic.js"
import { DeadlineQueue, type Timer } from "./DeadlineQueue.js"

export interface Timers {
  /** Calls `fire` once, `millis` from now. Never for Infinity. */
  readonly start: (millis: number, fire: () => void) => Timer | undefined
  /** The timer will not fire any more. */
  readonly stop: (timer: Timer | undefined) => void
  /** Milliseconds on a clock that is never set back. */
  readonly now: () => number
  /** How many timers are armed. */
  readonly size: () => number
  /** Ends the sleeping fiber. */
  readonly shutdown: Effect.Effect<void>
}

interface Sleeper {
  until: number
  fiber: Fiber.RuntimeFiber<void> | undefined
}

// the platform's timers overflow beyond this; longer sleeps are made of several
const longestSleepMillis = 2 ** 30

export const make = (clock: Clock.Clock, runtime: Runtime.Runtime<never>): Timers => {
  const queue = new DeadlineQueue()
  const now = (): number => monotonicMillis(clock)
  let sleeper: Sleeper | undefined = undefined

  const wakeUp = (): void => {
    const due = now()
    for (let next = queue.first; next !== undefined && next.deadline <= due; next = queue.first) {
      queue.remove(next)
      next.fire()
    }
  }

  const stopSleeper = (): void => {
    sleeper?.fiber?.unsafeInterruptAsFork(FiberId.none)
    sleeper = undefined
  }

  /** Sleeps until the first deadline, unless a fiber already does. */
  const adjust = (): void => {
    const next = queue.first
    if (next === undefined) {
      stopSleeper()
      return
    }
    if (sleeper !== undefined && sleeper.until <= next.deadline) return
    stopSleeper()
    const begin = now()
    const current: Sleeper = { until: Math.min(next.deadline, begin + longestSleepMillis), fiber: undefined }
    sleeper = current
    // whole milliseconds: a rest below a nanosecond is no sleep at all, and would be taken again without end
    const sleep = clock.sleep(Duration.millis(Math.ceil(current.until - begin)))
    const fired = Effect.flatMap(sleep, () => Effect.sync(() => finish(current)))
    // not immediately: a sleep of no length must not fire within the step that starts the timer
    current.fiber = Runtime.runFork(runtime)(fired, { immediate: false })
  }

  const finish = (current: Sleeper): void => {
    if (sleeper !== current) return
    // no fiber needs to sleep while the due timers fire
    current.until = -Infinity
    wakeUp()
    if (sleeper === current) sleeper = undefined
    adjust()
  }

  return {
    start: (millis, fire) => {
      if (millis === Infinity) return undefined
      const timer = queue.add(now(), millis, fire)
      adjust()
      return timer
    },
    stop: (timer) => {
      if (timer?.place === undefined) return
      queue.remove(timer)
      adjust()
    },
    now,
    size: () => queue.size,
    shutdown: Effect.suspend(() => {
      const last = sleeper?.fiber
      sleeper = undefined
      queue.clear()
      return last === undefined ? Effect.void : Fiber.interrupt(last)
    })
  }
}
