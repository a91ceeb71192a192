/** What JSON.stringify takes is taken, and what it would lose or refuse is named. */
import { Chunk, FastCheck as fc, Option } from "effect"
import { assert, describe, it } from "vitest"
import { describeFault, maxJsonDepth, toJson, toJsonObject } from "../../src/shared/toJson.js"

const valueOf = (value: unknown): unknown => {
  const reading = toJson(value)
  return reading._tag === "Json" ? reading.value : assert.fail(describeFault(reading))
}

const faultOf = (value: unknown): string => {
  const reading = toJson(value)
  return reading._tag === "Json" ? assert.fail("it is JSON") : describeFault(reading)
}

const nested = (depth: number): unknown => {
  let value: unknown = "leaf"
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { inner: value }
  return value
}

class Point {
  readonly x = 1
  readonly #y = 2
  get y(): number {
    return this.#y
  }
}

describe("toJson", () => {
  it("gives a copy of what is JSON", () => {
    fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (json) => {
      const copy = valueOf(json)
      assert.deepStrictEqual(copy, json)
      if (typeof json === "object" && json !== null) assert.notStrictEqual(copy, json)
    }))
  })

  it("agrees with JSON.stringify wherever that loses nothing", () => {
    const odd = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>(undefined, null, NaN, -Infinity, new Date(0), new Date(NaN), Object(1), Object("s")),
        fc.integer(),
        fc.string(),
        fc.array(tie("value")),
        fc.dictionary(fc.string(), tie("value")),
        // an array: what a Date in the place of another value holds is lost to JSON.stringify
        fc.array(tie("value")).map((value) => ({ toJSON: () => value })),
        tie("value").map((value) => Object.assign(new Point(), { value }))
      )
    })).value
    fc.assert(
      fc.property(odd, (value) => {
        const text: string | undefined = JSON.stringify(value)
        assert.deepStrictEqual(valueOf(value), text === undefined ? undefined : JSON.parse(text))
      }),
      { numRuns: 1_000 }
    )
  })

  it("honours toJSON with its key, once", () => {
    const keyed = { toJSON: (key: string) => ({ key, toJSON: () => "twice" }) }
    assert.deepStrictEqual(JSON.parse(JSON.stringify({ a: [keyed] })), { a: [{ key: "0" }] })
    assert.deepStrictEqual(valueOf({ a: [keyed] }), { a: [{ key: "0" }] })
    assert.deepStrictEqual(valueOf(Option.some(1)), { _id: "Option", _tag: "Some", value: 1 })
    assert.deepStrictEqual(valueOf({ chunk: Chunk.of(1) }), { chunk: { _id: "Chunk", values: [1] } })
    assert.deepStrictEqual(
      valueOf(Object.assign(() => 1, { toJSON: () => "a function that says what it is" })),
      "a function that says what it is"
    )
  })

  it("fills holes with null, leaves out fields of an array and symbols as keys", () => {
    const list = Object.assign([1], { extra: true })
    list.length = 3
    assert.deepStrictEqual(valueOf(list), [1, null, null])
    assert.deepStrictEqual(valueOf({ [Symbol("s")]: 1, a: 1 }), { a: 1 })
  })

  it("keeps keys like __proto__ as data", () => {
    const given: unknown = JSON.parse(`{"__proto__":{"x":1},"constructor":2}`)
    const copy = valueOf(given)
    assert.strictEqual(JSON.stringify(copy), JSON.stringify(given))
    assert.strictEqual(Object.getPrototypeOf(copy), Object.prototype)
  })

  it("replaces halves of characters in texts and keys, and leaves whole ones", () => {
    assert.deepStrictEqual(valueOf({ "\ud83c": ["a\udf24", "a🌤"] }), { "\ufffd": ["a\ufffd", "a🌤"] })
  })

  it("names what is impossible, and where", () => {
    const cycle: Record<string, unknown> = {}
    cycle["list"] = [0, { cycle }]
    class Headers {
      get [Symbol.toStringTag](): string {
        return "Headers"
      }
    }
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [1n, "$ is a BigInt"],
      [Object(1n), "$ is a BigInt"],
      [{ order: { items: [0, 1, 2, { price: 1n }] } }, "$.order.items[3].price is a BigInt"],
      [cycle, "$.list[1].cycle is a cycle"],
      [{ f: () => 1 }, "$.f is a function"],
      [[Symbol("s")], "$[0] is a symbol"],
      [{ "a b": new Map() }, "$[\"a b\"] is a Map"],
      [new Set(), "$ is a Set"],
      [new WeakMap(), "$ is a WeakMap"],
      [Promise.resolve(1), "$ is a Promise"],
      [Object.assign(new Error("secret"), { code: 1 }), "$ is an Error"],
      [/x/, "$ is a RegExp"],
      [new ArrayBuffer(1), "$ is an ArrayBuffer"],
      [new Uint8Array(2), "$ is a Uint8Array"],
      [new Headers(), "$ is a Headers"],
      [{ "\n": 1n }, "$[\"\ufffd\"] is a BigInt"],
      [nested(maxJsonDepth + 1), "nested deeper than 512 levels"]
    ]
    for (const [value, fault] of cases) assert.include(faultOf(value), fault)
  })

  it("takes the greatest depth, also through what is shared", () => {
    assert.deepStrictEqual(valueOf(nested(maxJsonDepth)), nested(maxJsonDepth))
    const tail = nested(300)
    // read before at the top: its height is known then, and it stands too deep the second time
    let deep: unknown = tail
    for (let level = 0; level < 300; level++) deep = [deep]
    assert.include(faultOf({ tail, deep }), "nested deeper")
    assert.include(faultOf(nested(100_000)), "nested deeper")
  })

  it("copies what is shared once, however often", () => {
    let shared: unknown = 1
    for (let level = 0; level < 100; level++) shared = [shared, shared]
    const copy = valueOf(shared)
    assert.isTrue(Array.isArray(copy) && copy[0] === copy[1])
  })

  it("never throws, whatever a getter or a proxy does, and says where", () => {
    const thrown = new Error("secret")
    const brittle = Object.defineProperty({}, "field", {
      enumerable: true,
      get: () => {
        throw thrown
      }
    })
    const reading = toJson({ a: [brittle] })
    assert.isTrue(reading._tag === "JsonFault" && reading.cause === thrown)
    assert.strictEqual(faultOf({ a: [brittle] }), "$.a[0].field is a value that throws where it is read")
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    assert.include(faultOf({ proxy }), "$.proxy")
    const endless = { toJSON: (): unknown => ({ endless }) }
    assert.include(faultOf(endless), "nested deeper")
  })

  it("does not walk through a list that is too long for any text", () => {
    const list: Array<unknown> = []
    list.length = 2 ** 32 - 1
    assert.strictEqual(faultOf({ list }), "$.list is an array of 4294967295 items")
  })

  it("of an object with fields refuses everything else", () => {
    assert.deepStrictEqual(toJsonObject({ a: undefined }), { _tag: "Json", value: {} })
    for (
      const [value, kind] of [[[], "an array"], ["x", "a string"], [null, "null"], [undefined, "missing"]] as const
    ) {
      const reading = toJsonObject(value)
      assert.strictEqual(reading._tag === "JsonFault" ? reading.kind : undefined, kind)
    }
  })
})
