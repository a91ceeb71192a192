import { assert, describe, it } from "vitest"
import { Outbox } from "../../src/shared/Outbox.js"
import { drain } from "../support/world.js"

describe("Outbox", () => {
  it("gives out what was put in, in order, and is empty then", () => {
    const outbox = new Outbox<number>()
    assert.isTrue(outbox.isEmpty)
    assert.isUndefined(outbox.shift())
    for (const round of [3, 1, 5_000, 2]) {
      const values = Array.from({ length: round }, (_, index) => index)
      for (const value of values) outbox.push(value)
      assert.isFalse(outbox.isEmpty)
      assert.deepStrictEqual(drain(outbox), values)
      assert.isTrue(outbox.isEmpty)
    }
  })

  it("takes more while it is being emptied", () => {
    const outbox = new Outbox<string>()
    outbox.push("a")
    outbox.push("b")
    assert.strictEqual(outbox.shift(), "a")
    outbox.push("c")
    assert.deepStrictEqual(drain(outbox), ["b", "c"])
    outbox.push("d")
    assert.deepStrictEqual(drain(outbox), ["d"])
  })
})
