/** Other ways to run a job that outlives its process, on the same server, each as its guide says: one job is given, and awaited. */
import { DBOS } from "@dbos-inc/dbos-sdk"
import { Effect, Redacted } from "effect"
import { Logger, makeWorkerUtils, run } from "graphile-worker"
import { inParallel, makeEnds, type MakeQueue, queue } from "./parallel.js"

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
