/** What every measurement shares: a clean heap before it, the time it took, and turns of the event loop in between. */
import { Effect } from "effect"

/** Collects all garbage, where memory is measured. Children run with --expose-gc. */
export const collectGarbage = (): void => {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc")
  globalThis.gc()
}

/** Lets timers, immediates and microtasks run until the loop has nothing left of what was measured before. */
export const turnEventLoop: Effect.Effect<void> = Effect.promise(() =>
  new Promise<void>((resolve) => setTimeout(() => setImmediate(resolve), 2))
)

/**
 * Milliseconds that something takes. `cpu` is that of the process, collector and compiler included: on a quiet machine
 * about the same as `wall`, and on a shared one the neighbours are not in it. The ratios are those of `cpu`.
 */
export interface Time {
  readonly cpu: number
  readonly wall: number
}

/**
 * No collection is forced before it: on Node 20 one slows the code that follows three to five times for thousands of calls
 * (floor 6 to 29 µs, measured), and not everybody's code alike. Many rounds that alternate share the collector's work out instead.
 */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Time, E, R> =>
  Effect.gen(function*() {
    yield* turnEventLoop
    const start = performance.now()
    const cpu = process.cpuUsage()
    yield* effect
    const { system, user } = process.cpuUsage(cpu)
    return { cpu: (user + system) / 1_000, wall: performance.now() - start }
  })

/** The longest time in milliseconds that the event loop did not turn while an effect ran. */
export const longestStall = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function*() {
    yield* turnEventLoop
    let longest = 0
    let last = performance.now()
    let ended = false
    const turn = () => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
      if (!ended) setImmediate(turn)
    }
    setImmediate(turn)
    yield* effect
    // the turn that the last of it holds up counts too
    yield* turnEventLoop
    ended = true
    return longest
  })

/** Used heap in bytes once nothing more can be collected. */
export const usedHeap: Effect.Effect<number> = Effect.gen(function*() {
  // weak references and finalization callbacks need turns of the event loop to go
  for (let round = 0; round < 3; round++) {
    yield* turnEventLoop
    collectGarbage()
  }
  return process.memoryUsage().heapUsed
})

/**
 * Times two effects alternately, who begins changing from round to round, and gives the times of each round. The first
 * rounds are for the compiler and are not counted.
 */
export const alternate = <E, R, E2, R2>(
  options: { readonly rounds: number; readonly warmups: number },
  base: Effect.Effect<unknown, E, R>,
  contender: Effect.Effect<unknown, E2, R2>
): Effect.Effect<ReadonlyArray<{ readonly base: Time; readonly contender: Time }>, E | E2, R | R2> =>
  Effect.gen(function*() {
    const rounds: Array<{ base: Time; contender: Time }> = []
    for (let round = -options.warmups; round < options.rounds; round++) {
      const contenderFirst = round % 2 !== 0
      const early = contenderFirst ? yield* timed(contender) : undefined
      const baseTime = yield* timed(base)
      const contenderTime = early ?? (yield* timed(contender))
      if (round >= 0) rounds.push({ base: baseTime, contender: contenderTime })
    }
    return rounds
  })
