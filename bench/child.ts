/** One process per contender or target, bundled and run by plain Node: no loader and no helper of one in what is timed. */
import { Effect } from "effect"
import type { Job } from "./jobs.js"
import { measureLifecycle } from "./lifecycle.js"
import { targetOf } from "./targets/index.js"

const run = (job: Job): Effect.Effect<unknown> => {
  switch (job._tag) {
    case "Lifecycle":
      return measureLifecycle(job)
    case "Target":
      return targetOf(job.name).measure(job.quick)
    case "Soak":
      return Effect.flatMap(Effect.promise(() => import("./soakRun.js")), ({ soak }) => soak(job))
  }
}

const job: Job = JSON.parse(process.argv[2] ?? "")
Effect.runPromise(run(job)).then(
  (result) => process.send?.(result, () => process.exit(0)),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
