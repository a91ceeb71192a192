/** The one writer of a runner: what journals write together, and what becomes of one that was taken over or refused. */
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { afterAll, assert, beforeAll } from "vitest"
import { makeSharedWriter } from "../../src/cluster/internal/sharedWriter.js"
import type { Writing } from "../../src/durable/internal/groups.js"
import { migrate } from "../../src/durable/internal/schema.js"
import { tablesOf } from "../../src/durable/internal/tables.js"
import type { JournalCodec } from "../../src/durable/JournalCodec.js"
import type { StoredDelivery } from "../../src/services/Journal.js"
import { waitsForLock } from "../durable/support.js"
import { isFull } from "../support/fullMode.js"
import { type PostgresServer, startPostgres, watchedPgLayer, type WatchOptions } from "../support/postgres.js"
import { SilentWire } from "../support/SilentWire.js"
import { sqliteLayer } from "../support/sqlite.js"

const lease = 60_000

/** A journal of its own, opened by the first manager. */
const journalOf = (name: string, codec?: JournalCodec) =>
  Effect.gen(function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const tables = tablesOf(sql, name, codec)
    yield* sql.unsafe(
      `insert into etm_managers (name, epoch, owner, lease_until, seq, last_task, last_delivery)
        values (${tables.places(7)})`,
      [name, 1, "owner", 0, 0, 0, 0]
    )
    let groups = 0
    const writing = (
      number: number,
      { delivered = [], doc = "{}", epoch = 1, request = "{}", result = null, status = "Running" }: {
        readonly delivered?: ReadonlyArray<number>
        readonly doc?: string
        readonly epoch?: number
        readonly request?: string
        readonly result?: StoredDelivery
        readonly status?: string
      } = {}
    ): Writing => ({
      tables,
      epoch,
      leaseMillis: lease,
      group: {
        number: ++groups,
        closedSessions: [],
        delivered,
        rows: [{
          number,
          taskId: `task-${number}`,
          sessionId: "session",
          turnId: "turn",
          status,
          settled: null,
          result,
          approval: null,
          detached: null,
          request,
          doc,
          version: 1
        }],
        output: [],
        outputForgotten: [],
        removed: [],
        seq: number,
        lastTaskNumber: number,
        lastDelivery: 0
      }
    })
    const rows = Effect.map(
      sql.unsafe<{ readonly number: unknown; readonly status: string }>(
        `select number, status from etm_tasks where manager = ${tables.place(1)} order by number`,
        [name]
      ),
      (found) => found.map(({ number, status }) => `${Number(number)} ${status}`)
    )
    const seq = Effect.map(
      sql.unsafe<{ readonly seq: unknown }>(`select seq from etm_managers where name = ${tables.place(1)}`, [name]),
      ([row]) => Number(row?.seq)
    )
    const texts = Effect.map(
      sql.unsafe<{ readonly number: unknown; readonly request: string; readonly doc: string }>(
        `select number, request, doc from etm_tasks where manager = ${tables.place(1)} order by number`,
        [name]
      ),
      (found) => found.map(({ doc, number, request }) => [Number(number), request, doc])
    )
    const owed = Effect.map(
      sql.unsafe<{ readonly number: unknown }>(
        `select number from etm_tasks where manager = ${tables.place(1)} and result is not null order by number`,
        [name]
      ),
      (found) => found.map(({ number }) => Number(number))
    )
    const endLease = sql.unsafe(`update etm_managers set lease_until = 0 where name = ${tables.place(1)}`, [name])
    const isLeased = Effect.map(
      sql.unsafe<{ readonly until: unknown }>(
        `select lease_until as until from etm_managers where name = ${tables.place(1)}`,
        [name]
      ),
      ([row]) => Number(row?.until) > 0
    )
    return { writing, rows, seq, texts, owed, endLease, isLeased }
  })

const reasonOf = <A, E extends { readonly _tag: string }>(exit: Exit.Exit<A, E>): string =>
  Exit.match(exit, {
    onSuccess: () => "written",
    onFailure: (cause) =>
      cause._tag === "Fail" && "reason" in cause.error ? String(cause.error.reason) : String(cause._tag)
  })

const together = (writings: ReadonlyArray<Writing>) =>
  Effect.scoped(Effect.gen(function*() {
    const write = yield* makeSharedWriter(lease)
    return (yield* Effect.forEach(writings, (writing) => Effect.exit(write(writing)), { concurrency: "unbounded" }))
      .map(reasonOf)
  }))

const suite = (layerOf: (options: WatchOptions) => Layer.Layer<SqlClient.SqlClient, unknown>): void => {
  const run = (
    body: (fences: () => number, refuse: (text: string) => void) => Effect.Effect<void, unknown, SqlClient.SqlClient>
  ) => {
    let fences = 0
    let refused: string | undefined
    const before = (text: string): void => {
      if (text.includes("last_group = held.last_group")) fences++
      if (refused !== undefined && text.includes(refused)) throw new Error("refused")
    }
    const client = layerOf({ before })
    return Effect.zipRight(migrate, body(() => fences, (text) => refused = text)).pipe(
      Effect.provide(client),
      Effect.orDie
    )
  }
  it.live("two journals are written with one fence", () =>
    run((fences) =>
      Effect.gen(function*() {
        const [a, b] = [yield* journalOf("a"), yield* journalOf("b")]
        assert.deepStrictEqual(yield* together([a.writing(1), b.writing(2)]), ["written", "written"])
        assert.strictEqual(fences(), 1)
        assert.deepStrictEqual([yield* a.rows, yield* b.rows], [["1 Running"], ["2 Running"]])
        assert.deepStrictEqual([yield* a.seq, yield* b.seq], [1, 2])
      })
    ))

  it.live("texts and numbers are stored as they are, however odd or large", () =>
    run(() =>
      Effect.gen(function*() {
        const a = yield* journalOf("a")
        // a row is JSON, in which there is no NUL and no half of a character that is not escaped
        const odd = JSON.stringify({
          text: "\u0000 \\u0000 \ud83d \udd25 \ud83d\udd25 \u2028 \"'$1?\\ \uffff",
          low: -0
        })
        const long = JSON.stringify("\u0000\"\\é".repeat(500_000))
        const rows = [[1, odd, odd], [2, long, odd], [3, "", odd], [Number.MAX_SAFE_INTEGER, "{}", "{}"]] as const
        const groups = rows.map(([number, request, doc]) => a.writing(number, { request, doc }))
        const [first] = groups
        assert.isDefined(first)
        if (first === undefined) return
        const all: Writing = { ...first, group: { ...first.group, rows: groups.flatMap(({ group }) => group.rows) } }
        for (const writing of [all, all]) {
          assert.deepStrictEqual(yield* together([writing]), ["written"])
          assert.isTrue(JSON.stringify(yield* a.texts) === JSON.stringify(rows))
        }
      })
    ))

  it.live("a text of a codec that no database stores as it is is refused, and nothing of it is written", () =>
    run(() =>
      Effect.gen(function*() {
        for (const text of ["a\u0000b", "\ud83d"]) {
          const codec: JournalCodec = { encode: () => Effect.succeed(text), decode: Effect.succeed }
          const a = yield* journalOf(`a ${text.length}`, codec)
          const b = yield* journalOf(`b ${text.length}`)
          assert.deepStrictEqual(yield* together([a.writing(1), b.writing(1)]), ["Unavailable", "written"])
          assert.deepStrictEqual([yield* a.rows, yield* b.rows], [[], ["1 Running"]])
        }
      })
    ))

  it.live("one that was taken over has nothing written, and those beside it have", () =>
    run((fences) =>
      Effect.gen(function*() {
        const [a, b, c] = [yield* journalOf("a"), yield* journalOf("b"), yield* journalOf("c")]
        assert.deepStrictEqual(
          yield* together([a.writing(1), b.writing(1, { epoch: 0 }), c.writing(1)]),
          ["written", "Fenced", "written"]
        )
        assert.strictEqual(fences(), 1)
        assert.deepStrictEqual([yield* a.rows, yield* b.rows, yield* c.rows], [["1 Running"], [], ["1 Running"]])
        assert.strictEqual(yield* b.seq, 0)
      })
    ))

  it.live("what one journal has twice is written one after the other, each under its own epoch", () =>
    run((fences) =>
      Effect.gen(function*() {
        const a = yield* journalOf("a")
        assert.deepStrictEqual(
          yield* together([a.writing(1, { status: "Queued" }), a.writing(1), a.writing(2, { epoch: 0 })]),
          ["written", "written", "Fenced"]
        )
        assert.strictEqual(fences(), 3)
        assert.deepStrictEqual(yield* a.rows, ["1 Running"])
      })
    ))

  it.live("a group that arrives once more, and late, changes nothing", () =>
    run(() =>
      Effect.gen(function*() {
        const [a, b] = [yield* journalOf("a"), yield* journalOf("b")]
        const groups = [a.writing(1, { status: "Queued" }), a.writing(1)]
        // other changes are another way to the database
        const removing = groups.map((writing) => ({ ...writing, group: { ...writing.group, removed: [7] } }))
        const [first] = groups
        const [late] = removing
        assert.isDefined(first)
        assert.isDefined(late)
        if (first === undefined || late === undefined) return
        for (const writing of groups) assert.deepStrictEqual(yield* together([writing]), ["written"])
        yield* a.endLease
        assert.deepStrictEqual(yield* together([first, b.writing(1)]), ["written", "written"])
        assert.isTrue(yield* a.isLeased)
        yield* a.endLease
        assert.deepStrictEqual(yield* together([late, b.writing(2)]), ["written", "written"])
        // it is a try again: who makes it still has the journal
        assert.isTrue(yield* a.isLeased)
        assert.deepStrictEqual([yield* a.rows, yield* b.rows], [["1 Running"], ["1 Running", "2 Running"]])
        assert.strictEqual(yield* a.seq, 1)
      })
    ))

  it.live("one that the database refuses fails alone", () =>
    run((_fences, refuse) =>
      Effect.gen(function*() {
        const [a, b] = [yield* journalOf("a"), yield* journalOf("b")]
        refuse("etm_output")
        const broken = b.writing(1)
        const removing: Writing = { ...broken, group: { ...broken.group, removed: [7] } }
        assert.deepStrictEqual(yield* together([a.writing(1), removing]), ["written", "Unavailable"])
        assert.deepStrictEqual([yield* a.rows, yield* b.rows], [["1 Running"], []])
        assert.strictEqual(yield* b.seq, 0)
      })
    ))

  it.live("what nobody waits for any more is not written", () =>
    run(() =>
      Effect.gen(function*() {
        const a = yield* journalOf("a")
        yield* Effect.scoped(Effect.gen(function*() {
          const write = yield* makeSharedWriter(lease)
          const begun = yield* Deferred.make<void>()
          const left = yield* Effect.fork(Effect.zipRight(Deferred.succeed(begun, undefined), write(a.writing(1))))
          const behind = yield* Effect.fork(write(a.writing(2)))
          const interrupted = yield* Effect.fork(write(a.writing(3)))
          yield* Deferred.await(begun)
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(interrupted)
          yield* Fiber.join(left)
          yield* Fiber.join(behind)
          yield* write(a.writing(4))
        }))
        assert.deepStrictEqual(yield* a.rows, ["1 Running", "2 Running", "4 Running"])
      })
    ))
}

describe("the writer of a runner, on SQLite", () => suite((options) => sqliteLayer(options)))

if (isFull) {
  describe("the writer of a runner, on Postgres", () => {
    let server: PostgresServer
    let schemas = 0
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server.stop())
    const layerOf = (options: WatchOptions = {}) =>
      Layer.unwrapEffect(
        Effect.gen(function*() {
          const schema = `writer_${++schemas}`
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe(`create schema ${schema}`)
          return watchedPgLayer(server.url(schema), options)
        }).pipe(Effect.provide(Layer.suspend(() => watchedPgLayer(server.url()))))
      )
    suite(layerOf)

    it.live("a group with other changes is a transaction, and those that come with it are one statement all the same", () => {
      const statements: Array<string> = []
      return Effect.gen(function*() {
        yield* migrate
        const [a, b, c] = [yield* journalOf("a"), yield* journalOf("b"), yield* journalOf("c")]
        const plain = b.writing(1)
        const removing: Writing = { ...plain, group: { ...plain.group, removed: [7] } }
        statements.length = 0
        assert.deepStrictEqual(
          yield* together([a.writing(1), removing, c.writing(1), b.writing(2, { epoch: 0 })]),
          ["written", "written", "written", "Fenced"]
        )
        assert.strictEqual(statements.filter((text) => text.startsWith("with ours as")).length, 2)
        assert.strictEqual(statements.filter((text) => text.startsWith("delete from etm_tasks")).length, 1)
        assert.deepStrictEqual([yield* a.rows, yield* b.rows, yield* c.rows], [
          ["1 Running"],
          ["1 Running"],
          ["1 Running"]
        ])
      }).pipe(Effect.provide(layerOf({ before: (text) => void statements.push(text) })), Effect.orDie)
    })

    it.live("after a write that nobody has answered the next one has another connection", () =>
      Effect.gen(function*() {
        const wire = yield* Effect.acquireRelease(
          Effect.promise(() => SilentWire.to(server.url())),
          (one) => Effect.promise(() => one.close())
        )
        yield* Effect.gen(function*() {
          yield* migrate
          const a = yield* journalOf("a")
          const write = yield* makeSharedWriter(500)
          yield* write(a.writing(1))
          wire.silence()
          assert.strictEqual(reasonOf(yield* Effect.exit(write(a.writing(2)))), "Unavailable")
          // so many that a connection which came back meanwhile would have been taken
          for (let number = 3; number <= 200; number++) yield* write(a.writing(number))
          assert.deepStrictEqual((yield* a.rows).slice(-2), ["199 Running", "200 Running"])
        }).pipe(Effect.scoped, Effect.provide(PgClient.layer({ url: wire.url, maxConnections: 3 })))
      }).pipe(Effect.scoped, Effect.orDie), 20_000)

    it.live("a group waits for rows that a transaction has, and is written over what that has left", () =>
      Effect.gen(function*() {
        yield* migrate
        const sql = yield* SqlClient.SqlClient
        const [a, b] = [yield* journalOf("a"), yield* journalOf("b")]
        yield* together([a.writing(1, { result: 1 })])
        yield* together([a.writing(2, { result: 2 }), b.writing(1, { result: 1 })])
        const [holds, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const taking = yield* Effect.fork(sql.withTransaction(
          sql`update etm_tasks set result = null where manager = 'a'`.pipe(
            Effect.zipRight(Deferred.succeed(holds, undefined)),
            Effect.zipRight(Deferred.await(commit))
          )
        ))
        yield* Deferred.await(holds)
        const writing = yield* Effect.fork(together([
          a.writing(2, { delivered: [1], result: "AsStored", status: "Failed" }),
          b.writing(2, { delivered: [1], result: 2 })
        ]))
        yield* waitsForLock({ sql })
        yield* Deferred.succeed(commit, undefined)
        yield* Fiber.join(taking)
        assert.deepStrictEqual(yield* Fiber.join(writing), ["written", "written"])
        assert.deepStrictEqual([yield* a.rows, yield* a.owed], [["1 Running", "2 Failed"], []])
        assert.deepStrictEqual([yield* b.rows, yield* b.owed], [["1 Running", "2 Running"], [2]])
      }).pipe(Effect.provide(layerOf()), Effect.orDie))
  })
}
