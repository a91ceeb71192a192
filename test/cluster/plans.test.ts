/** What a client asks the database: no table is read through, however many rows there are. */
import { SqlClient } from "@effect/sql"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { assert, describe } from "vitest"
import { byIdQuery, groupOfIdQuery, liveQuery, openQuery } from "../../src/cluster/internal/journals.js"
import { checkLayout } from "../../src/cluster/internal/layout.js"
import { tablesOf } from "../../src/durable/internal/tables.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

describe("the plans of a client's queries", () => {
  it.live("on SQLite: every one begins in an index", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* TaskManagerDurable.migrate
      yield* checkLayout("cluster", 4)
      yield* sql.unsafe(
        `insert into etm_tasks (manager, number, id, session_id, turn_id, status, settled, result, request, doc, version)
        with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < 100000)
        select 'cluster/' || (number % 4), number, 'task ' || number, 'session ' || (number % 1000), 'turn', 'Completed', number,
          null, '{}', '{}', 1 from numbers`
      )
      yield* sql.unsafe("analyze")
      const tables = tablesOf(sql, "cluster/1", undefined)
      const planOf = (text: string, params: ReadonlyArray<string | number>) =>
        Effect.map(
          sql.unsafe<Readonly<Record<string, unknown>>>(`explain query plan ${text}`, params),
          (lines) => lines.map((line) => String(Object.values(line).at(-1))).join("\n")
        )
      const plans = {
        byId: yield* planOf(byIdQuery(tables), ["task 7"]),
        groupOfId: yield* planOf(groupOfIdQuery(tables), ["task 7"]),
        open: yield* planOf(openQuery(tables, false), ["cluster/1"]),
        openOfSession: yield* planOf(openQuery(tables, true), ["cluster/1", "session 1"]),
        live: yield* planOf(liveQuery(tables), ["cluster/1"])
      }
      for (const [name, plan] of Object.entries(plans)) assert.notMatch(plan, /SCAN etm_tasks/, `${name}: ${plan}`)
      assert.include(plans.byId, "etm_tasks_id")
      assert.include(plans.groupOfId, "etm_tasks_id")
      for (const plan of [plans.open, plans.openOfSession, plans.live]) assert.include(plan, "etm_tasks_open")
    }).pipe(Effect.provide([memoryCluster(), sqliteLayer()]), Effect.scoped, Effect.orDie))
})
