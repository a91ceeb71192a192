/** The calls of clients as a runner carries them out. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Runtime } from "effect"
import { Calls } from "../../src/cluster/internal/calls.js"
import { rested } from "./support.js"

const options = { isKept: true, news: () => [] }

const make = Effect.gen(function*() {
  const runtime = yield* Effect.runtime<never>()
  const calls = new Calls((self) => Runtime.runFork(runtime)(self))
  let runs = 0
  const ended = yield* Deferred.make<void>()
  const self = Effect.zipRight(Effect.sync(() => void runs++), Effect.never).pipe(
    Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
  )
  const asking = yield* Effect.fork(calls.answer("call", self, options))
  yield* rested
  return { calls, asking, ended, self, runs: () => runs }
})

describe("a call that its client does not make again", () => {
  it.live("goes on between two tries, until its client says so", () =>
    Effect.gen(function*() {
      const { asking, calls, ended, runs, self } = yield* make
      // the runner lets nobody wait any longer
      calls.leave()
      assert.deepStrictEqual(yield* Fiber.join(asking), { _tag: "Waiting" })
      yield* calls.answer("call", self, options)
      assert.strictEqual(runs(), 1)
      calls.drop(["another", "call"])
      yield* Deferred.await(ended)
    }))

  it.live("is not ended while somebody asks for it", () =>
    Effect.gen(function*() {
      const { asking, calls, ended } = yield* make
      calls.drop(["call"])
      yield* rested
      assert.isFalse(yield* Deferred.isDone(ended))
      yield* Fiber.interrupt(asking)
      assert.isTrue(yield* Deferred.isDone(ended))
    }))
})
