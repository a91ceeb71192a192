/**
 * What a task costs on a cluster: `npm run bench:cluster`. Two runners and a client as processes of their own on one machine, with a
 * Postgres server of their own; every task is started, run, settled and taken.
 */
import { Effect, Option } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { Cluster } from "../test/cluster/processes/Cluster.js"
import { startPostgres } from "../test/support/postgres.js"

const inFlight = 256
const sessions = 64
const tasks = Number(process.argv[2] ?? 5_000)
const rounds = 3

const at = (sorted: ReadonlyArray<number>, share: number): number => sorted[Math.floor(sorted.length * share)] ?? NaN

const lifecycle = (manager: TaskManager["Type"], name: string, session: number) =>
  Effect.gen(function*() {
    const turn = { sessionId: SessionId.make(`session-${session}`), turnId: TurnId.make(name) }
    yield* manager.startTask(TaskLaunchRequest.plain({
      request: { ...turn, callId: ToolCallId.make(name), toolName: "echo", input: "x", metadata: {} }
    }))
    const update = yield* manager.waitForTurn(turn)
    if (Option.isNone(update)) return yield* Effect.dieMessage(`${name} has no result`)
  })

const measure = Effect.gen(function*() {
  const manager = yield* TaskManager
  const all = (round: string, count: number, concurrency: number) =>
    Effect.forEach(Array.from({ length: count }, (_, index) => index), (index) =>
      Effect.gen(function*() {
        const begun = performance.now()
        yield* lifecycle(manager, `${round}-${index}`, index % sessions)
        return performance.now() - begun
      }), { concurrency })
  yield* all("warm", 1_000, inFlight)
  const rates: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const begun = performance.now()
    yield* all(`round-${round}`, tasks, inFlight)
    rates.push(tasks / (performance.now() - begun) * 1_000)
  }
  const single = (yield* all("single", 300, 1)).slice().sort((left, right) => left - right)
  rates.sort((left, right) => left - right)
  console.log(
    `${inFlight} in flight, ${sessions} sessions: median ${at(rates, 0.5).toFixed(0)} lifecycles/s of ` +
      `${rates.map((rate) => rate.toFixed(0)).join(", ")}`
  )
  console.log(`one at a time: p50 ${at(single, 0.5).toFixed(1)} ms, p99 ${at(single, 0.99).toFixed(1)} ms`)
})

const server = await startPostgres()
const cluster = await Cluster.make(server.url())
try {
  await cluster.start("first")
  await cluster.start("second")
  await cluster.shared(2)
  await Effect.runPromise(
    measure.pipe(Effect.provide([cluster.client(), ToolExecutor.fromHandlers({})]), Effect.scoped)
  )
} finally {
  await cluster.remove()
  await server.stop()
}
