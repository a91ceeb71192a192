/** JSON from outside: deep, cyclic, with keys that are data. */
import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import { emptyMetadata, isJson, isMetadata, jsonCopy, jsonEquals, shownInput } from "../../src/model/json.js"
import { printable } from "../../src/shared/text.js"
import { maxJsonDepth } from "../../src/shared/toJson.js"

const nested = (depth: number): unknown => {
  let value: unknown = "leaf"
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { inner: value }
  return value
}

const parsed = (text: string): unknown => JSON.parse(text)

const cycle = (): unknown => {
  const parent: Record<string, unknown> = {}
  // two references each way: a walk that does not notice doubles at every level
  parent["left"] = { parent, other: parent }
  parent["right"] = { parent, other: parent }
  return parent
}

const value = fc.jsonValue({ maxDepth: 4 })

describe("isJson", () => {
  it("takes every JSON value", () => {
    fc.assert(fc.property(value, (json) => assert.isTrue(isJson(json))))
    assert.isTrue(isJson(Object.create(null)))
    assert.isTrue(isJson(-0))
  })

  it("refuses everything else, at any place", () => {
    const others: ReadonlyArray<unknown> = [
      undefined,
      NaN,
      Infinity,
      -Infinity,
      1n,
      Symbol("no"),
      () => 1,
      new Date(0),
      new Map(),
      new Set(),
      /x/,
      new (class Own {
        x = 1
      })(),
      Object.create({ inherited: 1 }),
      new Error("no")
    ]
    for (const other of others) {
      assert.isFalse(isJson(other))
      assert.isFalse(isJson([1, other]))
      assert.isFalse(isJson({ a: { b: [other] } }))
    }
  })

  it("takes the greatest depth and refuses one more", () => {
    assert.isTrue(isJson(nested(maxJsonDepth)))
    assert.isFalse(isJson(nested(maxJsonDepth + 1)))
  })

  it("refuses 100 000 levels without overflowing the stack", () => {
    assert.isFalse(isJson(nested(100_000)))
  })

  it("refuses cycles, also where every node refers to its parent twice", () => {
    const self: Array<unknown> = []
    self.push(self)
    assert.isFalse(isJson(self))
    assert.isFalse(isJson(cycle()))
  })

  it("takes a value that is shared, however often", () => {
    let shared: unknown = 1
    for (let level = 0; level < 100; level++) shared = [shared, shared]
    assert.isTrue(isJson(shared))
  })

  it("looks at keys like __proto__", () => {
    assert.isTrue(isJson(parsed(`{"__proto__":{"x":1},"constructor":2}`)))
    const hidden = {}
    Object.defineProperty(hidden, "__proto__", { value: () => 1, enumerable: true })
    assert.isFalse(isJson(hidden))
  })
})

describe("isMetadata", () => {
  it("is an object of JSON values", () => {
    assert.isTrue(isMetadata({}))
    assert.isTrue(isMetadata({ a: [1] }))
    assert.isTrue(isMetadata(Object.create(null)))
    assert.isTrue(isMetadata(emptyMetadata))
    for (const other of [null, undefined, [], "x", 1, new Map(), { a: undefined }, { a: () => 1 }]) {
      assert.isFalse(isMetadata(other))
    }
  })

  it("the empty one cannot be changed", () => {
    assert.isTrue(Object.isFrozen(emptyMetadata))
    assert.deepStrictEqual(emptyMetadata, {})
  })
})

describe("jsonEquals", () => {
  it("is reflexive, also for a copy through text", () => {
    fc.assert(fc.property(value, (json) => {
      assert.isTrue(jsonEquals(json, json))
      assert.isTrue(jsonEquals(json, parsed(JSON.stringify(json))))
    }))
  })

  it("agrees with a comparison of the sorted texts, both ways round", () => {
    const sorted = (json: unknown): string =>
      JSON.stringify(json, (_, inner: unknown) =>
        typeof inner === "object" && inner !== null && !Array.isArray(inner)
          ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
          : inner)
    const small = fc.jsonValue({ maxDepth: 2, stringUnit: fc.constantFrom("a", "b") })
    fc.assert(
      fc.property(small, small, (left, right) => {
        const same = sorted(left) === sorted(right)
        assert.strictEqual(jsonEquals(left, right), same)
        assert.strictEqual(jsonEquals(right, left), same)
      }),
      { numRuns: 1_000 }
    )
  })

  it("knows what JSON tells apart, and what it does not", () => {
    assert.isTrue(jsonEquals({ a: 1, b: 2 }, { b: 2, a: 1 }))
    assert.isTrue(jsonEquals(0, -0))
    const different: ReadonlyArray<readonly [unknown, unknown]> = [
      [[1, 2], [2, 1]],
      [[1], [1, 2]],
      [{ a: 1 }, { a: 1, b: undefined }],
      [{ a: 1, b: 1 }, { a: 1, c: 1 }],
      [{}, []],
      [{ 0: "a" }, ["a"]],
      [null, {}],
      [null, undefined],
      ["1", 1],
      [1, true],
      [{ a: { b: [1, { c: 2 }] } }, { a: { b: [1, { c: 3 }] } }]
    ]
    for (const [left, right] of different) {
      assert.isFalse(jsonEquals(left, right))
      assert.isFalse(jsonEquals(right, left))
    }
  })

  it("compares keys like __proto__ as data", () => {
    const left = parsed(`{"__proto__":{"x":1}}`)
    assert.isTrue(jsonEquals(left, parsed(`{"__proto__":{"x":1}}`)))
    assert.isFalse(jsonEquals(left, parsed(`{"__proto__":{"x":2}}`)))
    assert.isFalse(jsonEquals(left, {}))
    assert.isFalse(jsonEquals({ toString: 1 }, { a: 1 }))
    assert.isFalse(jsonEquals({ a: 1 }, { toString: 1 }))
  })

  it("compares 100 000 levels without overflowing the stack", () => {
    assert.isTrue(jsonEquals(nested(100_000), nested(100_000)))
    assert.isFalse(jsonEquals(nested(100_000), nested(100_001)))
  })

  it("ends for cycles", () => {
    assert.isTrue(jsonEquals(cycle(), cycle()))
    assert.isFalse(jsonEquals(cycle(), { left: 1, right: 2 }))
  })

  /** Fails once the object was looked through so often. */
  const lookedAt = (object: object, atMost: number): object => {
    let looks = 0
    return new Proxy(object, {
      ownKeys: (target) => {
        if (++looks > atMost) throw new Error(`it was looked through more than ${atMost} times`)
        return Reflect.ownKeys(target)
      }
    })
  }

  it("ends for a cycle of one object and one of several, which no walk can tell apart", () => {
    const one: Record<string, unknown> = {}
    const self = lookedAt(one, 100)
    one["next"] = self
    const ring = (end: object): object => {
      const last: Record<string, unknown> = { ...end }
      const first = { next: { next: last } }
      last["next"] = first
      return first
    }
    assert.isTrue(jsonEquals(self, ring({})))
    assert.isTrue(jsonEquals(ring({}), self))
    assert.isFalse(jsonEquals(self, ring({ more: 1 })))
    assert.isFalse(jsonEquals(ring({ more: 1 }), self))
  })

  it("compares what stands in many places with few others", () => {
    let shared: object = {}
    let several: ReadonlyArray<object> = [{}, {}]
    for (let level = 0; level < 40; level++) {
      shared = lookedAt([shared, shared], 10)
      several = [[...several], [...several]]
    }
    assert.isTrue(jsonEquals(shared, several[0]))
    assert.isTrue(jsonEquals(several[0], shared))
  })
})

describe("shownInput", () => {
  it("is what the JSON of the input says, frozen all through", () => {
    const shown = (input: unknown) => {
      const reading = shownInput(input)
      return reading._tag === "Json" ? reading.value : reading.kind
    }
    fc.assert(fc.property(value, (json) => assert.deepStrictEqual(shown(json), json)))
    assert.isNull(shown(undefined))
    assert.deepStrictEqual(shown({ amount: Infinity, at: [NaN, undefined] }), { amount: null, at: [null, null] })
    const inner = {}
    const copy = shown({ inner })
    assert.isTrue(
      Object.isFrozen(copy) && Object.isFrozen(Reflect.get(Object(copy), "inner")) && !Object.isFrozen(inner)
    )
  })

  it("is a fault where there is no JSON, or too much of it", () => {
    const kinds = [cycle(), nested(maxJsonDepth + 1), { map: new Map() }].map((input) => {
      const reading = shownInput(input)
      return reading._tag === "JsonFault" ? [reading.kind, reading.isEndless] : reading
    })
    assert.deepStrictEqual(kinds, [
      ["a cycle", true],
      [`nested deeper than ${maxJsonDepth} levels`, true],
      ["a Map", false]
    ])
    let doubled: unknown = "text"
    for (let level = 0; level < 40; level++) doubled = [doubled, doubled]
    assert.strictEqual(shownInput(doubled)._tag, "JsonFault")
  })
})

describe("jsonCopy", () => {
  const objectsOf = (json: unknown): Array<object> =>
    typeof json === "object" && json !== null ? [json, ...Object.values(json).flatMap(objectsOf)] : []

  it("equals what it copies and shares nothing with it", () => {
    fc.assert(fc.property(value, (json) => {
      const copy = jsonCopy(json)
      assert.deepStrictEqual(copy, json)
      const originals = new Set(objectsOf(json))
      assert.isTrue(objectsOf(copy).every((object) => !originals.has(object) && !Object.isFrozen(object)))
    }))
  })

  it("is frozen all through when asked for, and leaves the original alone", () => {
    fc.assert(fc.property(value, (json) => {
      const copy = jsonCopy(json, { freeze: true })
      assert.deepStrictEqual(copy, json)
      assert.isTrue(objectsOf(copy).every((object) => Object.isFrozen(object)))
      assert.isTrue(objectsOf(json).every((object) => !Object.isFrozen(object)))
    }))
  })

  it("copies keys like __proto__ as data", () => {
    const copy = jsonCopy(parsed(`{"__proto__":{"isAdmin":true},"a":{"constructor":1}}`))
    assert.strictEqual(JSON.stringify(copy), `{"__proto__":{"isAdmin":true},"a":{"constructor":1}}`)
    assert.strictEqual(Object.getPrototypeOf(copy), Object.prototype)
    assert.isUndefined(Reflect.get(copy as object, "isAdmin"))
  })

  it("keeps an object without a prototype as it is", () => {
    assert.isNull(Object.getPrototypeOf(jsonCopy(Object.assign(Object.create(null), { a: 1 }))))
  })

  it("copies 100 000 levels without overflowing the stack", () => {
    const original = nested(100_000)
    assert.isTrue(jsonEquals(jsonCopy(original, { freeze: true }), original))
  })

  it("copies cycles as cycles", () => {
    const self: Array<unknown> = [1]
    self.push(self)
    const copy = jsonCopy(self)
    assert.isTrue(Array.isArray(copy) && copy[1] === copy && copy !== self)
  })

  it("does not change a value that is not JSON", () => {
    const date = new Date(0)
    assert.deepStrictEqual(jsonCopy({ date, f: undefined }), { date, f: undefined })
    const copy = jsonCopy([date], { freeze: true })
    assert.isTrue(Array.isArray(copy) && copy[0] === date && !Object.isFrozen(date))
  })
})

describe("printable", () => {
  it("forges no lines and moves no cursors", () => {
    assert.strictEqual(
      printable("a\nb\u001b[2Jc\u2028d\u0085e\u007ff\tg"),
      "a\ufffdb\ufffd[2Jc\ufffdd\ufffde\ufffdf\ufffdg"
    )
    assert.strictEqual(printable("plain ünïcode 🎉"), "plain ünïcode 🎉")
  })

  it("hides nothing, and has no halves of characters", () => {
    assert.strictEqual(printable("a\u200bb\u{e0041}c\u3164d"), "a\ufffdb\ufffdc\ufffdd")
    assert.strictEqual(printable(`${"x".repeat(199)}🎉`), `${"x".repeat(199)}\ufffd`)
  })

  it("is at most 200 characters long", () => {
    assert.lengthOf(printable("x".repeat(1_000)), 200)
  })
})
