/** A runner of the benchmark of sessions that rest. It says what its heap holds when it is asked. */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Logger, LogLevel, Redacted } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { clusterShardingConfig, clusterSqlClient, TaskManagerCluster } from "effect-task-manager/cluster"
import { usedHeap } from "../measuring.js"

export interface IdleRunnerJob {
  readonly url: string
  readonly port: number
  readonly groups: number
}

// given by the program that starts it
const job = JSON.parse(process.argv[2] ?? "") as IdleRunnerJob
const sqlOf = (maxConnections: number) => PgClient.layer({ url: Redacted.make(job.url), maxConnections })

const Runner = TaskManagerCluster.runner({ groups: job.groups, maxIdleTime: "2 seconds" }).pipe(
  Layer.provide(ToolExecutor.fromHandlers({ echo: ({ input }) => Effect.succeed(String(input)) })),
  Layer.provide(
    NodeClusterSocket.layer({
      storage: "sql",
      shardingConfig: clusterShardingConfig({ host: "127.0.0.1", port: job.port })
    }).pipe(Layer.provide(clusterSqlClient), Layer.provide(sqlOf(3)))
  ),
  Layer.provide(sqlOf(8))
)

process.on("message", () => {
  void Effect.runPromise(usedHeap).then((heap) => process.send?.(heap))
})
process.once("disconnect", () => process.exit(0))

await Effect.runPromise(
  Layer.build(Runner).pipe(
    Effect.zipRight(Effect.sync(() => process.send?.("ready"))),
    Effect.zipRight(Effect.never),
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Error)
  )
)
