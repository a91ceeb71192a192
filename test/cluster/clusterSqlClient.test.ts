/** What the engine of a cluster gets from a pool of Postgres. Only in `npm run test:full`. */
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import { clusterSqlClient } from "effect-task-manager/cluster"
import { afterAll, assert, beforeAll } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { sqliteLayer } from "../support/sqlite.js"

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** Interrupts whoever waits for the only connection of a pool, and says whether the pool still has it after that. */
const isLeft = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const held = yield* Deferred.make<void>()
  const letGo = yield* Deferred.make<void>()
  const holder = yield* Effect.fork(Effect.scoped(
    sql.reserve.pipe(Effect.zipRight(Deferred.succeed(held, undefined)), Effect.zipRight(Deferred.await(letGo)))
  ))
  yield* Deferred.await(held)
  const waiter = yield* Effect.fork(Effect.scoped(Effect.zipRight(sql.reserve, Effect.never)))
  yield* Effect.yieldNow()
  const interrupting = yield* Effect.fork(Fiber.interrupt(waiter))
  yield* Effect.yieldNow()
  yield* Deferred.succeed(letGo, undefined)
  yield* Fiber.join(holder)
  yield* Fiber.join(interrupting)
  return Option.isSome(yield* Effect.timeoutOption(Effect.scoped(sql.reserve), "3 seconds"))
})

const poolOf = (url: ReturnType<PostgresServer["url"]>, more: object = {}) =>
  PgClient.layer({ url, maxConnections: 1, ...more })

describe("the client for the engine of a cluster", () => {
  it.live("has its connection again after whoever waited for it was interrupted", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* Effect.provide(isLeft, Layer.provide(clusterSqlClient, poolOf(server.url()))))
    }))

  it.live("also where names are transformed, and is the client that it was otherwise", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`select 1 as one_two`, [{ oneTwo: 1 }])
      assert.deepStrictEqual(yield* sql.withTransaction(sql`select ${2}::int as two`), [{ two: 2 }])
      assert.isTrue(yield* isLeft)
    }).pipe(
      Effect.provide(Layer.suspend(() =>
        Layer.provide(
          clusterSqlClient,
          poolOf(server.url(), {
            transformResultNames: (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
          })
        )
      ))
    ))

  it.live("has its transactions ended when nothing happens in them, and nothing else", () =>
    Effect.gen(function*() {
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const limit = sql.unsafe("show idle_in_transaction_session_timeout")
      assert.deepStrictEqual([yield* limit, yield* sql.withTransaction(limit), yield* limit], [
        [{ idle_in_transaction_session_timeout: "0" }],
        [{ idle_in_transaction_session_timeout: "10s" }],
        [{ idle_in_transaction_session_timeout: "0" }]
      ])
    }).pipe(Effect.provide(Layer.suspend(() => Layer.provide(clusterSqlClient, poolOf(server.url()))))))

  it.live("is that of SQLite otherwise", () =>
    Effect.gen(function*() {
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const [row] = yield* sql.withTransaction(sql`select 1 as one`)
      assert.strictEqual(row?.["one"], 1)
    }).pipe(Effect.provide(Layer.provide(clusterSqlClient, sqliteLayer()))))

  // where it fails, @effect/sql-pg has mended its leak, and clusterSqlClient can go
  it.live("is needed: the plain client loses it", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* Effect.provide(isLeft, poolOf(server.url())))
    }))
})
