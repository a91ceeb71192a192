/** An entity is built whole, or nothing of it is left. */
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { assert } from "vitest"
import { wholeOrNothing } from "../../src/cluster/internal/wholeOrNothing.js"

/** Building takes until it is told to go on. */
const entity = Effect.gen(function*() {
  const said: Array<string> = []
  const begun = yield* Deferred.make<void>()
  const goOn = yield* Deferred.make<void>()
  const build = wholeOrNothing(Effect.gen(function*() {
    yield* Effect.addFinalizer(() => Effect.sync(() => void said.push("closed")))
    yield* Deferred.succeed(begun, undefined)
    yield* Deferred.await(goOn)
    return "built"
  }))
  return { said, begun, goOn, build }
})

describe("wholeOrNothing", () => {
  it.effect("what was built is closed with the scope of the entity", () =>
    Effect.gen(function*() {
      const { build, goOn, said } = yield* entity
      const scope = yield* Scope.make()
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual(yield* Scope.extend(build, scope), "built")
      assert.deepStrictEqual(said, [])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(said, ["closed"])
    }))

  it.effect("where its builder is interrupted, it is closed although nobody closes the scope", () =>
    Effect.gen(function*() {
      const { begun, build, goOn, said } = yield* entity
      const scope = yield* Scope.make()
      const building = yield* Effect.fork(Scope.extend(build, scope))
      yield* Deferred.await(begun)
      const interrupted = yield* Effect.fork(Fiber.interrupt(building))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(goOn, undefined)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupted)))
      assert.deepStrictEqual(said, ["closed"])
    }))

  it.effect("where it cannot be built, what there is of it is closed", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const scope = yield* Scope.make()
      const build = wholeOrNothing(
        Effect.zipRight(Effect.addFinalizer(() => Effect.sync(() => void said.push("closed"))), Effect.fail("no"))
      )
      assert.deepStrictEqual(yield* Effect.exit(Scope.extend(build, scope)), Exit.fail("no"))
      assert.deepStrictEqual(said, ["closed"])
    }))
})
