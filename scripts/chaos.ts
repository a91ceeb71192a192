/**
 * Faults of real clusters, many times: `npm run chaos -- --runs 100 [--fault kill]`. Two runners and a client on a Postgres server of
 * their own; fails if a result was lost or came twice, or if a tool ran twice that must not.
 */
import { parseArgs } from "node:util"
import { type Fault, faults, type Outcome, runChaos } from "../test/cluster/processes/chaos.js"
import { startPostgres } from "../test/support/postgres.js"

const { values } = parseArgs({
  options: { runs: { type: "string", default: "1" }, fault: { type: "string" } }
})
const isFault = (text: string): text is Fault => faults.some((fault) => fault === text)
const { fault } = values
if (fault !== undefined && !isFault(fault)) throw new TypeError(`--fault takes one of ${faults.join(", ")}`)
const runs = Number(values.runs)
if (!Number.isSafeInteger(runs) || runs < 1) throw new TypeError("--runs takes an integer from 1")

const isGood = ({ doubled, forbidden, results, started, zombiesTold }: Outcome): boolean =>
  results === started && doubled === 0 && forbidden === 0 && zombiesTold === 0

const server = await startPostgres()
let bad = 0
try {
  for (const one of fault === undefined ? faults : [fault]) {
    const takeovers: Array<number> = []
    let results = 0
    for (let run = 1; run <= runs; run++) {
      // many runs are made beside other work: a machine that is slow is not what they are about
      const outcome = await runChaos(server, one, { patience: 300_000 })
      results += outcome.results
      if (outcome.takeover !== undefined) takeovers.push(outcome.takeover)
      if (!isGood(outcome)) bad++
      console.log(`${isGood(outcome) ? "ok " : "BAD"} ${one} ${run}/${runs} ${JSON.stringify(outcome)}`)
    }
    takeovers.sort((left, right) => left - right)
    const median = takeovers[takeovers.length >> 1]
    console.log(
      `${one}: ${runs} runs, ${results} results, takeover median ${median} ms, longest ${takeovers.at(-1)} ms`
    )
  }
} finally {
  await server.stop()
}
if (bad > 0) console.error(`${bad} runs were wrong`)
// the engine may leave a connection of a client open that has lost a runner: github.com/Effect-TS/effect/issues/7515
process.exit(bad > 0 ? 1 : 0)
