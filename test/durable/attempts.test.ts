/** A limit for one try at the database. */
import { SqlError } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import { attemptMillisOf, toItsEnd, withinAttempt } from "../../src/durable/internal/attempts.js"

describe("a try", () => {
  it.effect("fails when nothing answers, though nothing can be interrupted", () =>
    Effect.gen(function*() {
      const trying = yield* Effect.uninterruptible(withinAttempt(1_000, Effect.uninterruptible(Effect.never))).pipe(
        Effect.flip,
        Effect.fork
      )
      yield* TestClock.adjust(999)
      assert.isTrue((yield* Fiber.poll(trying))._tag === "None")
      yield* TestClock.adjust(1)
      const error = yield* Fiber.join(trying)
      assert.instanceOf(error, SqlError.SqlError)
      assert.include(error.message, "has not answered for 1000 ms")
    }))

  it.effect("is interrupted when its time is over, and with whoever waits for it", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const statements = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const trying = yield* Effect.fork(Effect.exit(withinAttempt(1_000, statements)))
      yield* TestClock.adjust(1_000)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(trying)))
      yield* TestClock.adjust(0)
      assert.strictEqual(interrupted, 1)
      const waiting = yield* Effect.fork(withinAttempt(1_000, statements))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust(0)
      assert.strictEqual(interrupted, 2)
    }))

  it.effect("of a statement of its own goes on when its time is over, and nobody who is interrupted waits for it", () =>
    Effect.gen(function*() {
      let interrupted = 0
      let answer = () => {}
      const statement = toItsEnd(Effect.async<void>((resume) => {
        answer = () => resume(Effect.void)
        return Effect.sync(() => void interrupted++)
      }))
      const trying = yield* Effect.fork(Effect.exit(withinAttempt(1_000, statement)))
      yield* TestClock.adjust(1_000)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(trying)))
      const waiting = yield* Effect.fork(statement)
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(interrupted, 0)
      const asking = yield* Effect.fork(statement)
      yield* TestClock.adjust(0)
      answer()
      yield* Fiber.join(asking)
    }))

  it.effect("answers as the statements do", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* withinAttempt(1_000, Effect.succeed("rows")), "rows")
      assert.deepStrictEqual(yield* Effect.exit(withinAttempt(1_000, Effect.fail("no table"))), Exit.fail("no table"))
      assert.deepStrictEqual([attemptMillisOf(10_000), attemptMillisOf(100)], [3_333, 33])
    }))
})
