/** What is asked of SQLite, on a Postgres server, and what only a server can do. Only in `npm run test:full`. */
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { JournalError, TaskManagerDurable } from "effect-task-manager/durable"
import { afterAll, assert, beforeAll } from "vitest"
import { type PostgresServer, startPostgres, watchedPgLayer } from "../support/postgres.js"
import { postgresSchemas } from "./agent/world.js"
import { agentSuite } from "./suites/agent.js"
import { durableConformance } from "./suites/conformance.js"
import { historySuite } from "./suites/history.js"
import { journalSuite } from "./suites/journal.js"
import { migrationSuite } from "./suites/migrations.js"
import { outputSuite } from "./suites/output.js"
import { owningSuite } from "./suites/owning.js"
import { restartSuite } from "./suites/restart.js"
import { startingSuite } from "./suites/starting.js"
import { beginsGroup, Database, id, onPostgres, session, settled, turn, waitsForLock } from "./support.js"

let server: PostgresServer
let shared: Context.Context<SqlClient.SqlClient>
const scope = Effect.runSync(Scope.make())
beforeAll(async () => {
  server = await startPostgres()
  shared = await watchedPgLayer(server.url()).pipe(Layer.buildWithScope(scope), Effect.runPromise)
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await server.stop()
})

const databases = onPostgres(() => server)

// one case after the other: what is awaited is that the server has nothing to do
durableConformance("TaskManagerDurable on Postgres", () => Layer.succeedContext(shared), { concurrent: false })

describe("on Postgres", () => {
  restartSuite(databases)
  startingSuite(databases)
  journalSuite(databases)
  owningSuite(databases)
  historySuite(databases)
  outputSuite(databases)
  migrationSuite(databases)
  agentSuite(postgresSchemas(() => server))
})

describe("a Postgres server", () => {
  it.scopedLive("a manager that was stopped within a write holds its rows for a lease, and not for ever", () =>
    Effect.gen(function*() {
      let isStopped = false
      const database = yield* databases.make({ holds: (text) => isStopped && text.startsWith("update etm_tasks") })
      const zombie = yield* database.open({ lease: "1 second" })
      yield* zombie.start("a", "ask")
      isStopped = true
      const closing = yield* Effect.fork(zombie.manager.closeSession(session))
      yield* settled
      const owner = yield* database.open()
      isStopped = false
      assert.strictEqual(owner.journal.epoch, 2)
      yield* owner.start("b", "quick")
      assert.isFalse(Option.exists(yield* Fiber.poll(closing), Exit.isSuccess))
      assert.deepStrictEqual(yield* zombie.told, ["1 Started a", "2 AwaitingApproval a"])
    }))

  it.scopedLive("a migration waits for who takes a journal, and both go on", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const { sql } = database
      yield* (yield* database.open()).close
      // as a version before the last one has left it
      yield* sql`alter table etm_managers drop column last_group`
      yield* sql`delete from etm_migrations where migration_id = 7`
      const [holds, goOn] = [yield* Effect.makeLatch(), yield* Effect.makeLatch()]
      const taking = yield* Effect.fork(sql.withTransaction(Effect.gen(function*() {
        yield* sql`select * from etm_managers for update`
        yield* holds.open
        yield* goOn.await
        return yield* sql`select max(migration_id) from etm_migrations`
      })))
      yield* holds.await
      const migrating = yield* Effect.fork(
        Effect.provideService(TaskManagerDurable.migrate, SqlClient.SqlClient, sql)
      )
      yield* waitsForLock(database)
      yield* goOn.open
      yield* Fiber.join(taking)
      yield* Fiber.join(migrating)
      yield* (yield* database.open()).start("a", "quick")
    }))

  it.scopedLive("a group that only writes rows is one statement", () =>
    Effect.gen(function*() {
      const statements: Array<string> = []
      const database = yield* databases.make({ before: (text) => void statements.push(text) })
      const process = yield* database.open()
      statements.length = 0
      yield* process.start("a", "quick")
      assert.isTrue(Option.isSome(yield* process.manager.waitForTurn(turn)))
      yield* settled
      assert.lengthOf(statements, 3)
      assert.isTrue(statements.every(beginsGroup))
    }))

  it.scopedLive("a consumer that was stopped after its acknowledgement likewise; what it took comes again", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const { sql } = database
      const zombie = yield* database.open({ lease: "1 second" })
      yield* zombie.start("a", "quick")
      yield* Effect.fork(
        zombie.manager.consumeTurnUpdate(
          turn,
          (update) => sql.withTransaction(Effect.zipRight(zombie.journal.acknowledge(update), Effect.never))
        )
      )
      yield* settled
      // its own groups do not wait for the consumer
      yield* zombie.start("b", "quick")
      const owner = yield* database.open()
      const first = yield* owner.manager.waitForTurn(turn)
      assert.isTrue(
        Option.isSome(first) && first.value._tag === "Resolution" &&
          first.value.resolution._tag === "Item" && first.value.resolution.taskId === id("a")
      )
    }))

  it.scoped("who takes over waits for an acknowledgement that is about to be committed", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const { sql } = database
      const first = yield* database.open()
      yield* first.start("a", "quick")
      const commit = yield* Effect.makeLatch()
      yield* Effect.fork(first.manager.consumeTurnUpdate(turn, (update) =>
        sql.withTransaction(Effect.zipRight(first.journal.acknowledge(update), commit.await))))
      yield* settled
      const opening = yield* Effect.fork(database.open())
      yield* waitsForLock(database)
      yield* commit.open
      const second = yield* Fiber.join(opening)
      assert.isTrue(Option.isNone(yield* second.manager.waitForTurn(turn)))
    }))

  it.scopedLive("onOwned: fail fails at once, wait when a lease has gone by; a lease that is free is taken", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const { sql } = database
      const owner = yield* database.open({ lease: "1 day" })
      for (const options of [{ onOwned: "fail" }, { onOwned: "wait", lease: "100 millis" }] as const) {
        const refused = yield* Effect.flip(database.open(options))
        assert(refused instanceof JournalError)
        assert.strictEqual(refused.reason, "Owned")
      }
      yield* owner.start("a", "quick")
      yield* sql`update etm_managers set lease_until = 1`
      const second = yield* database.open({ onOwned: "wait" })
      assert.strictEqual(second.journal.epoch, 2)
    }))

  it.scoped("a server that is away for 5 seconds: writes are made again, nothing is told before, and all of it then", () =>
    Effect.gen(function*() {
      const away = yield* Effect.acquireRelease(
        Effect.promise(startPostgres),
        (started) => Effect.promise(started.stop)
      )
      const database = yield* onPostgres(() => away).make()
      const process = yield* database.open()
      yield* process.start("a", "quick")
      yield* process.told
      yield* Effect.promise(away.crash)
      const starting = yield* Effect.fork(process.start("b", "quick"))
      const reading = yield* Effect.fork(process.manager.handle.history())
      for (let second = 0; second < 5; second++) {
        yield* settled
        yield* TestClock.adjust("1 second")
      }
      yield* settled
      assert.isTrue(Option.isNone(yield* Fiber.poll(starting)))
      assert.isTrue(Option.isNone(yield* Fiber.poll(reading)))
      assert.deepStrictEqual([yield* process.told, process.runs.length], [[], 1])
      yield* Effect.promise(away.restart)
      for (let second = 0; second < 3; second++) {
        yield* TestClock.adjust("1 second")
        yield* settled
      }
      yield* Fiber.join(starting)
      assert.strictEqual((yield* Fiber.join(reading)).tasks.at(-1)?.id, id("a"))
      assert.deepStrictEqual(yield* process.told, ["3 Started b", "4 Completed b"])
    }))

  it.scoped("several processes create the tables at once; a user who may not create any opens them", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const { sql } = database
      const migrate = Effect.provideService(TaskManagerDurable.migrate, SqlClient.SqlClient, sql)
      yield* Effect.all(Array.from({ length: 6 }, () => migrate), { concurrency: "unbounded" })
      const [{ schema } = { schema: "" }] = yield* sql<{ schema: string }>`select current_schema() as schema`
      yield* sql.unsafe(`create role app_${schema} login`)
      yield* sql.unsafe(`grant usage on schema ${schema} to app_${schema}`)
      yield* sql.unsafe(`grant select on all tables in schema ${schema} to app_${schema}`)
      yield* sql.unsafe(
        `grant insert, update, delete on ${schema}.etm_managers, ${schema}.etm_tasks, ${schema}.etm_output to app_${schema}`
      )
      const client = yield* Layer.build(watchedPgLayer(server.url(schema, `app_${schema}`)))
      const process = yield* new Database(Context.get(client, SqlClient.SqlClient)).open()
      yield* process.start("a", "quick")
      assert.strictEqual((yield* process.manager.handle.get(id("a"))).status, "Completed")
    }))
})
