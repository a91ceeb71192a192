/**
 * A database of each earlier version, as that version has left it, with a row in every state, opens and goes on.
 * `fixtures/version-N.…sql`: the tables of that version, once for each kind of database, and the rows.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, TestClock } from "effect"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { readFileSync } from "node:fs"
import { assert } from "vitest"
import { type Database, type Databases, session, settled, turn } from "../support.js"

const versions = [1, 3, 6]

const statements = (file: string): ReadonlyArray<string> =>
  readFileSync(new URL(`../fixtures/${file}`, import.meta.url), "utf8").split(/;\n/).filter((text) =>
    text.trim() !== ""
  )

/** On databases of one kind. */
export const migrationSuite = (databases: Databases): void => {
  const load = ({ sql }: Database, version: number) =>
    Effect.forEach(
      [...statements(`version-${version}.${databases.dialect}.sql`), ...statements(`version-${version}.rows.sql`)],
      (text) => sql.unsafe(text),
      { discard: true }
    )

  /** Every table, column and index. */
  const schemaOf = ({ sql }: Database) =>
    databases.dialect === "sqlite"
      ? sql.unsafe(`
        select m.name, c.name as of from sqlite_master m join pragma_table_xinfo(m.name) c where m.type = 'table'
        union all select name, sql from sqlite_master where type = 'index' order by 1, 2`)
      : sql.unsafe(`
        select table_name as name, column_name || ' ' || data_type || ' ' || is_nullable as of
          from information_schema.columns where table_schema = current_schema()
        union all select indexname, replace(indexdef, current_schema() || '.', '') from pg_indexes
          where schemaname = current_schema() order by 1, 2`)

  describe.each(versions)("a database of version %i", (version) => {
    it.scoped("opens with all that is in it, and every task is where the table of restarts says", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        yield* load(database, version)
        yield* TestClock.setTime(2_000_000_000_000)
        const process = yield* database.open({ name: "fixture" })
        const { handle, ...manager } = process.manager
        const found = new Map(
          (yield* handle.list()).map((task) => [task.id as string, `${task.status} ${task.launch}`])
        )
        const page = yield* handle.history()
        for (const task of page.tasks) found.set(`history: ${task.id}`, task.status)
        assert.deepStrictEqual(Object.fromEntries([...found].filter(([name]) => !name.startsWith("history"))), {
          "asked": "Suspended 1",
          "asks": "Suspended 1",
          "another one of the turn": "Completed 1",
          "approved": "Failed 2",
          "cancelled": "Cancelled 1",
          "cancelling": "Cancelled 1",
          "detached": "Running 2",
          "detaches": "Running 2",
          "of a closed session, live": "Cancelled 1",
          "of a closed session, settled": "Completed 1",
          "queued": "Completed 1",
          "rejected": "Failed 1",
          "repeats": "Running 2",
          "running": "Failed 1",
          "taken": "Completed 1",
          "timed out": "Failed 1",
          "undelivered of the host": "Completed 1",
          "undelivered of the loop": "Completed 1",
          "without an end": "Failed 1"
        })
        // memory had forgotten it, and its row is there
        assert.strictEqual(found.get("history: forgotten"), "Completed")
        assert.strictEqual(page.tasks.length, 15)
        assert.deepStrictEqual(
          (yield* manager.takePendingLoopUpdates(session)).resolutions.map((one) =>
            one._tag === "Item" ? one.taskId : `asks: ${one.approval.taskId}`
          ),
          ["forgotten", "undelivered of the loop", "asks: asked"]
        )
        assert.deepStrictEqual((yield* handle.drainReadyItems).map(({ taskId }) => taskId), [
          "cancelled",
          "undelivered of the host"
        ])
        const ofTurn: Array<string> = []
        for (;;) {
          const waiting = yield* Effect.fork(manager.waitForTurn(turn, { timeout: "1 milli" }).pipe(Effect.option))
          yield* settled
          yield* TestClock.adjust("1 milli")
          const update = Option.flatten(yield* Fiber.join(waiting))
          if (Option.isNone(update)) break
          const { value } = update
          ofTurn.push(
            value._tag === "Detached"
              ? `detached: ${value.snapshot.id}`
              : value.resolution._tag === "Item"
              ? value.resolution.taskId
              : `asks: ${value.resolution.approval.taskId}`
          )
        }
        assert.deepStrictEqual(ofTurn, [
          "another one of the turn",
          "rejected",
          "asks: asks",
          "detached: detached",
          "approved",
          "running",
          "cancelling",
          "timed out",
          "without an end",
          "detached: detaches",
          "queued"
        ])
        assert.isTrue((yield* handle.listSuspended).every(({ approval }) => approval.asking !== undefined))
        // numbers go on
        const events = yield* process.told
        assert.isTrue(events.every((event) => Number(event.split(" ")[0]) > 36))
      }))

    it.scoped("has the tables of a new one then", () =>
      Effect.gen(function*() {
        const [old, fresh] = [yield* databases.make(), yield* databases.make()]
        yield* load(old, version)
        for (const { sql } of [old, old, fresh]) {
          yield* Effect.provideService(TaskManagerDurable.migrate, SqlClient.SqlClient, sql)
        }
        assert.deepStrictEqual(yield* schemaOf(old), yield* schemaOf(fresh))
      }))
  })
}
