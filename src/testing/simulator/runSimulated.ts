/**
 * Runs any Effect program under a random schedule that follows from a seed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import { SimRandom } from "./SimRandom.js"
import { SimScheduler } from "./SimScheduler.js"
import { VirtualClock } from "./VirtualClock.js"

/**
 * How a simulated program ended. `Hang`: it had not ended, no fiber was ready and none slept. `Endless`: it was still
 * busy after `maxSteps`.
 *
 * @since 0.1.0
 * @category models
 */
export type SimulatedEnd<A, E> =
  | { readonly _tag: "Done"; readonly exit: Exit.Exit<A, E> }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Endless" }

/**
 * A simulated run: how it ended, how many times a fiber was picked, and where its clock stood. `fibersLeft` counts the
 * fibers that were still alive once everybody who was ready or slept had gone on.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulatedRun<A, E> {
  readonly end: SimulatedEnd<A, E>
  readonly steps: number
  readonly millis: number
  readonly fibersLeft: number
}

/**
 * What a simulation depends on. The same options give the same run.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulatedOptions {
  readonly seed: number
  /** The probability that a fiber is preempted before an operation. Default 0.04. */
  readonly preemption?: number | undefined
  /** Sleeps last up to this many milliseconds longer than asked. Default 0. */
  readonly jitterMillis?: number | undefined
  /** After so many steps a run is taken for endless. Default 1 000 000. */
  readonly maxSteps?: number | undefined
}

/**
 * The parts of a simulation, for a program that wants to look at them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Simulation {
  readonly random: SimRandom
  readonly scheduler: SimScheduler
  readonly clock: VirtualClock
}

/**
 * Runs a program to its end under a seeded scheduler and a virtual clock, synchronously. Everything the program forks
 * takes part, and so does a layer that it builds. A program that would wait without end is found, not waited for.
 *
 * @example
 * ```ts
 * import { Deferred, Effect } from "effect"
 * import { runSimulated } from "effect-task-manager/testing"
 *
 * const run = runSimulated(() => Effect.sleep("1 hour").pipe(Effect.as("done")), { seed: 1 })
 * run.end // { _tag: "Done", exit: Exit.succeed("done") }
 *
 * const stuck = runSimulated(() => Effect.flatMap(Deferred.make<void>(), Deferred.await), { seed: 1 })
 * stuck.end // { _tag: "Hang" }
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const runSimulated = <A, E>(
  program: (simulation: Simulation) => Effect.Effect<A, E>,
  options: SimulatedOptions & {
    /** Called whenever no fiber is ready, before the time moves on. */
    readonly onQuiet?: (() => void) | undefined
    /** Called when the program has ended and no fiber is ready any more, before the time moves on. */
    readonly onEnd?: (() => void) | undefined
  }
): SimulatedRun<A, E> => {
  const random = new SimRandom(options.seed)
  const scheduler = new SimScheduler(random, options.preemption)
  const clock = new VirtualClock({
    jitter: options.jitterMillis === undefined || options.jitterMillis === 0
      ? undefined
      : { random, millis: options.jitterMillis }
  })
  const maxSteps = options.maxSteps ?? 1_000_000
  const main = Effect.suspend(() => program({ clock, random, scheduler })).pipe(
    Effect.withClock(clock),
    Effect.withRandom(Random.make(options.seed))
  )
  const fiber = Runtime.runFork(Runtime.defaultRuntime)(main, { scheduler, immediate: false })

  let steps = 0
  /** Runs everybody who is ready. Returns false when there is no end to it. */
  const settle = (): boolean => {
    while (scheduler.runNext()) {
      if (++steps >= maxSteps) return false
    }
    return true
  }
  const end = (): SimulatedEnd<A, E> => {
    for (;;) {
      const isQuiet = settle()
      const exit = fiber.unsafePoll()
      if (exit !== null) return { _tag: "Done", exit }
      if (!isQuiet) return { _tag: "Endless" }
      options.onQuiet?.()
      if (!clock.advance()) return { _tag: "Hang" }
    }
  }
  const ended = end()
  const millis = clock.unsafeCurrentTimeMillis()
  options.onEnd?.()
  while (ended._tag === "Done" && settle() && clock.advance()) {
    // who still sleeps may wake up and end
  }
  return { end: ended, steps, millis, fibersLeft: scheduler.liveFibers().length }
}
