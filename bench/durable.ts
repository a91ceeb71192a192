/** A durable manager on SQLite in a temporary file, with its insides, so that what is left in them can be counted. */
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Effect, Layer, type Scope } from "effect"
import type { TaskManager } from "effect-task-manager"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as schema from "../src/durable/internal/schema.js"
import * as SqlJournal from "../src/durable/internal/SqlJournal.js"
import type { Engine } from "../src/runtime/Engine.js"
import { holdReplies } from "../src/runtime/journal/holding.js"
import type { JournalWriter } from "../src/runtime/journal/JournalWriter.js"
import { makeEngine, makeManager } from "../src/runtime/make.js"
import { startConcurrently } from "../src/runtime/starting/startTask.js"
import { Journal } from "../src/services/Journal.js"
import { sqliteLayer } from "../test/support/sqlite.js"

/** How much a private list, map or set of the writer holds. */
const sizeOf = (journal: JournalWriter, field: string): number => {
  const held: unknown = Reflect.get(journal, field)
  if (held instanceof Map || held instanceof Set) return held.size
  if (Array.isArray(held)) return held.length
  throw new Error(`the writer has no ${field}`)
}

const empty = ["entries", "deliveries", "byKey", "nowAcknowledged", "dirty", "removed", "closedSessions", "waiters"]

export const makeDurable = (historyLimit: number): Effect.Effect<
  {
    readonly engine: Engine
    readonly manager: TaskManager["Type"]
    readonly leftInJournal: Effect.Effect<Record<string, number>>
  },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "soak-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    // FULL would outlive a loss of power, which is not what is counted here
    const client = yield* Layer.build(sqliteLayer({ filename: join(folder, "tasks.db"), synchronous: "NORMAL" }))
    const sql = Context.get(client, SqlClient.SqlClient)
    yield* Effect.provide(schema.migrate, client)
    const store = yield* Effect.provide(
      SqlJournal.open({
        name: "soak",
        onOwned: "fail",
        leaseMillis: 10_000,
        keepsTasks: false,
        keepsSettled: false,
        keepsOutput: false,
        codec: undefined,
        unlocked: (self) => self
      }),
      client
    )
    const engine = yield* Effect.provideService(makeEngine, Journal, store)
    const { journal } = engine.state
    if (journal === undefined) return yield* Effect.dieMessage("the engine has no writer")
    journal.restored()
    return {
      engine,
      manager: holdReplies(journal, makeManager(engine, startConcurrently), { waits: () => {}, consumes: () => {} }),
      leftInJournal: Effect.gen(function*() {
        yield* journal.synced
        const [rows] = yield* sql<{ readonly count: number; readonly undelivered: number }>`
          select count(*) as count, sum(result is not null or approval is not null or detached is not null) as undelivered
          from etm_tasks`
        const { groups, rows: written } = journal.counts
        console.log(`${groups.toLocaleString("en")} groups of ${(written / groups).toFixed(1)} rows`)
        return {
          rowsBeyondHistory: Math.max(0, (rows?.count ?? 0) - historyLimit),
          undeliveredRows: rows?.undelivered ?? 0,
          ...Object.fromEntries(empty.map((field) => [`${field} of the writer`, sizeOf(journal, field)])),
          "kept of the writer beyond history": Math.max(0, sizeOf(journal, "kept") - historyLimit)
        }
      }).pipe(Effect.orDie)
    }
  }).pipe(Effect.orDie)
