/**
 * What sessions cost a runner that were used once and rest: `npm run bench:idle -- [sessions]`. Two runners, each of a cluster of its own
 * on one Postgres server, both used by clients that are gone when they are measured; then one of them has so many sessions that rest, and
 * the other one none of them. Both are measured at the same time, so what the machine does besides is in both, and for so long that a
 * collection of garbage by itself says nothing. Fails above 1 kB for each session, or where the runner with sessions takes more processor
 * time than the one without by more than 1 % of a core.
 */
import { Redacted } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { inSchema } from "../test/cluster/processes/chaos.js"
import { freePort } from "../test/cluster/processes/Cluster.js"
import { type Bundle, bundle } from "../test/support/bundle.js"
import { startPostgres } from "../test/support/postgres.js"
import type { IdleClientJob } from "./cluster/idleClient.js"
import type { IdleRunnerJob } from "./cluster/idleRunner.js"
import { processorMillis } from "./processorTime.js"

const sessions = Number(process.argv[2] ?? "10000")
const groups = 64
const idleSeconds = 120
/** Until every group has left memory. */
const restSeconds = 30

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, 1_000 * seconds))

interface MeasuredRunner {
  readonly url: string
  readonly process: ChildProcess
}

const server = await startPostgres()
// plain Node: a loader would be measured too
const runnerProgram = await bundle("bench/cluster/idleRunner.ts")
const clientProgram = await bundle("bench/cluster/idleClient.ts")

const run = (program: Bundle, job: IdleRunnerJob | IdleClientJob): ChildProcess =>
  fork(program.path, [JSON.stringify(job)], { execArgv: ["--expose-gc"] })

/** What a runner says next. */
const said = (runner: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    runner.once("message", resolve)
    runner.once("exit", (code) => reject(new Error(`A runner has ended with ${code}`)))
  })

const start = async (): Promise<MeasuredRunner> => {
  const url = Redacted.value(await inSchema(server))
  const process = run(runnerProgram, { url, port: await freePort(), groups })
  await said(process)
  return { url, process }
}

const use = async ({ url }: MeasuredRunner, round: string, many: number): Promise<void> => {
  const client = run(clientProgram, { url, groups, round, sessions: many })
  const code = await new Promise((resolve) => client.once("exit", resolve))
  if (code !== 0) throw new Error(`A client has ended with ${String(code)}`)
}

const heapOf = async ({ process }: MeasuredRunner): Promise<number> => {
  process.send("heap")
  return Number(await said(process))
}

const spent = ({ process }: MeasuredRunner): number => processorMillis([process.pid ?? NaN])

const without = await start()
const resting = await start()
const both = [without, resting]
// twice: code is compiled, and what grows with the groups is there
for (const round of ["warm", "warmer"]) for (const runner of both) await use(runner, round, 1_000)
await sleep(restSeconds)
const heapBefore = await heapOf(resting)
await use(resting, "resting", sessions)
await sleep(restSeconds)
const heapAfter = await heapOf(resting)
// what is collected in one is collected in the other
await heapOf(without)
await sleep(restSeconds)
const before = both.map(spent)
await sleep(idleSeconds)
const [idle = NaN, withSessions = NaN] = both.map((runner, index) =>
  (spent(runner) - (before[index] ?? NaN)) / idleSeconds
)

for (const { process } of both) process.disconnect()
await runnerProgram.remove()
await clientProgram.remove()
await server.stop()

const bytes = (heapAfter - heapBefore) / sessions
console.log(
  `heap: ${(heapBefore / 1e6).toFixed(2)} MB, with ${sessions} sessions that rest ${(heapAfter / 1e6).toFixed(2)} MB: ${
    bytes.toFixed(0)
  } bytes for each`
)
console.log(`processor time without them ${idle.toFixed(1)} ms/s, with them ${withSessions.toFixed(1)} ms/s`)
const isGood = bytes <= 1_024 && !(withSessions - idle > 10)
if (!isGood) console.error("A session that rests costs more than it may")
process.exit(isGood ? 0 : 1)
