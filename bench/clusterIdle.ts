/**
 * What sessions cost a runner that were used once and rest: `npm run bench:idle -- [sessions]`. A runner on a Postgres server of its own,
 * used by a client that is gone when it is measured. Fails above 1 kB for each session, or where a runner with sessions that rest
 * takes more processor time than one without by more than 2 % of a core.
 */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Logger, LogLevel, Option } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { clusterShardingConfig, clusterSqlClient, TaskManagerCluster } from "effect-task-manager/cluster"
import { freePort } from "../test/cluster/processes/Cluster.js"
import { startPostgres } from "../test/support/postgres.js"
import { usedHeap } from "./measuring.js"
import { processorMillis, serverProcesses } from "./processorTime.js"

const sessions = Number(process.argv[2] ?? "10000")
const groups = 64
const maxIdleTime = "2 seconds"
const idleSeconds = 15

const server = await startPostgres()
const port = await freePort()
const sqlOf = (maxConnections: number) => PgClient.layer({ url: server.url(), maxConnections })

const Runner = TaskManagerCluster.runner({ groups, maxIdleTime }).pipe(
  Layer.provide(ToolExecutor.fromHandlers({ echo: ({ input }) => Effect.succeed(String(input)) })),
  Layer.provide(
    NodeClusterSocket.layer({ storage: "sql", shardingConfig: clusterShardingConfig({ host: "127.0.0.1", port }) })
      .pipe(
        Layer.provide(clusterSqlClient),
        Layer.provide(sqlOf(3))
      )
  ),
  Layer.provide(sqlOf(8))
)
const Client = TaskManagerCluster.layer({ groups, patience: "10 minutes" }).pipe(
  Layer.provide(
    NodeClusterSocket.layer({ clientOnly: true, storage: "sql", shardingConfig: clusterShardingConfig() }).pipe(
      Layer.provide(sqlOf(2))
    )
  ),
  Layer.provide(sqlOf(4))
)

/** Runs one task in each of so many sessions, with a client of its own. */
const use = (round: string, many: number) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    yield* Effect.forEach(Array.from({ length: many }, (_, index) => index), (index) =>
      Effect.gen(function*() {
        const turn = { sessionId: SessionId.make(`${round}-${index}`), turnId: TurnId.make("turn") }
        yield* manager.startTask(TaskLaunchRequest.plain({
          request: { ...turn, callId: ToolCallId.make("call"), toolName: "echo", input: "x", metadata: {} }
        }))
        if (Option.isNone(yield* manager.waitForTurn(turn))) return yield* Effect.dieMessage("no result")
      }), { concurrency: 64, discard: true })
  }).pipe(Effect.provide([Client, ToolExecutor.fromHandlers({})]), Effect.scoped)

const rest = Effect.sleep("25 seconds")

/** Processor time of this process and of the server, in milliseconds for each second in which nothing is asked. */
const idle = Effect.gen(function*() {
  const spent = () => ({
    runner: processorMillis([process.pid]),
    server: processorMillis(serverProcesses(server.processId()))
  })
  const before = spent()
  yield* Effect.sleep(`${idleSeconds} seconds`)
  const after = spent()
  return {
    runner: (after.runner - before.runner) / idleSeconds,
    server: (after.server - before.server) / idleSeconds
  }
})

const measured = Effect.gen(function*() {
  // twice: code is compiled, and what grows with the groups is there
  yield* use("warm", 1_000)
  yield* use("warmer", 1_000)
  yield* rest
  const heapBefore = yield* usedHeap
  const idleBefore = yield* idle
  yield* use("resting", sessions)
  yield* rest
  const heapAfter = yield* usedHeap
  const idleAfter = yield* idle
  return { bytes: (heapAfter - heapBefore) / sessions, heapBefore, heapAfter, idleBefore, idleAfter }
})

const { bytes, heapAfter, heapBefore, idleAfter, idleBefore } = await Effect.runPromise(
  measured.pipe(
    Effect.provide(Layer.provideMerge(Runner, Logger.minimumLogLevel(LogLevel.Error))),
    Effect.scoped
  )
)
await server.stop()
const shown = ({ runner, server }: typeof idleBefore) => `${runner.toFixed(1)} ms/s (server ${server.toFixed(1)} ms/s)`
console.log(
  `heap: ${(heapBefore / 1e6).toFixed(2)} MB, with ${sessions} sessions that rest ${(heapAfter / 1e6).toFixed(2)} MB: ${
    bytes.toFixed(0)
  } bytes for each`
)
console.log(`processor time without them ${shown(idleBefore)}, with them ${shown(idleAfter)}`)
const isGood = bytes <= 1_024 && !(idleAfter.runner - idleBefore.runner > 20)
if (!isGood) console.error("A session that rests costs more than it may")
process.exit(isGood ? 0 : 1)
