/** What is stored, what cannot be, and taking in a transaction of one's own. */
import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import { SessionId, TaskLaunchRequest, ToolCallId, ToolExecutor } from "effect-task-manager"
import { JournalError } from "effect-task-manager/durable"
import { randomBytes } from "node:crypto"
import { assert } from "vitest"
import { codecOf, type Database, type Databases, id, type Process, settled, turn } from "../support.js"

const tools: ToolExecutor["Type"] = { specs: Effect.succeed([]), execute: () => Effect.never }

const dies = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? String(Option.getOrUndefined(Cause.dieOption(exit.cause))) : "success"

/** On databases of one kind. */
export const journalSuite = (databases: Databases): void => {
  describe("taking in a transaction of one's own", () => {
    const take = (database: Database, process: Process, then: Effect.Effect<unknown, unknown> = Effect.void) =>
      Effect.exit(process.manager.consumeTurnUpdate(turn, (update) =>
        Effect.zipRight(
          database.sql.withTransaction(
            Effect.zipRight(
              database.sql`insert into got values (${process.journal.epoch})`,
              process.journal.acknowledge(update)
            )
          ),
          then
        )))
    const got = ({ sql }: Database) =>
      Effect.map(sql<{ readonly by: number }>`select by from got order by by`, (rows) => rows.map((row) => row.by))
    const make = Effect.gen(function*() {
      const database = yield* databases.make()
      yield* database.sql`create table got (by integer)`
      const process = yield* database.open()
      yield* process.start("a", "quick")
      return { database, process }
    })

    it.scoped("what was committed does not come again, though the process ends before the consumer does", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        yield* Effect.fork(take(database, process, Effect.never))
        yield* settled
        const second = yield* database.open()
        assert.isTrue(Option.isNone(yield* second.manager.waitForTurn(turn)))
        assert.deepStrictEqual(yield* got(database), [1])
      }))

    it.scoped("what was rolled back comes again, also where the row was written in between", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        const { sql } = database
        const exit = yield* Effect.exit(
          process.manager.consumeTurnUpdate(turn, (update) =>
            Effect.gen(function*() {
              yield* Effect.ignore(
                sql.withTransaction(Effect.zipRight(process.journal.acknowledge(update), Effect.fail("no")))
              )
              // forgotten: its row is written again while a consumer has its result
              yield* process.start("b", "quick", { session: "other" })
              return yield* Effect.never
            })).pipe(Effect.timeout("1 milli"), Effect.fork, Effect.tap(() => settled), Effect.flatMap(Fiber.interrupt))
        )
        assert.isTrue(Exit.isSuccess(exit))
        const second = yield* database.open()
        yield* take(database, second)
        assert.deepStrictEqual(yield* got(database), [2])
      }))

    it.scoped("a consumer that fails after its commit is given it again in this process, and not after a restart", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        yield* take(database, process, Effect.fail("after the commit"))
        yield* settled
        const again = yield* process.manager.waitForTurn(turn)
        assert.isTrue(Option.isSome(again))
        const second = yield* database.open()
        assert.isTrue(Option.isNone(yield* second.manager.waitForTurn(turn)))
      }))

    it.scoped("a method that waits for a write is refused inside of it: it would wait for itself", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        const { sql } = database
        const start = process.start("b", "quick")
        const acknowledged = yield* Effect.exit(
          process.manager.consumeTurnUpdate(
            turn,
            (update) => sql.withTransaction(Effect.zipRight(process.journal.acknowledge(update), start))
          )
        )
        assert.include(dies(acknowledged), "inside withTransaction")
        // Postgres has other connections
        const alone = yield* Effect.exit(sql.withTransaction(start))
        if (databases.dialect === "pg") assert.strictEqual(dies(alone), "success")
        else assert.include(dies(alone), "inside withTransaction")
        yield* process.start("c", "quick")
      }))
  })

  describe("what is stored", () => {
    it.scoped("ids that no database stores are refused by name, and nothing else is", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* database.open()
        const bad = ["a\u0000b", "\ud800"]
        for (const text of bad) {
          const call = { ...turn, callId: ToolCallId.make(text), toolName: "quick", input: text, metadata: {} }
          for (
            const [field, launch] of [
              ["request.sessionId", { request: { ...call, sessionId: SessionId.make(text) } }],
              ["taskId", { request: call, taskId: id(text) }]
            ] as const
          ) {
            const exit = yield* Effect.exit(
              Effect.provideService(process.manager.startTask(TaskLaunchRequest.plain(launch)), ToolExecutor, tools)
            )
            assert.include(dies(exit), `${field} has a NUL or half of a character`)
          }
          yield* process.start(`x${bad.indexOf(text)}`, "parkSafely", { input: { [text]: text, __proto__: null } })
        }
        // a session that nobody has started anything in may be closed
        yield* process.manager.closeSession(SessionId.make("a\u0000b"))
        const second = yield* database.open()
        assert.strictEqual(second.runs.length, 2)
      }))

    it.scoped("a damaged row, and one of a later version, are errors that name the task and show nothing of it", () =>
      Effect.gen(function*() {
        const damages = {
          "doc = 'secret{'": "Damaged",
          "doc = '{}'": "Damaged",
          "doc = replace(doc, '\"launch\":1', '\"launch\":\"secret\"')": "Damaged",
          "doc = replace(doc, '{', '{\"secret\":1,')": "Damaged",
          "request = '[]'": "Damaged",
          "settled = 5": "Damaged",
          "result = -7": "Damaged",
          ...(databases.dialect === "sqlite" ? { "number = 1.5": "Damaged" } : undefined),
          "session_id = 'secret'": "Damaged",
          "version = 2": "Version"
        }
        for (const [damage, reason] of Object.entries(damages)) {
          const database = yield* databases.make()
          yield* Effect.flatMap(database.open(), (process) => process.start("a", "park"))
          yield* database.sql.unsafe(`update etm_tasks set ${damage}`)
          const error = yield* Effect.flip(database.open())
          assert(error instanceof JournalError, damage)
          assert.strictEqual(error.reason, reason, damage)
          assert.include(error.message, "task \"a\"")
          assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "secret")
        }
      }))

    it.scoped("a database of a later version is not touched", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        yield* database.open()
        yield* database.sql`insert into etm_migrations (migration_id, name) values (99, 'later')`
        const error = yield* Effect.flip(database.open())
        assert.strictEqual(error._tag === "JournalError" ? error.reason : error._tag, "Version")
      }))

    it.scoped("a codec encrypts calls and results; with another key the journal does not open", () =>
      Effect.gen(function*() {
        const codec = codecOf(randomBytes(32))
        const database = yield* databases.make()
        const first = yield* database.open({ codec })
        yield* first.start("a", "parkSafely", { input: "the secret" })
        yield* first.start("b", "quick")
        assert.notInclude(JSON.stringify(yield* database.sql`select * from etm_tasks`), "secret")
        const refused = yield* Effect.flip(database.open({ codec: codecOf(randomBytes(32)) }))
        assert.strictEqual(refused._tag === "JournalError" ? refused.reason : refused._tag, "Damaged")
        const second = yield* database.open({ codec })
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2"])
        assert.isTrue(Option.isSome(yield* second.manager.handle.result(id("b"))))
      }))

    it.scoped("several journals share a database", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const [one, other] = [yield* database.open({ name: "one" }), yield* database.open({ name: "other" })]
        yield* one.start("a", "quick")
        yield* other.start("a", "quick")
        assert.deepStrictEqual([yield* one.told, yield* other.told], [
          ["1 Started a", "2 Completed a"],
          ["1 Started a", "2 Completed a"]
        ])
      }))

    it.scoped("the status says what was written; many starts at once are few groups", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* database.open()
        yield* Effect.forEach(Array.from({ length: 100 }, (_, index) => index), (index) =>
          process.start(`${index}`, "quick"), {
          concurrency: "unbounded"
        })
        yield* settled
        const { groups, lagMillis, rows } = yield* process.journal.status
        assert.strictEqual(lagMillis, 0)
        assert.strictEqual(rows, 200)
        assert.isBelow(groups, 10)
        yield* Effect.forEach(Array.from({ length: 100 }), () =>
          process.manager.waitForTurn(turn))
        yield* settled
        assert.deepStrictEqual(
          yield* process.journal.status.pipe(Effect.map((status) =>
            status.rows
          )),
          300
        )
      }))
  })
}
