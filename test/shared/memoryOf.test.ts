/** The estimate against the heap. A budget holds only as far as the estimate is not below the truth. */
import { assert, describe, it } from "@effect/vitest"
import { jsonCopy } from "../../src/model/json.js"
import { memoryOf } from "../../src/shared/memoryOf.js"
import { toJson } from "../../src/shared/toJson.js"
import { oneIn } from "../support/fullMode.js"
import { usedHeap } from "../support/heap.js"

const list = (length: number, item: (index: number) => string) =>
  `[${Array.from({ length }, (_, index) => item(index))}]`
const object = (length: number, entry: (index: number) => string) =>
  `{${Array.from({ length }, (_, index) => entry(index))}}`
/** Differs from row to row. */
const subset = (row: number, length: number) => Array.from({ length }, (_, key) => key).filter((key) => row >> key & 1)

const count = 6_000
const hostile: Record<string, () => string> = {
  "empty objects": () => list(count, () => "{}"),
  "empty arrays": () => list(count, () => "[]"),
  "arrays of one": () => list(count, () => "[1]"),
  "arrays of one fraction": () => list(count, () => "[1.5]"),
  "integers": () => list(5 * count, () => "1"),
  "fractions": () => list(5 * count, () => "1.5"),
  "large integers": () => list(5 * count, () => "1e12"),
  "short strings": () => list(3 * count, (index) => `"${index}"`),
  "long strings": () => list(500, (index) => `"${String(index).padStart(5_000, "x")}"`),
  "long wide strings": () => list(500, (index) => `"${String(index).padStart(5_000, "ω")}"`),
  "one small object after the other": () => list(count, () => `{"a":1}`),
  "rows": () => list(count, (index) => `{"id":${index},"score":${index / 7},"name":"name ${index}","tags":["a","b"]}`),
  "one dictionary": () => object(count, (index) => `"k${index}":1`),
  "one dictionary of long keys": () => object(count, (index) => `"${String(index).padStart(50, "k")}":1`),
  "one dictionary of indexes": () => object(2 * count, (index) => `"${index}":1`),
  "one dictionary of sparse indexes": () => object(count, (index) => `"${5_000 * index}":1`),
  "objects each with another key": () => list(count, (index) => `{"k${index}":1}`),
  "objects each with other keys": () => list(count / 10, (row) => object(10, (key) => `"k${row}_${key}":1`)),
  "objects each with other keys of a few": () =>
    list(count / 10, (row) => `{${subset(row, 12).map((key) => `"${"abcdefghijkl"[key]}":1`)}}`),
  "objects of 20 keys": () => list(2_000, () => object(20, (key) => `"k${key}":1`)),
  "objects of 200 keys": () => list(300, () => object(200, (key) => `"k${key}":1`)),
  "objects with one index": () => list(count / 10, () => `{"320":1}`),
  "objects with one larger index": () => list(count / 10, () => `{"1000":1}`),
  "objects with one huge index": () => list(count / 10, () => `{"100000":1}`),
  "objects with some indexes": () => list(500, () => object(60, (key) => `"${8 * key}":1`)),
  "nested arrays": () => list(count / 500, () => "[".repeat(500) + "]".repeat(500)),
  "nested objects": () => list(count / 500, () => `{"a":`.repeat(500) + "1" + "}".repeat(500))
}

/** Whether the estimate of what is made passes. Code that is compiled meanwhile is on the heap too: a second look is free of it. */
const passes = (make: () => unknown, test: (estimate: number, bytes: number) => boolean): boolean => {
  for (let attempt = 0; attempt < 6; attempt++) {
    const before = usedHeap()
    const value = make()
    const bytes = usedHeap() - before
    if (test(memoryOf(value), bytes)) return true
  }
  return false
}

/** Objects without a prototype, as some parsers make them. */
const bare = (text: string): unknown =>
  JSON.parse(text, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.assign(Object.create(null), value)
      : value)

const isEnough = (make: () => unknown) => {
  assert.isTrue(passes(make, (estimate, bytes) => estimate >= 0.7 * bytes))
}

describe("memoryOf", () => {
  for (const [name, text] of oneIn(6, Object.entries(hostile))) {
    it(`is not far below what ${name} hold, however it was made`, () => {
      const json = text()
      isEnough(() => JSON.parse(json))
      isEnough(() => toJson(JSON.parse(json)))
    })
  }

  it("is not far below what objects without a prototype hold", () => {
    for (const size of [0, 1, 5, 20]) {
      const json = list(2_000, () => object(size, (key) => `"k${key}":1`))
      isEnough(() => bare(json))
      isEnough(() => jsonCopy(bare(json)))
    }
  })

  it("is not far above what an ordinary value holds", () => {
    const json = list(count, (index) => `{"id":"user ${index}","name":"name ${index}","tags":["a","b"]}`)
    assert.isTrue(passes(() => jsonCopy(JSON.parse(json)), (estimate, bytes) => estimate <= 2 * bytes))
  })

  it("counts text by its length: one byte a unit, two where it has to be", () => {
    assert.strictEqual(memoryOf(""), 0)
    assert.strictEqual(memoryOf("é".repeat(1_000)), 1_016)
    assert.strictEqual(memoryOf("ω".repeat(1_000)), 2_016)
  })

  it("counts what is shared once, and ends on a cycle", () => {
    const shared = Array.from({ length: 1_000 }, () => ({}))
    assert.isBelow(memoryOf([shared, shared, shared]), memoryOf(shared) + 200)
    const cycle: Array<unknown> = []
    cycle.push(cycle)
    assert.isBelow(memoryOf(cycle), 200)
  })

  it("is nothing for what is in the place itself", () => {
    for (const value of [null, undefined, true, 0, -1]) assert.strictEqual(memoryOf(value), 0)
  })

  it("does not look into a value that is not JSON", () => {
    class Rows {
      rows = Array.from({ length: 1_000 }, () => ({}))
      get broken(): never {
        throw new Error("read")
      }
    }
    assert.isBelow(memoryOf([new Rows(), new Map([[1, "x".repeat(5_000)]]), () => "code"]), 2_000)
    assert.isAtLeast(memoryOf(new Error("m".repeat(10_000))), 10_000)
  })

  it("stops beyond its limit", () => {
    const value = Array.from({ length: 100_000 }, () => ({}))
    const within = memoryOf(value, 1_000)
    assert.isAbove(within, 1_000)
    assert.isBelow(within, 2 * 800_064)
    const wide = Array.from({ length: 100_000 }, () => [1])
    assert.strictEqual(memoryOf(wide, Infinity), memoryOf(wide))
  })
})
