/**
 * Every timer of a manager on one sleeping fiber: a heap of deadlines on the `Clock`. A fiber per timer would cost more
 * than the task it watches.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

/** An armed timer. */
export interface Timer {
  readonly deadline: number
  readonly fire: () => void
  /** Its place in the heap, -1 once it has fired or was stopped. */
  index: number
}

export interface Timers {
  /** Calls `fire` once, `millis` from now. Never for Infinity. */
  readonly start: (millis: number, fire: () => void) => Timer | undefined
  /** The timer will not fire any more. */
  readonly stop: (timer: Timer | undefined) => void
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
  const heap: Array<Timer> = []
  let sleeper: Sleeper | undefined = undefined

  const place = (timer: Timer, index: number): void => {
    heap[index] = timer
    timer.index = index
  }

  const up = (timer: Timer, from: number): void => {
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      if (above === undefined || above.deadline <= timer.deadline) break
      place(above, index)
      index = parent
    }
    place(timer, index)
  }

  const down = (timer: Timer, from: number): void => {
    let index = from
    for (;;) {
      const left = heap[2 * index + 1]
      const right = heap[2 * index + 2]
      const child = right !== undefined && left !== undefined && right.deadline < left.deadline ? right : left
      if (child === undefined || child.deadline >= timer.deadline) break
      const below = child.index
      place(child, index)
      index = below
    }
    place(timer, index)
  }

  const remove = (timer: Timer): void => {
    const index = timer.index
    timer.index = -1
    const last = heap.pop()
    if (last === undefined || last === timer) return
    const parent = heap[(index - 1) >> 1]
    if (index > 0 && parent !== undefined && parent.deadline > last.deadline) up(last, index)
    else down(last, index)
  }

  const wakeUp = (): void => {
    const now = clock.unsafeCurrentTimeMillis()
    for (let next = heap[0]; next !== undefined && next.deadline <= now; next = heap[0]) {
      remove(next)
      next.fire()
    }
  }

  const stopSleeper = (): void => {
    sleeper?.fiber?.unsafeInterruptAsFork(FiberId.none)
    sleeper = undefined
  }

  /** Sleeps until the first deadline, unless somebody already does. */
  const adjust = (): void => {
    const next = heap[0]
    if (next === undefined) {
      stopSleeper()
      return
    }
    if (sleeper !== undefined && sleeper.until <= next.deadline) return
    stopSleeper()
    const now = clock.unsafeCurrentTimeMillis()
    const current: Sleeper = { until: Math.min(next.deadline, now + longestSleepMillis), fiber: undefined }
    sleeper = current
    const sleep = clock.sleep(Duration.millis(current.until - now))
    const fired = Effect.flatMap(sleep, () => Effect.sync(() => finish(current)))
    // not immediately: a sleep of no length must not fire within the step that starts the timer
    current.fiber = Runtime.runFork(runtime)(fired, { immediate: false })
  }

  const finish = (current: Sleeper): void => {
    if (sleeper !== current) return
    // nobody needs to sleep while the due timers fire
    current.until = -Infinity
    wakeUp()
    if (sleeper === current) sleeper = undefined
    adjust()
  }

  return {
    start: (millis, fire) => {
      if (millis === Infinity) return undefined
      const timer: Timer = { deadline: clock.unsafeCurrentTimeMillis() + millis, fire, index: heap.length }
      up(timer, heap.length)
      adjust()
      return timer
    },
    stop: (timer) => {
      if (timer === undefined || timer.index < 0) return
      remove(timer)
      adjust()
    },
    size: () => heap.length,
    shutdown: Effect.suspend(() => {
      const last = sleeper?.fiber
      sleeper = undefined
      heap.length = 0
      return last === undefined ? Effect.void : Fiber.interrupt(last)
    })
  }
}
