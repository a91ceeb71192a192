import { Effect } from "effect"
import { fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { importingFile, importJobsFile } from "../files.js"
import type { ImportCosts, ImportJob } from "../importing.js"
import { spread } from "../stats.js"
import { atMost, type Target, type TargetResult } from "./Target.js"

const importOnce = (job: ImportJob): Effect.Effect<ImportCosts> =>
  Effect.async((resume) => {
    const child = fork(fileURLToPath(new URL(importingFile, import.meta.url)), [JSON.stringify(job)], {
      execArgv: ["--expose-gc"],
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    // the child is this program's own, and answers with its costs
    child.on("message", (costs) => resume(Effect.succeed(costs as ImportCosts)))
    child.on("exit", (code) => resume(Effect.dieMessage(`importing ${job.entry} ended with ${code}`)))
  })

const median = (values: ReadonlyArray<number>): number => spread(values).median

/** What it costs a program to import the library, when it has Effect already. */
export const importing: Target = {
  name: "import",
  measure: (quick) =>
    Effect.gen(function*() {
      const jobs: Record<string, ImportJob> = JSON.parse(
        readFileSync(new URL(importJobsFile, import.meta.url), "utf8")
      )
      const measured = Object.entries(jobs).map(([name, job]) => ({ name, job, costs: new Array<ImportCosts>() }))
      // one after the other, in turns: the first one fills the cache of the file system
      for (let round = -1; round < (quick ? 5 : 15); round++) {
        for (const { costs, job } of measured) {
          const found = yield* importOnce(job)
          if (round >= 0) costs.push(found)
        }
      }
      return measured.flatMap(({ costs, name }): ReadonlyArray<TargetResult> => [
        {
          what: `importing \`${name}\`, beside the modules of Effect that it needs`,
          measured: spread(costs.map(({ own }) => own.time)),
          unit: "ms",
          target: atMost(80),
          note: `Effect's ${median(costs.map(({ packages }) => packages.time)).toFixed(0)} ms`
        },
        {
          what: `heap of \`${name}\` once imported / of the modules of Effect that it needs`,
          measured: spread(costs.map(({ own, packages }) => own.heap / packages.heap)),
          unit: "ratio",
          target: atMost(0.2),
          note: `${(median(costs.map(({ own }) => own.heap)) / 1e6).toFixed(1)} / ${
            (median(costs.map(({ packages }) => packages.heap)) / 1e6).toFixed(1)
          } MB`
        }
      ])
    })
}
