/** Whatever ends an iterator closes its scope, which is its subscription. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime, Scope, Stream } from "effect"
import { iterate, runOver } from "../../src/promise/internal/running.js"
import { makeSignal, rejection } from "./support.js"

const run = runOver(Runtime.defaultRuntime)

const endless = Stream.concat(Stream.make(1, 2), Stream.never)

const iterator = async (signal?: AbortSignal, stream: Stream.Stream<number> = endless) => {
  const closed = makeSignal()
  const scope = await run(Scope.make())
  await run(Scope.addFinalizer(scope, Effect.sync(closed.resolve)))
  return { elements: iterate(run, stream, scope, signal), closed }
}

describe("an iterator is closed", () => {
  it("by return, though it was never read", async () => {
    const { closed, elements } = await iterator()
    await elements.return()
    await closed.promise
  })

  it("by leaving the loop", async () => {
    const { closed, elements } = await iterator()
    for await (const element of elements) {
      if (element === 1) break
    }
    await closed.promise
  })

  it("by the end of its stream", async () => {
    const { closed, elements } = await iterator(undefined, Stream.make(1))
    for await (const element of elements) assert.strictEqual(element, 1)
    await closed.promise
  })

  it("by the end of an `await using` block, while somebody waits", async () => {
    const { closed, elements } = await iterator()
    {
      await using _elements = elements
      assert.deepStrictEqual([await elements.next(), await elements.next()].map(({ value }) => value), [1, 2])
      elements.next().then(() => undefined, () => undefined)
    }
    await closed.promise
  })

  it("by an abort, whether its reader waits, has gone, or never came", async () => {
    for (const reads of [0, 1, 3]) {
      const controller = new AbortController()
      const { closed, elements } = await iterator(controller.signal)
      const results = Array.from({ length: reads }, () => elements.next())
      for (const result of results.slice(0, 2)) await result
      controller.abort("enough")
      await closed.promise
      for (const result of results.slice(2)) assert.strictEqual(await rejection(result), "enough")
    }
  })

  it("by a signal that was aborted before the iterator was made", async () => {
    const { closed, elements } = await iterator(AbortSignal.abort("enough"))
    await closed.promise
    assert.strictEqual(await rejection(elements.next()), "enough")
  })
})
