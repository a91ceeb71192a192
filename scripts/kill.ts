/** Kills a durable agent program with SIGKILL, many times: `npm run kill -- --runs 500`. Fails if anything was lost or done twice. */
import { parseArgs } from "node:util"
import { killLoop } from "../test/durable/kill/killLoop.js"

const { values } = parseArgs({ options: { runs: { type: "string", default: "30" } } })
const kills = Number(values.runs)
if (!Number.isSafeInteger(kills) || kills < 1) {
  console.error(`--runs takes an integer from 1, not ${values.runs}`)
  process.exit(2)
}
const report = await killLoop({ kills, random: Math.random, longest: 900 })
console.log(JSON.stringify(report, undefined, 2))
process.exit(report.faults.length === 0 ? 0 : 1)
