/** What a file does that a database in memory does not: another process locks it, it may not be written, the disk is full. */
import { describe, it } from "@effect/vitest"
import { DatabaseSync } from "@photostructure/sqlite"
import { Effect, Exit, Fiber, Option, TestClock } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert } from "vitest"
import { isFull } from "../support/fullMode.js"
import { sqliteLayer, type SqliteOptions } from "../support/sqlite.js"
import { built, type Database, id, type Process, settled, turn } from "./support.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "durable-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const filename = Effect.map(folder, (path) => join(path, "tasks.db"))

// a wait of SQLite stops this process, and with it the virtual clock
const open = (options: SqliteOptions) => built(sqliteLayer({ busyTimeout: 5, ...options }))

/** What keeps the database from being written, and what lets it be written again. */
interface Trouble {
  readonly begin: (database: Database, file: string) => Effect.Effect<void>
  readonly end: (database: Database, file: string) => Effect.Effect<void>
  /** What SQLite says. */
  readonly says: RegExp
}

const locks = new Map<string, InstanceType<typeof DatabaseSync>>()

const troubles: Record<string, Trouble> = {
  "another process that writes for longer than the busy timeout": {
    begin: (_, file) =>
      Effect.sync(() => {
        const other = new DatabaseSync(file)
        other.exec("begin immediate; insert into etm_managers values ('other', 0, '', 0, 0, 0, 0, 0)")
        locks.set(file, other)
      }),
    end: (_, file) =>
      Effect.sync(() => {
        locks.get(file)?.exec("rollback")
        locks.get(file)?.close()
      }),
    says: /database is locked/
  },
  "a file that may not be written": {
    begin: ({ sql }) => Effect.orDie(sql.unsafe("pragma query_only = on")),
    end: ({ sql }) => Effect.orDie(sql.unsafe("pragma query_only = off")),
    says: /readonly database/
  },
  "a disk that is full": {
    begin: ({ sql }) =>
      Effect.orDie(Effect.gen(function*() {
        const [pages] = yield* sql<{ readonly page_count: number }>`pragma page_count`
        yield* sql.unsafe(`pragma max_page_count = ${pages?.page_count ?? 1}`)
      })),
    end: ({ sql }) => Effect.orDie(sql.unsafe("pragma max_page_count = 1000000")),
    says: /database or disk is full/
  }
}

const large = { input: "x".repeat(100_000) }

const seconds = (count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.zipRight(settled, TestClock.adjust("1 second")),
    { discard: true }
  ).pipe(Effect.zipRight(settled))

const messageOf = (cause: unknown): string => cause instanceof Error ? `${cause.message} ${messageOf(cause.cause)}` : ""

for (const [name, trouble] of Object.entries(troubles)) {
  describe(name, () => {
    it.scoped("for 5 seconds: nothing is told meanwhile, nothing is lost, and all of it is told then", () =>
      Effect.gen(function*() {
        const file = yield* filename
        const database = yield* open({ filename: file })
        const process = yield* database.open()
        yield* process.start("before", "quick")
        yield* process.told
        yield* trouble.begin(database, file)
        const starting = yield* Effect.fork(process.start("a", "quick", large))
        yield* seconds(5)
        assert.isTrue(Option.isNone(yield* Fiber.poll(starting)))
        assert.deepStrictEqual([yield* process.told, process.runs.length], [[], 1])
        // what was written before is answered
        const isThere = yield* Effect.fork(process.manager.handle.history())
        yield* settled
        yield* trouble.end(database, file)
        yield* seconds(2)
        yield* Fiber.join(starting)
        assert.strictEqual((yield* Fiber.join(isThere)).tasks.length, 1)
        assert.deepStrictEqual(yield* process.told, ["3 Started a", "4 Completed a"])
        yield* process.close
        const next = yield* database.open({ onOwned: "fail" })
        assert.deepStrictEqual((yield* next.manager.handle.list()).map((task) => task.id), ["before", "a"])
      }))

    it.scoped("for longer than the lease: lost, told once, tools and waits end, and the next process has what was told", () =>
      Effect.gen(function*() {
        const file = yield* filename
        const database = yield* open({ filename: file })
        const process: Process = yield* database.open()
        yield* process.start("runs", "park")
        let losses = 0
        const losing = yield* Effect.fork(Effect.tap(process.journal.lost, () => Effect.sync(() => void losses++)))
        const waiting = yield* Effect.fork(process.manager.waitForTurn(turn))
        yield* trouble.begin(database, file)
        const starting = yield* Effect.fork(process.start("a", "quick", large))
        yield* seconds(16)
        const error = yield* Fiber.join(losing)
        assert.deepStrictEqual([error.reason, losses], ["Unavailable", 1])
        assert.match(messageOf(error.cause), trouble.says)
        assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
        assert.isTrue(Exit.isFailure(yield* Fiber.await(starting)))
        assert.deepStrictEqual(yield* process.told, ["1 Started runs"])
        assert.deepStrictEqual(process.runs.map(({ task }) => task), ["runs"])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(process.manager.handle.history())))
        yield* process.close
        yield* trouble.end(database, file)
        const next = yield* database.open()
        assert.deepStrictEqual((yield* next.manager.handle.list()).map((task) => `${task.id} ${task.status}`), [
          "runs Failed"
        ])
      }))

    if (isFull) {
      it.scoped("when the journal is opened: a failure, no hang, and it opens once that is over", () =>
        Effect.gen(function*() {
          const file = yield* filename
          const database = yield* open({ filename: file })
          yield* Effect.flatMap(database.open(), (first) => Effect.zipRight(first.start("a", "park"), first.close))
          yield* trouble.begin(database, file)
          const opening = yield* Effect.fork(database.open())
          yield* seconds(name === "another process that writes for longer than the busy timeout" ? 11 : 1)
          // on a full disk there may be room for what an opening writes
          const exit = yield* Fiber.await(opening)
          const error = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
          if (name === "another process that writes for longer than the busy timeout") {
            assert(error?._tag === "JournalError")
            assert.deepStrictEqual([error.reason, error.detail], [
              "Unavailable",
              "could not be opened: another process has locked its database for 10000 ms"
            ])
            assert.match(messageOf(error.cause), trouble.says)
          } else if (name !== "a disk that is full") assert.strictEqual(error?._tag, "SqlError")
          yield* trouble.end(database, file)
          const second = yield* database.open()
          assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Cancelled")
        }))
    }
  })
}

if (isFull) {
  describe("a file that another process has locked", () => {
    const lock = (file: string, text: string) => {
      const other = new DatabaseSync(file)
      other.exec(text)
      return Effect.sync(() => {
        other.exec("rollback")
        other.close()
      })
    }

    const opensLate = (text: string, isNew: boolean) =>
      Effect.gen(function*() {
        const file = yield* filename
        const database = yield* open({ filename: file })
        if (!isNew) {
          yield* Effect.flatMap(database.open(), (first) => Effect.zipRight(first.start("a", "quick"), first.close))
        }
        const unlock = lock(file, text)
        const opening = yield* Effect.fork(database.open({ onOwned: "wait", lease: "20 seconds" }))
        yield* seconds(15)
        assert.isNull(opening.unsafePoll())
        yield* unlock
        yield* seconds(2)
        const process = yield* Fiber.join(opening)
        assert.deepStrictEqual((yield* process.manager.handle.list()).map((task) => task.id), isNew ? [] : [id("a")])
      })

    it.scoped("is waited for when it is opened, for as long as a lease", () => opensLate("begin immediate", false))

    it.scoped("is waited for also where its tables are not there yet", () => opensLate("begin immediate", true))
  })
}

describe("a connection that may only read", () => {
  it.scoped("opens no journal, and says so", () =>
    Effect.gen(function*() {
      const file = yield* filename
      yield* Effect.flatMap(open({ filename: file }), (database) =>
        Effect.flatMap(database.open(), (first) => Effect.zipRight(first.start("a", "quick"), first.close)))
      const reader = yield* open({ filename: file, readOnly: true })
      const error = yield* Effect.flip(reader.open())
      assert.strictEqual(error._tag, "SqlError")
      assert.match(messageOf(error), /readonly database/)
    }))
})
