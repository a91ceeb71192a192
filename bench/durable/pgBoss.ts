/** pg-boss as its guide says: one job is sent, and awaited. */
import { Effect, Redacted } from "effect"
import PgBoss from "pg-boss"
import { inFlight, inParallel, makeEnds, type MakeQueue, queue } from "./parallel.js"

/** Jobs are sent one by one, fetched in batches of as many as are in flight, and completed together. */
export const pgBossJobs: MakeQueue = (url) =>
  Effect.gen(function*() {
    const ends = makeEnds()
    const boss = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const started = new PgBoss({ connectionString: Redacted.value(url), schema: "pgboss", max: 20 })
        await started.start()
        await started.createQueue(queue)
        return started
      }),
      (started) => Effect.promise(() => started.stop({ graceful: false }))
    )
    // it polls: the shortest pause it takes; who waits for a job would otherwise wait for the poll
    yield* Effect.promise(() =>
      boss.work<{ readonly number: number }>(
        queue,
        { batchSize: inFlight, pollingIntervalSeconds: 0.5 },
        async (jobs) => {
          for (const { data } of jobs) ends.ended(data.number)
        }
      )
    )
    return (count) => inParallel(count, () => ends.run((number) => boss.send(queue, { number })))
  })
