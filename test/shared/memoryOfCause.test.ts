import { assert, describe, it } from "vitest"
import { memoryOfCause } from "../../src/shared/memoryOfCause.js"

const large = "x".repeat(1_000_000)
const page = new Error("no", { cause: { body: large } })

const cycle: Record<string, unknown> = { text: large }
cycle["self"] = cycle

describe("memoryOfCause", () => {
  const cases: ReadonlyArray<readonly [what: string, cause: unknown]> = [
    ["a text", large],
    ["a field", { response: { body: large } }],
    ["the message of an error", new Error(large)],
    ["the cause of an error", page],
    ["several errors", new AggregateError([page])],
    ["a map", new Map([["body", large]])],
    ["a set", new Set([large])],
    ["bytes", new Uint8Array(1_000_000)],
    ["a buffer", { body: new ArrayBuffer(1_000_000) }],
    ["a symbol", { [Symbol("hidden")]: large }],
    ["a cycle", cycle]
  ]
  for (const [what, cause] of cases) {
    it(`counts what ${what} holds, once`, () => {
      const bytes = memoryOfCause(cause, Infinity)
      assert.isAtLeast(bytes, 1_000_000)
      assert.isAtMost(bytes, 2_100_000)
    })
  }

  it("calls no getter, and survives a proxy that throws", () => {
    const refuse = (): never => {
      throw new Error("looked at")
    }
    assert.isBelow(memoryOfCause(Object.defineProperty({}, "body", { get: refuse, enumerable: true }), Infinity), 1_000)
    assert.strictEqual(memoryOfCause(new Proxy({}, { ownKeys: refuse }), Infinity), 0)
  })

  it("stops at the limit, and does not look into a whole program", () => {
    const many = Array.from({ length: 1_000_000 }, () => ({}))
    assert.isBelow(memoryOfCause(many, Infinity), 1_000_000)
    let looked = 0
    const rest = new Proxy({}, {
      ownKeys: () => {
        looked++
        return []
      }
    })
    memoryOfCause({ body: large, rest: { rest } }, 1_000)
    assert.strictEqual(looked, 0)
  })
})
