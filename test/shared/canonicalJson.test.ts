import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import { jsonEquals } from "../../src/model/json.js"
import { canonicalJson } from "../../src/shared/canonicalJson.js"

const textOf = (value: unknown) => canonicalJson(value, 1_000)

describe("canonicalJson", () => {
  it("is the same for values that are the same, and only for them", () => {
    const json = fc.jsonValue({ maxDepth: 3 })
    fc.assert(fc.property(json, json, (one, other) => {
      assert.strictEqual(canonicalJson(one, 1e6) === canonicalJson(other, 1e6), jsonEquals(one, other))
      assert.strictEqual(canonicalJson(one, 1e6), canonicalJson(JSON.parse(JSON.stringify(one)), 1e6))
    }))
  })

  it("does not look at the order of keys, and takes every key for data", () => {
    const parsed: unknown = JSON.parse(`{"b":[1,{"__proto__":2,"a":null}],"a":"x"}`)
    const other: unknown = JSON.parse(`{"a":"x","b":[1,{"a":null,"__proto__":2}]}`)
    assert.strictEqual(textOf(parsed), `{"a":"x","b":[1,{"__proto__":2,"a":null}]}`)
    assert.strictEqual(textOf(parsed), textOf(other))
  })

  it("tells apart what JSON.stringify makes one, and not the two zeros", () => {
    const texts = [null, NaN, Infinity, -Infinity, undefined, "undefined", "null", 0, "0", [], {}, [null], [[]]].map(
      textOf
    )
    assert.strictEqual(new Set(texts).size, texts.length)
    assert.strictEqual(textOf(-0), textOf(0))
  })

  it("is undefined for what has no end, is too deep or too long, and is quick to say so", () => {
    const cyclic: { self?: unknown; again?: unknown } = {}
    cyclic.self = cyclic
    cyclic.again = cyclic
    let deep: unknown = 0
    for (let depth = 0; depth < 513; depth++) deep = [deep]
    let shared: unknown = "x"
    for (let depth = 0; depth < 100; depth++) shared = [shared, shared]
    for (const value of [cyclic, deep, shared, "x".repeat(1_000), { ["x".repeat(1_000)]: 1 }]) {
      assert.isUndefined(textOf(value))
    }
    assert.isDefined(textOf("x".repeat(998)))
  })
})
