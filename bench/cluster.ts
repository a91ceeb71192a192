/**
 * What a task costs on a cluster: `npm run bench:cluster -- [--tasks 2000] [--rounds 15] [--profile folder]`. Two runners and a client as
 * processes of their own on one machine, run by plain Node, with a Postgres server of their own. With `--profile`, each of the three
 * writes a profile of its processor time there. With `--patient`, a runner that does not answer is taken for dead after a minute: for a
 * machine that has much else to do, where what counts is the processor time.
 */
import { Redacted } from "effect"
import { spawn } from "node:child_process"
import { parseArgs } from "node:util"
import { Cluster } from "../test/cluster/processes/Cluster.js"
import { bundle } from "../test/support/bundle.js"
import { startPostgres } from "../test/support/postgres.js"
import type { ClientJob } from "./cluster/client.js"

const { values: { groups, patient, profile, rounds, tasks, warmups } } = parseArgs({
  options: {
    profile: { type: "string" },
    patient: { type: "boolean", default: false },
    groups: { type: "string", default: "64" },
    warmups: { type: "string", default: "20000" },
    rounds: { type: "string", default: "15" },
    tasks: { type: "string", default: "2000" }
  }
})

const server = await startPostgres()
const cluster = await Cluster.make(server.url(), Number(groups), { profiles: profile, isPatient: patient })
// plain Node: a loader would be measured too
const client = await bundle("bench/cluster/client.ts")

try {
  await cluster.start("first")
  await cluster.start("second")
  await cluster.shared(2)
  const job: ClientJob = {
    url: Redacted.value(server.url()),
    groups: Number(groups),
    tasks: Number(tasks),
    rounds: Number(rounds),
    warmups: Number(warmups),
    runners: cluster.processIds,
    server: server.processId()
  }
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
  const child = spawn(process.execPath, [...profiling, client.path, JSON.stringify(job)], { stdio: "inherit" })
  process.exitCode = await new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? 1)))
  if (profile !== undefined) await cluster.end()
} finally {
  await client.remove()
  await cluster.remove()
  await server.stop()
}
