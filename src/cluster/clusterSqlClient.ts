/**
 * The client of a database for the engine of a cluster.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { transactionsOf } from "../durable/internal/transactions.js"

/** How long a process may stand still in a transaction of the engine, in milliseconds. */
const idleMillis = 10_000

const made = (sql: SqlClient.SqlClient): SqlClient.SqlClient => {
  const withTransaction = sql.onDialectOrElse({
    pg: (): SqlClient.SqlClient["withTransaction"] => transactionsOf(sql)(idleMillis),
    orElse: () => sql.withTransaction
  })
  return new Proxy(sql, {
    get: (target, name) => {
      // whoever is interrupted while it waits has the connection first, and then gives it back
      if (name === "reserve") return Effect.uninterruptible(target.reserve)
      if (name === "withTransaction") return withTransaction
      if (name === "withoutTransforms") return () => made(target.withoutTransforms())
      return Reflect.get(target, name)
    }
  })
}

/**
 * The same client, with connections that are never lost. `@effect/sql-pg` 0.53 loses a connection of its pool for good each time that a
 * fiber is interrupted which waits to `reserve` one. The engine of a runner interrupts such a wait whenever the database answers late, and without a
 * connection it never has a shard again. Give it to the engine of each runner.
 *
 * A transaction of the engine in which nothing happens for 10 seconds is ended by Postgres: the engine locks a table of its own whenever
 * it starts, and one that was stopped meanwhile would hold up all that start after it.
 *
 * @example
 * ```ts
 * import { NodeClusterSocket } from "@effect/platform-node"
 * import { PgClient } from "@effect/sql-pg"
 * import { Layer, Redacted } from "effect"
 * import { clusterShardingConfig, clusterSqlClient } from "effect-task-manager/cluster"
 *
 * const Engine = NodeClusterSocket.layer({
 *   storage: "sql",
 *   shardingConfig: clusterShardingConfig({ host: "10.0.0.7", port: 34431 })
 * }).pipe(
 *   Layer.provide(clusterSqlClient),
 *   Layer.provide(PgClient.layer({ url: Redacted.make("postgres://…"), maxConnections: 3 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const clusterSqlClient: Layer.Layer<SqlClient.SqlClient, never, SqlClient.SqlClient> = Layer.effect(
  SqlClient.SqlClient,
  Effect.map(SqlClient.SqlClient, made)
)
