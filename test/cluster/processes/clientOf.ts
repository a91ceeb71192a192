/** A client of real runners, in whichever process builds it. */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Layer, Logger, LogLevel, type Redacted } from "effect"
import { type ClusterClientOptions, clusterShardingConfig, TaskManagerCluster } from "effect-task-manager/cluster"

export const clientOf = (url: Redacted.Redacted, options: ClusterClientOptions) =>
  TaskManagerCluster.layer(options).pipe(
    Layer.provide(NodeClusterSocket.layer({
      clientOnly: true,
      storage: "sql",
      shardingConfig: clusterShardingConfig()
    })),
    Layer.provide(PgClient.layer({ url, maxConnections: 6 })),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Warning))
  )
