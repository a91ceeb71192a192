/** What a client asks the database: no table is read through, however many rows there are. */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Effect, type Layer } from "effect"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { assert, describe, it } from "vitest"
import { namedText, takeText } from "../../src/cluster/internal/acknowledging.js"
import { byIdQuery, groupOfIdQuery, liveQuery, openQuery } from "../../src/cluster/internal/journals.js"
import { checkLayout } from "../../src/cluster/internal/layout.js"
import { dialectOf } from "../../src/durable/internal/dialect.js"
import { tablesOf } from "../../src/durable/internal/tables.js"
import { startPostgres } from "../support/postgres.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

const numbers = {
  sqlite: `with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < 100000)
    select`,
  pg: "with numbers(number) as (select generate_series(1, 100000)) select"
}

const plans = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const dialect = dialectOf(sql)
  yield* TaskManagerDurable.migrate
  yield* checkLayout("cluster", 4)
  yield* sql.unsafe(
    `insert into etm_tasks (manager, number, id, session_id, turn_id, status, settled, result, request, doc, version)
      ${numbers[dialect]} 'cluster/' || (number % 4), number, 'task ' || number, 'session ' || (number % 1000), 'turn',
        'Completed', number, null, '{}', '{}', 1 from numbers`
  )
  // SQLite is analyzed by nobody
  if (dialect === "pg") yield* sql.unsafe("analyze")
  const tables = tablesOf(sql, "cluster/1", undefined)
  const planOf = (text: string, params: ReadonlyArray<string | number>) =>
    Effect.map(
      sql.unsafe<Readonly<Record<string, unknown>>>(
        `${dialect === "pg" ? "explain" : "explain query plan"} ${text}`,
        params
      ),
      (lines) => lines.map((line) => String(Object.values(line).at(-1))).join("\n")
    )
  return {
    byId: yield* planOf(byIdQuery(tables), ["task 7", "cluster/"]),
    groupOfId: yield* planOf(groupOfIdQuery(tables), ["task 7", "cluster/"]),
    open: yield* planOf(openQuery(tables, false), ["cluster/1"]),
    openOfSession: yield* planOf(openQuery(tables, true), ["cluster/1", "session 1"]),
    live: yield* planOf(liveQuery(tables), ["cluster/1"]),
    take: yield* planOf(takeText(tables), ["[]", "cluster/1"]),
    named: yield* planOf(namedText(tables), ["[]", "cluster/1"])
  }
})

const check = async <E>(sql: Layer.Layer<SqlClient.SqlClient, E>): Promise<void> => {
  const found = await Effect.runPromise(plans.pipe(Effect.provide([memoryCluster(), sql]), Effect.scoped))
  for (const [name, plan] of Object.entries(found)) {
    assert.notMatch(plan, /SCAN etm_tasks|Seq Scan on etm_tasks/, `${name}: ${plan}`)
  }
  for (const plan of [found.byId, found.groupOfId, found.take, found.named]) assert.include(plan, "etm_tasks_id")
  for (const plan of [found.open, found.openOfSession, found.live]) assert.include(plan, "etm_tasks_open")
}

describe("the plans of a client's queries: every one begins in an index", () => {
  it("on SQLite", () => check(sqliteLayer()))

  it("on Postgres", async () => {
    const server = await startPostgres()
    try {
      await check(PgClient.layer({ url: server.url() }))
    } finally {
      await server.stop()
    }
  }, 120_000)
})
