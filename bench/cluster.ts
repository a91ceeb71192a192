/**
 * What a task costs on a cluster: `npm run bench:cluster -- [tasks] [--profile folder]`. Two runners and a client as processes of their
 * own on one machine, with a Postgres server of their own; every task is started, run, settled and taken. Beside them, on the same
 * server and with as many in flight, pg-boss. With `--profile`, the runners write profiles of their processor time there; that of the
 * client comes with `node --cpu-prof --import tsx bench/cluster.ts`.
 */
import { Effect, Option } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { parseArgs } from "node:util"
import { Cluster } from "../test/cluster/processes/Cluster.js"
import { startPostgres } from "../test/support/postgres.js"
import { pgBossJobs } from "./durable/queues.js"
import { processorMillis, serverProcesses } from "./processorTime.js"

const { positionals: [count = "5000"], values: { groups, profile } } = parseArgs({
  allowPositionals: true,
  options: { profile: { type: "string" }, groups: { type: "string", default: "64" } }
})
const inFlight = 256
const sessions = 64
const tasks = Number(count)
const rounds = 3

const at = (sorted: ReadonlyArray<number>, share: number): number => sorted[Math.floor(sorted.length * share)] ?? NaN
const sorted = (numbers: ReadonlyArray<number>) => numbers.slice().sort((left, right) => left - right)

const lifecycle = (manager: TaskManager["Type"], name: string, session: number) =>
  Effect.gen(function*() {
    const turn = { sessionId: SessionId.make(`session-${session}`), turnId: TurnId.make(name) }
    yield* manager.startTask(TaskLaunchRequest.plain({
      request: { ...turn, callId: ToolCallId.make(name), toolName: "echo", input: "x", metadata: {} }
    }))
    const update = yield* manager.waitForTurn(turn)
    if (Option.isNone(update)) return yield* Effect.dieMessage(`${name} has no result`)
  })

const server = await startPostgres()
const cluster = await Cluster.make(server.url(), Number(groups), profile)

const measure = Effect.gen(function*() {
  const manager = yield* TaskManager
  const all = (round: string, of: number, concurrency: number) =>
    Effect.forEach(Array.from({ length: of }, (_, index) => index), (index) =>
      Effect.gen(function*() {
        const begun = performance.now()
        yield* lifecycle(manager, `${round}-${index}`, index % sessions)
        return performance.now() - begun
      }), { concurrency })
  const processes = {
    client: () => [process.pid],
    runners: () => cluster.processIds,
    Postgres: () => serverProcesses(server.processId())
  }
  const spent = () => Object.entries(processes).map(([name, ids]) => ({ name, millis: processorMillis(ids()) }))

  const boss = yield* pgBossJobs(server.url())
  yield* boss(inFlight)
  yield* all("warm", 1_000, inFlight)
  const rates: Array<number> = []
  const ofBoss: Array<number> = []
  const costs: Array<ReadonlyArray<number>> = []
  for (let round = 0; round < rounds; round++) {
    const before = spent()
    const begun = performance.now()
    yield* all(`round-${round}`, tasks, inFlight)
    rates.push(tasks / (performance.now() - begun) * 1_000)
    costs.push(spent().map(({ millis }, index) => (millis - (before[index]?.millis ?? 0)) / tasks))
    const bossBegun = performance.now()
    yield* boss(Math.ceil(tasks / 4))
    ofBoss.push(Math.ceil(tasks / 4) / (performance.now() - bossBegun) * 1_000)
  }
  const single = sorted(yield* all("single", 300, 1))
  const [rate, bossRate] = [at(sorted(rates), 0.5), at(sorted(ofBoss), 0.5)]
  console.log(
    `${inFlight} in flight, ${sessions} sessions, ${groups} groups: median ${rate.toFixed(0)} lifecycles/s of ` +
      `${rates.map((one) => one.toFixed(0)).join(", ")}`
  )
  console.log(`pg-boss beside it: median ${bossRate.toFixed(0)} jobs/s; ratio ${(rate / bossRate).toFixed(1)}`)
  const medians = Object.keys(processes).map((name, index) =>
    `${name} ${at(sorted(costs.map((cost) => cost[index] ?? NaN)), 0.5).toFixed(2)}`
  )
  console.log(`processor time of a lifecycle, in ms: ${medians.join(", ")}`)
  console.log(`one at a time: p50 ${at(single, 0.5).toFixed(1)} ms, p99 ${at(single, 0.99).toFixed(1)} ms`)
})

try {
  await cluster.start("first")
  await cluster.start("second")
  await cluster.shared(2)
  await Effect.runPromise(
    measure.pipe(Effect.provide([cluster.client(), ToolExecutor.fromHandlers({})]), Effect.scoped)
  )
  if (profile !== undefined) await cluster.end()
} finally {
  await cluster.remove()
  await server.stop()
}
