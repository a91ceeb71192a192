/** Effects that wait most of their time, each the whole of one test: all are started with the first one that is asked for. */
import { Effect, type Exit } from "effect"

/**
 * Gives, for each of `all`, the effect of its test. `vitest` itself runs few tests of a file at the same time, for those that
 * start processes; of these, `atOnce` run.
 */
export const together = <A, E>(
  all: ReadonlyArray<Effect.Effect<A, E>>,
  atOnce = 24
): (one: Effect.Effect<A, E>) => Effect.Effect<A, E> => {
  const places = Effect.unsafeMakeSemaphore(atOnce)
  const started = new Map<Effect.Effect<A, E>, Promise<Exit.Exit<A, E>>>()
  const startAll = (): void => {
    if (started.size > 0) return
    for (const one of all) started.set(one, Effect.runPromise(places.withPermits(1)(Effect.exit(one))))
  }
  return (one) =>
    Effect.suspend(() => {
      startAll()
      const running = started.get(one)
      return running === undefined ? one : Effect.flatten(Effect.promise(() => running))
    })
}
