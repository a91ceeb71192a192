/** What a process that stands still in the middle of a write has locked, and for how long. Only in `npm run test:full`. */
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, type Scope } from "effect"
import { ResultStore, TranscriptStore } from "effect-task-manager/ai"
import { ResultStoreSql, TranscriptStoreSql } from "effect-task-manager/ai/durable"
import { TaskJournal } from "effect-task-manager/durable"
import { execFileSync } from "node:child_process"
import { afterAll, assert, beforeAll } from "vitest"
import { type PostgresServer, startPostgres, watchedPgLayer } from "../support/postgres.js"
import { built, type Database, id, type Process, session, settled, waitsForLock } from "./support.js"

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

let schemas = 0

/** A client that stands still for good behind its next statement that locks something, and one of another process. */
const twoClients = Effect.gen(function*() {
  let state: "Running" | "Stopping" | "Still" = "Running"
  const url = server.url(`stopped_${++schemas}`)
  const zombie = yield* built(watchedPgLayer(url, {
    holds: (text) => {
      if (state === "Still") return true
      if (state === "Stopping" && /^\s*(insert|update|delete|create)/i.test(text)) state = "Still"
      return false
    }
  }))
  const other = yield* built(watchedPgLayer(url))
  yield* other.sql.unsafe(`create schema stopped_${schemas}`)
  const stop = () => {
    state = "Stopping"
  }
  const still = Effect.repeat(settled, { until: () => state === "Still" })
  return { zombie, other, stop, still: Effect.zipRight(still, settled) }
})

interface Stores {
  readonly sessions: NonNullable<TranscriptStore["Type"]["sessions"]>
  readonly results: ResultStore["Type"]
}

const storesOf = ({ sql }: Database, { journal }: Process): Effect.Effect<Stores, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Layer.build(
      Layer.merge(TranscriptStoreSql.layer(), ResultStoreSql.layer({ maxBytes: 1_000 }))
    )
    const { sessions } = Context.get(context, TranscriptStore)
    if (sessions === undefined) return yield* Effect.dieMessage("a TranscriptStoreSql without sessions")
    return { sessions, results: Context.get(context, ResultStore) }
  }).pipe(
    Effect.provide([Layer.succeed(TaskJournal, journal), Layer.succeed(SqlClient.SqlClient, sql)]),
    Effect.orDie
  )

const message = (messageId: string) => ({ messageId, content: [{ _tag: "Text" as const, text: "go" }] })
const said = (messageId: string) => ({ _tag: "UserMessage" as const, ...message(messageId) })

/** What a session and a task may be written with. */
const writes: Readonly<Record<string, (stores: Stores) => Effect.Effect<unknown, unknown>>> = {
  "keeps a message": ({ sessions }) => sessions.keepMessage(session, message("b")),
  "commits a message": ({ sessions }) => sessions.commit(session, { entries: [said("a")], taken: [] }),
  "rewrites a conversation": ({ sessions }) =>
    sessions.commit(session, { entries: [{ _tag: "Rewrite", reason: "Host", entries: [said("a")] }], taken: [] }),
  "drops a message": ({ sessions }) => sessions.dropMessage(session, "a"),
  "lets a session rest": ({ sessions }) => sessions.rest(session),
  "closes a session": ({ sessions }) => sessions.close(session),
  "saves a result": ({ results }) => results.save(id("a"), "a later one"),
  "removes a result": ({ results }) => results.remove(id("a"))
}

describe("a process that stands still while it", () => {
  for (const [what, write] of Object.entries(writes)) {
    it.scopedLive(`${what} holds up the next one for a lease, and not for ever`, () =>
      Effect.gen(function*() {
        const { other, still, stop, zombie } = yield* twoClients
        const stopped = yield* zombie.open({ lease: "1 second" })
        const stores = yield* storesOf(zombie, stopped)
        yield* stores.sessions.open(session)
        yield* stores.sessions.keepMessage(session, message("a"))
        yield* stores.results.save(id("a"), "the first one")
        stop()
        const writing = yield* Effect.forkDaemon(write(stores))
        yield* still
        const owner = yield* other.open({ onOwned: "wait", lease: "5 seconds" })
        const next = yield* storesOf(other, owner)
        yield* next.sessions.open(session)
        yield* next.sessions.keepMessage(session, message("b"))
        yield* next.sessions.commit(session, { entries: [said("a"), said("b")], taken: [] })
        yield* next.results.save(id("a"), "the second one")
        yield* next.sessions.close(session)
        assert.isFalse(Option.exists(yield* Fiber.poll(writing), Exit.isSuccess))
        assert.deepStrictEqual((yield* next.sessions.read(session)).entries, [said("a"), said("b")])
      }))
  }

  it.scopedLive("writes a group, and has waited with it for the next one, likewise", () =>
    Effect.gen(function*() {
      const { other, still, stop, zombie } = yield* twoClients
      const stopped = yield* zombie.open({ lease: "1 second" })
      yield* stopped.start("a", "ask")
      const { sql } = other
      const commit = yield* Effect.makeLatch()
      const taking = yield* Effect.fork(sql.withTransaction(
        Effect.zipRight(sql`update etm_managers set epoch = epoch + 1, lease_until = 0`, commit.await)
      ))
      yield* settled
      stop()
      // what only writes rows is one statement, in which no process stands still
      const closing = yield* Effect.forkDaemon(stopped.manager.closeSession(session))
      // its fence waits for the row
      yield* waitsForLock(other)
      yield* commit.open
      yield* Fiber.join(taking)
      yield* still
      const owner = yield* other.open({ onOwned: "wait" })
      yield* owner.start("b", "quick")
      assert.strictEqual(owner.journal.epoch, 3)
      assert.isFalse(Option.exists(yield* Fiber.poll(closing), Exit.isSuccess))
    }))

  it.scopedLive("makes the tables, or opens a journal for the first time, likewise", () =>
    Effect.gen(function*() {
      for (const isMigrated of [false, true]) {
        const { other, still, stop, zombie } = yield* twoClients
        if (isMigrated) yield* (yield* zombie.open({ name: "another" })).close
        stop()
        const opening = yield* Effect.forkDaemon(zombie.open({ lease: "1 second" }))
        yield* still
        const owner = yield* other.open({ onOwned: "wait" })
        yield* owner.start("a", "quick")
        assert.strictEqual(owner.journal.epoch, 1)
        assert.isFalse(Option.exists(yield* Fiber.poll(opening), Exit.isSuccess))
      }
    }))
})

describe("a server that stands still", () => {
  /** Its processes get no time, and whoever is connected is told nothing. */
  const signal = (name: "SIGSTOP" | "SIGCONT") =>
    Effect.sync(() => {
      const pid = server.processId()
      const children = execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" }).trim().split("\n").map(Number)
      for (const one of [...children, pid]) process.kill(one, name)
    })
  const stopped = Effect.acquireRelease(signal("SIGSTOP"), () => signal("SIGCONT"))

  for (const shutdown of ["cancel", "keep"] as const) {
    it.scopedLive(`holds up neither the end of a manager that has lost its journal nor an opening (${shutdown})`, () =>
      Effect.gen(function*() {
        const { other, zombie } = yield* twoClients
        const { close, journal, manager, start } = yield* zombie.open({ lease: "1 second", shutdown })
        yield* start("a", "park")
        yield* Effect.scoped(Effect.gen(function*() {
          yield* stopped
          // a transaction, which is not undone before the server answers
          yield* Effect.forkDaemon(manager.closeSession(session))
          assert.strictEqual((yield* journal.lost).reason, "Unavailable")
          yield* close
          const opening = yield* Effect.flip(other.open({ lease: "1 second" }))
          assert.strictEqual(opening._tag === "JournalError" ? opening.reason : opening._tag, "Unavailable")
        }))
        yield* (yield* other.open()).start("b", "quick")
      }))
  }
})
