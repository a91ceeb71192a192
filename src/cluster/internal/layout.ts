/**
 * How a cluster was set up: the first process writes it down, and one that was told otherwise is refused. Sessions would be looked for
 * in other groups, and groups on other runners.
 */
import * as EntityId from "@effect/cluster/EntityId"
import { Sharding } from "@effect/cluster/Sharding"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { dialectOf } from "../../durable/internal/dialect.js"
import { setUpMillis } from "../../durable/internal/schema.js"
import { transactionsOf } from "../../durable/internal/transactions.js"
import { ClusterError } from "../ClusterError.js"
import { GroupEntity, protocolVersion } from "./protocol.js"

interface Layout {
  readonly groups: unknown
  readonly shards: unknown
  readonly version: unknown
}

// any number that no other program locks
const lock = 718_281_829

const tables = (sql: SqlClient.SqlClient) =>
  Effect.gen(function*() {
    if (dialectOf(sql) === "pg") yield* sql.unsafe(`select pg_advisory_xact_lock(${lock})`)
    yield* sql.unsafe(`create table if not exists etm_clusters (
      name text primary key,
      groups integer not null,
      shards text not null,
      version integer not null
    )`)
    // a task is found by its id alone
    yield* sql.unsafe("create index if not exists etm_tasks_id on etm_tasks (id)")
  })

/** Whether they are there: on Postgres, to make an index waits for all who write, and they for it, also where it is there. */
const isSetUp = (sql: SqlClient.SqlClient): Effect.Effect<boolean, SqlError> =>
  dialectOf(sql) === "sqlite" ? Effect.succeed(false) : Effect.map(
    sql.unsafe<{ readonly is_there: boolean }>(
      "select to_regclass('etm_clusters') is not null and to_regclass('etm_tasks_id') is not null as is_there"
    ),
    ([found]) => found?.is_there === true
  )

/** In which shards the groups are. With another `shardsPerGroup` they would be looked for on other runners. */
const shardsOf = (sharding: Sharding["Type"], groups: number): string =>
  Array.from({ length: groups }, (_, group) => {
    const entityId = String(group)
    return sharding.getShardId(EntityId.make(entityId), GroupEntity.getShardGroup(EntityId.make(entityId))).id
  }).join(" ")

/** Writes down how the cluster is set up, or fails with `ClusterError` where it is set up in another way. */
export const checkLayout = (
  name: string,
  groups: number
): Effect.Effect<void, ClusterError | SqlError, SqlClient.SqlClient | Sharding> =>
  Effect.gen(function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const shards = shardsOf(yield* Sharding, groups)
    if (!(yield* isSetUp(sql))) {
      yield* Effect.retry(transactionsOf(sql)(setUpMillis)(tables(sql)), { times: 5, schedule: Schedule.spaced(50) })
    }
    const place = (index: number): string => dialectOf(sql) === "pg" ? `$${index}` : "?"
    yield* sql.unsafe(
      `insert into etm_clusters (name, groups, shards, version) values (${[1, 2, 3, 4].map(place).join(", ")})
        on conflict (name) do nothing`,
      [name, groups, shards, protocolVersion]
    )
    const [found] = yield* sql.unsafe<Layout & object>(`select * from etm_clusters where name = ${place(1)}`, [name])
    if (Number(found?.version) !== protocolVersion) {
      return yield* new ClusterError({
        reason: "Version",
        detail: `The cluster "${name}" speaks version ${String(found?.version)}, and this process ${protocolVersion}`
      })
    }
    if (Number(found?.groups) !== groups) {
      return yield* new ClusterError({
        reason: "Layout",
        detail: `The cluster "${name}" has groups: ${String(found?.groups)}, and this process ${groups}`
      })
    }
    if (found?.shards !== shards) {
      return yield* new ClusterError({
        reason: "Layout",
        detail: `The cluster "${name}" was set up with another shardsPerGroup than that of this process`
      })
    }
  })
