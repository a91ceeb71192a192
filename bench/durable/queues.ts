/** Other ways to run a job that outlives its process, on the same server, each as its guide says: one job is given, and awaited. */
import { DBOS } from "@dbos-inc/dbos-sdk"
import { Deferred, Effect, Redacted, type Scope } from "effect"
import { Logger, makeWorkerUtils, run } from "graphile-worker"
import PgBoss from "pg-boss"
import { inFlight, inParallel, type RunJobs } from "./lifecycles.js"

type MakeQueue = (url: Redacted.Redacted) => Effect.Effect<RunJobs, never, Scope.Scope>

/** Who waits for the end of a job, by its number. */
const makeEnds = () => {
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

const queue = "bench"

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

const silent = new Logger(() => () => {})

/** Jobs are added one by one, and run by as many workers as its guide has connections for. */
export const graphileJobs: MakeQueue = (url) =>
  Effect.gen(function*() {
    const ends = makeEnds()
    const connectionString = Redacted.value(url)
    yield* Effect.acquireRelease(
      Effect.promise(() =>
        run({
          connectionString,
          schema: "graphile",
          concurrency: 20,
          maxPoolSize: 20,
          noHandleSignals: true,
          // a line per job otherwise
          logger: silent,
          taskList: {
            // its own type of a payload is unknown
            [queue]: (payload) => ends.ended((payload as { readonly number: number }).number)
          }
        })
      ),
      (runner) => Effect.promise(() => runner.stop())
    )
    const utils = yield* Effect.acquireRelease(
      Effect.promise(() => makeWorkerUtils({ connectionString, schema: "graphile", logger: silent })),
      (made) => Effect.promise(async () => made.release())
    )
    return (count) => inParallel(count, () => ends.run((number) => utils.addJob(queue, { number })))
  })

/** A workflow of one step, whose result is awaited. */
export const dbosJobs: MakeQueue = (url) =>
  Effect.gen(function*() {
    const workflow = DBOS.registerWorkflow(
      (number: number) => DBOS.runStep(async () => number, { name: "work" }),
      { name: "bench" }
    )
    yield* Effect.acquireRelease(
      Effect.promise(async () => {
        DBOS.setConfig({
          name: "bench",
          // it takes no URL without a host, and the socket's folder in the query counts all the same
          systemDatabaseUrl: Redacted.value(url).replace("@/", "@localhost/"),
          systemDatabasePoolSize: 20,
          logLevel: "error",
          runAdminServer: false
        })
        await DBOS.launch()
      }),
      () => Effect.promise(() => DBOS.shutdown())
    )
    return (count) => inParallel(count, (index) => Effect.promise(() => workflow(index)))
  })
