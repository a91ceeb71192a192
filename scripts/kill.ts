/**
 * Kills a durable agent program with SIGKILL, many times: `npm run kill -- --runs 500 [--postgres]`. Fails if anything was lost or
 * done twice.
 */
import { parseArgs } from "node:util"
import { killLoop } from "../test/durable/kill/killLoop.js"
import { startPostgres } from "../test/support/postgres.js"

const { values } = parseArgs({
  options: { runs: { type: "string", default: "30" }, postgres: { type: "boolean", default: false } }
})
const kills = Number(values.runs)
if (!Number.isSafeInteger(kills) || kills < 1) {
  console.error(`--runs takes an integer from 1, not ${values.runs}`)
  process.exit(2)
}
// one in eight while it opens
const moment = () => Math.random() < 1 / 8 ? 0 : 1 + Math.floor(Math.random() ** 2 * 600)
const server = values.postgres ? await startPostgres() : undefined
try {
  const report = await killLoop({ kills, moment, server })
  console.log(JSON.stringify(report, undefined, 2))
  process.exitCode = report.faults.length === 0 ? 0 : 1
} finally {
  await server?.stop()
}
