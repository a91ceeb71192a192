/** A limit for the time in which nothing comes. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, TestClock } from "effect"
import { unlessIdle } from "../../../src/ai/loop/internal/unlessIdle.js"
import { withJumpingClock } from "../../support/clock.js"

describe("work with a limit", () => {
  it.effect("has ended when whoever interrupts it goes on", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const say = (word: string) => Effect.sync(() => void said.push(word))
      const begun = yield* Deferred.make<void>()
      const work = Deferred.succeed(begun, undefined).pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 20), say("the work has ended")))
      )
      const turn = yield* Effect.interruptible(unlessIdle(1_000, () => "idle", () => work)).pipe(
        Effect.exit,
        Effect.zipRight(say("the turn goes on")),
        Effect.uninterruptible,
        Effect.fork
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(turn)
      assert.deepStrictEqual(said, ["the work has ended", "the turn goes on"])
    }))

  it.effect("is interrupted once nothing has come for so long, and its end is awaited", () =>
    Effect.gen(function*() {
      let hasEnded = false
      const working = yield* unlessIdle(1_000, () => "idle", (onProgress) =>
        Effect.sleep(900).pipe(
          Effect.zipRight(Effect.sync(onProgress)),
          Effect.zipRight(Effect.never),
          Effect.ensuring(Effect.sync(() => {
            hasEnded = true
          }))
        )).pipe(Effect.exit, Effect.fork)
      yield* TestClock.adjust(1_899)
      assert.isFalse(hasEnded)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(working), Exit.fail("idle"))
      assert.isTrue(hasEnded)
    }))

  it.effect("succeeds and fails as it would without the limit", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* unlessIdle(1_000, () => "idle", () => Effect.succeed(1)), 1)
      assert.deepStrictEqual(
        yield* Effect.exit(unlessIdle(1_000, () => "idle", () => Effect.fail("broken"))),
        Exit.fail("broken")
      )
    }))

  for (const jump of [-3_600_000, 3_600_000]) {
    it.effect(`has its time, though the wall clock jumps by ${jump} ms meanwhile`, () =>
      withJumpingClock((set) =>
        Effect.gen(function*() {
          const working = yield* Effect.fork(
            Effect.flip(unlessIdle(1_000, () =>
              "idle", (onProgress) =>
              Effect.sleep(900).pipe(Effect.zipRight(Effect.sync(onProgress)), Effect.zipRight(Effect.never))))
          )
          yield* TestClock.adjust(500)
          set(jump)
          yield* TestClock.adjust(1_399)
          assert.isTrue(Option.isNone(yield* Fiber.poll(working)))
          yield* TestClock.adjust(1)
          assert.strictEqual(yield* Fiber.join(working), "idle")
        })
      ))
  }
})
