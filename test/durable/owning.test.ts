import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, TestClock } from "effect"
import { JournalError } from "effect-task-manager/durable"
import { assert } from "vitest"
import { owningSuite } from "./suites/owning.js"
import { settled, sqlite } from "./support.js"

owningSuite(sqlite)

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
