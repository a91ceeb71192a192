/** Jobs that run at the same time, and who waits for them. */
import { Deferred, Effect, type Redacted, type Scope } from "effect"

/** Runs so many jobs to their end. */
export type RunJobs = (count: number) => Effect.Effect<void>

/** How many are in flight. */
export const inFlight = 256

/** Runs `one` for each number below `count`, `inFlight` at a time. */
export const inParallel = <E, R>(count: number, one: (index: number) => Effect.Effect<unknown, E, R>) =>
  Effect.forEach(Array.from({ length: count }, (_, index) => index), one, { concurrency: inFlight, discard: true })

/** Another way to run jobs, on the server at that place. */
export type MakeQueue = (url: Redacted.Redacted) => Effect.Effect<RunJobs, never, Scope.Scope>

/** Who waits for the end of a job, by its number. */
export const makeEnds = () => {
  const ends = new Map<number, Deferred.Deferred<void>>()
  let last = 0
  return {
    /** Gives a job a number, and waits until it has ended. */
    run: (give: (number: number) => Promise<unknown>) =>
      Effect.gen(function*() {
        const number = last++
        const end = yield* Deferred.make<void>()
        ends.set(number, end)
        yield* Effect.promise(() => give(number))
        yield* Deferred.await(end)
      }),
    ended: (number: number) => {
      const end = ends.get(number)
      ends.delete(number)
      if (end !== undefined) Deferred.unsafeDone(end, Effect.void)
    }
  }
}

/** Where jobs are put that need such a place. */
export const queue = "bench"
