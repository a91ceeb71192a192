import { describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Option, TestClock } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { JournalError } from "effect-task-manager/durable"
import { assert } from "vitest"
import { withJumpingClock } from "../support/clock.js"
import { sqliteLayer } from "../support/sqlite.js"
import { owningSuite } from "./suites/owning.js"
import { built, openAndClose, session, settled, sqlite } from "./support.js"

owningSuite(sqlite)

/** A second passes, and again. */
const seconds = (count: number) =>
  Effect.repeatN(Effect.zipRight(settled, TestClock.adjust("1 second")), count - 1).pipe(Effect.zipRight(settled))

it.scoped("an opening that takes longer than its lease keeps its journal", () =>
  Effect.gen(function*() {
    const database = yield* sqlite.make()
    const first = yield* database.open()
    yield* first.start("a", "parkSafely")
    const executor = ToolExecutor.of({ specs: Effect.succeed([]), execute: () => Effect.never })
    const executorOf = () => Effect.delay(Effect.succeed(executor), "25 seconds")
    const opening = yield* Effect.fork(database.open({ executorOf }))
    yield* seconds(5)
    const waiting = yield* Effect.fork(Effect.flip(database.open({ onOwned: "wait" })))
    yield* seconds(15)
    assert.include(String(Option.getOrThrow(yield* Fiber.poll(waiting))), "is open in another manager")
    yield* seconds(10)
    const second = yield* Option.getOrThrow(yield* Fiber.poll(opening))
    yield* second.start("b", "quick")
    assert.strictEqual(second.journal.epoch, 2)
  }))

// of a file, whose clock a test can replace; that of a server is its own
describe("waiting for an owner", () => {
  it.scoped("onOwned: fail fails at once, wait fails after one lease of an owner that is alive", () =>
    Effect.gen(function*() {
      const database = yield* sqlite.make()
      const owner = yield* database.open({ lease: "10 seconds" })
      const refused = yield* Effect.flip(database.open({ onOwned: "fail" }))
      assert(refused instanceof JournalError)
      assert.strictEqual(refused.reason, "Owned")
      const waiting = yield* Effect.fork(Effect.flip(database.open({ onOwned: "wait", lease: "10 seconds" })))
      for (let second = 0; second < 11; second++) {
        yield* settled
        yield* TestClock.adjust("1 second")
      }
      yield* settled
      const late = yield* Fiber.join(waiting)
      assert.strictEqual(late._tag === "JournalError" ? late.reason : late._tag, "Owned")
      // it has renewed its lease all the time, with nothing to write
      yield* owner.start("a", "quick")
      assert.strictEqual(owner.journal.epoch, 1)
    }))

  it.scoped("wait takes the journal once the lease of an owner that is gone has run out", () =>
    Effect.gen(function*() {
      const database = yield* sqlite.make()
      const { sql } = database
      yield* Effect.flatMap(database.open(), (first) => Effect.zipRight(first.start("a", "quick"), first.close))
      // of another machine: whether its process lives cannot be seen from here
      yield* sql`update etm_managers set owner = '1 token elsewhere', lease_until = 3000`
      const waiting = yield* Effect.fork(database.open({ onOwned: "wait" }))
      yield* settled
      yield* TestClock.adjust("2 seconds")
      yield* settled
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* TestClock.adjust("1 second")
      yield* settled
      const second = yield* Fiber.join(waiting)
      assert.strictEqual(second.journal.epoch, 2)
    }))
})

const hour = 3_600_000

describe("a clock that is wrong", () => {
  for (const jump of [-hour, 5_000]) {
    it.scoped(`set by ${jump} ms while an owner is waited for that is alive: it is waited for as long as it says`, () =>
      withJumpingClock((set) =>
        Effect.gen(function*() {
          const database = yield* sqlite.make()
          yield* TestClock.setTime(2 * hour)
          const owner = yield* database.open()
          const waiting = yield* Effect.fork(Effect.flip(database.open({ onOwned: "wait" })))
          yield* seconds(2)
          set(jump)
          yield* seconds(7)
          assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
          yield* seconds(2)
          const refused = Option.getOrThrow(yield* Fiber.poll(waiting))
          assert.include(String(refused), "is open in another manager")
          yield* owner.start("a", "quick")
          assert.strictEqual(owner.journal.epoch, 1)
        })
      ))
  }

  for (
    const [owned, lease] of [["1 year", "10 seconds"], ["5 seconds", "10 seconds"], ["1 year", "1 minute"]] as const
  ) {
    it.scoped(`${owned} ahead, of an owner that has gone, with a lease of ${lease}: its journal is free after one lease`, () =>
      withJumpingClock((set) =>
        Effect.gen(function*() {
          const database = yield* sqlite.make()
          set(owned === "1 year" ? 365 * 24 * hour : 5_000)
          const first = yield* database.open({ lease })
          yield* first.start("a", "quick")
          const [row] = yield* database.sql<{ readonly owner: string }>`select owner from etm_managers`
          yield* first.close
          // of another machine
          const lost = `${row?.owner} elsewhere`
          yield* database.sql`update etm_managers set owner = ${lost}, lease_until = ${
            (yield* Clock.currentTimeMillis) + Duration.toMillis(lease)
          }`
          set(0)
          const waiting = yield* Effect.fork(database.open({ onOwned: "wait" }))
          yield* seconds(9)
          assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
          yield* seconds(2)
          const second = yield* Option.getOrThrow(yield* Fiber.poll(waiting))
          assert.strictEqual(second.journal.epoch, 2)
        })
      ))
  }
})

describe("an owner of this process", () => {
  const owned = Effect.gen(function*() {
    let fails = false
    const database = yield* sqlite.make({
      before: (text) => {
        if (fails && text.includes("lease_until = 0")) throw new Error("the database is away")
      }
    })
    const owner = yield* database.open()
    const fail = Effect.sync(() => {
      fails = true
    })
    return { database, owner, fail }
  })

  it.scoped("that this thread does not know may be one of another thread: its lease is waited for, and no longer", () =>
    Effect.gen(function*() {
      const { database, fail, owner } = yield* owned
      const { sql } = database
      const [row] = yield* sql<{ readonly owner: string }>`select owner from etm_managers`
      const [pid, , ...rest] = row?.owner.split(" ") ?? []
      assert.strictEqual(pid, `${process.pid}`)
      yield* fail
      yield* owner.close
      yield* sql`update etm_managers set owner = ${[pid, "other", ...rest].join(" ")}`
      const refused = yield* Effect.flip(database.open({ onOwned: "fail" }))
      assert.include(String(refused), "is open in another manager")
      const waiting = yield* Effect.fork(database.open({ onOwned: "wait" }))
      yield* seconds(9)
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* seconds(2)
      yield* Option.getOrThrow(yield* Fiber.poll(waiting))
    }))

  it.scoped("that this thread knows is alive until it is closed, also where that could not be written", () =>
    Effect.gen(function*() {
      const { database, fail, owner } = yield* owned
      yield* Effect.flip(database.open({ onOwned: "fail" }))
      yield* fail
      yield* owner.close
      yield* database.open({ onOwned: "fail" })
    }))
})

describe("a database that does not answer", () => {
  const silent = Effect.gen(function*() {
    let isSilent = false
    const database = yield* built(sqliteLayer({ holds: () => isSilent }))
    const fallSilent = Effect.sync(() => {
      isSilent = true
    })
    return { database, fallSilent }
  })

  for (const shutdown of ["cancel", "keep"] as const) {
    it.scoped(`ends a manager after its lease, and does not hold up its end (${shutdown})`, () =>
      Effect.gen(function*() {
        const { database, fallSilent } = yield* silent
        const process = yield* database.open({ shutdown })
        yield* process.start("a", "park")
        yield* fallSilent
        // a transaction: its end is asked for too
        yield* Effect.fork(process.manager.closeSession(session))
        for (let second = 0; second < 30; second++) {
          yield* TestClock.adjust("1 second")
          yield* settled
        }
        assert.strictEqual((yield* process.journal.lost).reason, "Unavailable")
        const closing = yield* Effect.fork(process.close)
        yield* settled
        yield* TestClock.adjust("4 seconds")
        yield* settled
        assert.isTrue(Option.isSome(yield* Fiber.poll(closing)))
      }))
  }

  it.scoped("fails an opening after a lease", () =>
    Effect.gen(function*() {
      const { database, fallSilent } = yield* silent
      yield* openAndClose(database, {})
      yield* fallSilent
      const opening = yield* Effect.fork(Effect.flip(openAndClose(database, { lease: "10 seconds" })))
      yield* settled
      yield* TestClock.adjust("10 seconds")
      yield* settled
      const failed = Option.getOrThrow(yield* Fiber.poll(opening))
      assert.include(String(failed), "could not be opened: its database has not answered for 10000 ms")
    }))
})
