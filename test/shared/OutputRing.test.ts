/** The newest bytes of what a task writes: bounded, and cut between characters. */
import { FastCheck as fc } from "effect"
import type { OutputRange } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import { OutputRing } from "../../src/shared/OutputRing.js"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
const bytesOf = (text: string): number => encoder.encode(text).length

const ringOf = (limit: number, ...chunks: ReadonlyArray<string>): OutputRing => {
  const ring = new OutputRing(limit)
  for (const chunk of chunks) ring.write(chunk)
  return ring
}

const textOf = (ring: OutputRing, range: OutputRange = {}): string => ring.read(range).text

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** What a ring without any cleverness would answer: everything that was written, cut. */
const expected = (written: string, limit: number, { maxBytes = Infinity, start: from }: OutputRange) => {
  const bytes = encoder.encode(written)
  const total = bytes.length
  let start = Math.min(total, Math.max(total - limit, 0, from ?? total - maxBytes))
  while (isContinuation(bytes[start])) start++
  let end = Math.min(total, start + maxBytes)
  while (end > start && isContinuation(bytes[end])) end--
  if (end === start && from !== undefined && maxBytes > 0 && start < total) {
    end++
    while (isContinuation(bytes[end])) end++
  }
  return { text: decoder.decode(bytes.subarray(start, end)), start, end, total }
}

describe("an output ring", () => {
  it("is empty at first", () => {
    assert.deepStrictEqual(ringOf(10).read({}), { text: "", start: 0, end: 0, total: 0 })
  })

  it("keeps the newest bytes and counts all of them", () => {
    const ring = ringOf(8, "abcde", "fghij", "kl")
    assert.deepStrictEqual(ring.read({}), { text: "efghijkl", start: 4, end: 12, total: 12 })
  })

  it("gives the newest bytes, or those from a start; what is dropped is skipped", () => {
    const ring = ringOf(8, "abcdefghijkl")
    assert.deepStrictEqual(ring.read({ maxBytes: 3 }), { text: "jkl", start: 9, end: 12, total: 12 })
    assert.deepStrictEqual(ring.read({ start: 6, maxBytes: 3 }), { text: "ghi", start: 6, end: 9, total: 12 })
    assert.deepStrictEqual(ring.read({ start: 1, maxBytes: 3 }), { text: "efg", start: 4, end: 7, total: 12 })
    assert.deepStrictEqual(ring.read({ start: 12 }), { text: "", start: 12, end: 12, total: 12 })
    assert.deepStrictEqual(ring.read({ start: 99, maxBytes: 1 }), { text: "", start: 12, end: 12, total: 12 })
    assert.deepStrictEqual(ring.read({ maxBytes: 0 }), { text: "", start: 12, end: 12, total: 12 })
  })

  it("cuts between characters: the start moves forward, the end back", () => {
    const ring = ringOf(100, "\u20ac\ud83d\ude80\u00e9")
    assert.deepStrictEqual(ring.read({ start: 1 }), { text: "\ud83d\ude80\u00e9", start: 3, end: 9, total: 9 })
    assert.deepStrictEqual(ring.read({ start: 0, maxBytes: 6 }), { text: "\u20ac", start: 0, end: 3, total: 9 })
    // at least one whole character from a start on
    assert.deepStrictEqual(ring.read({ start: 3, maxBytes: 3 }), { text: "\u{1f680}", start: 3, end: 7, total: 9 })
    assert.deepStrictEqual(ring.read({ start: 3, maxBytes: 0 }), { text: "", start: 3, end: 3, total: 9 })
    assert.deepStrictEqual(ring.read({ maxBytes: 5 }), { text: "\u00e9", start: 7, end: 9, total: 9 })
  })

  it("skips what is left of a character that was dropped in part", () => {
    const ring = ringOf(4, "\u20ac\u20ac")
    assert.deepStrictEqual(ring.read({}), { text: "\u20ac", start: 3, end: 6, total: 6 })
  })

  it("reads characters across the seam of the ring", () => {
    const ring = ringOf(256, "x".repeat(250))
    ring.write("\u20ac\u20ac\u20ac\u20ac")
    assert.strictEqual(textOf(ring), `${"x".repeat(244)}\u20ac\u20ac\u20ac\u20ac`)
    assert.strictEqual(textOf(ring, { maxBytes: 8 }), "\u20ac\u20ac")
  })

  it("joins a character whose halves come in two writes in a row", () => {
    const ring = ringOf(100, "a\ud83d")
    assert.deepStrictEqual(ring.read({}), { text: "a", start: 0, end: 1, total: 1 })
    ring.write("")
    ring.write("\ude80b")
    assert.deepStrictEqual(ring.read({}), { text: "a\ud83d\ude80b", start: 0, end: 6, total: 6 })
  })

  it("replaces a half that stays alone", () => {
    assert.strictEqual(textOf(ringOf(100, "a\ud83d", "b")), "a\ufffdb")
    assert.strictEqual(textOf(ringOf(100, "a\ude80b")), "a\ufffdb")
    assert.strictEqual(textOf(ringOf(100, "\ud83d", "\ud83d", "\ude80")), "\ufffd\ud83d\ude80")
    const last = ringOf(100, "a\ud83d")
    last.close()
    assert.deepStrictEqual(last.read({}), { text: "a\ufffd", start: 0, end: 4, total: 4 })
  })

  it("keeps a byte order mark", () => {
    assert.strictEqual(textOf(ringOf(100, "\ufeffa")), "\ufeffa")
  })

  it("keeps the newest bytes of a chunk that is larger than itself, and no copy of the rest", () => {
    const ring = ringOf(10, "before", `${"x".repeat(1_000_000)}\u20ac end`)
    assert.deepStrictEqual(ring.read({}), {
      text: "xxx\u20ac end",
      start: 1_000_003,
      end: 1_000_013,
      total: 1_000_013
    })
    assert.strictEqual(ring.memory, 10)
  })

  it("does not split a character where it takes a large chunk apart", () => {
    const text = `${"x".repeat(16_383)}\ud83d\ude80${"y".repeat(16_384)}`
    assert.strictEqual(textOf(ringOf(100_000, text)), text)
  })

  it("of size 0 counts bytes and keeps none", () => {
    const ring = ringOf(0, "a", "bc\ud83d")
    assert.deepStrictEqual(ring.read({}), { text: "", start: 3, end: 3, total: 3 })
    ring.close()
    assert.deepStrictEqual(ring.read({ start: 1 }), { text: "", start: 6, end: 6, total: 6 })
  })

  it("grows by doubling up to its limit, and shrinks when it is closed", () => {
    const ring = ringOf(1_000)
    const sizes = new Set<number>()
    for (let i = 0; i < 2_000; i++) {
      ring.write("x")
      sizes.add(ring.memory)
    }
    assert.deepStrictEqual([...sizes], [256, 512, 1_000])
    const small = ringOf(1_000, "x".repeat(300))
    small.close()
    assert.strictEqual(small.memory, 300)
    assert.strictEqual(small.read({}).text, "x".repeat(300))
  })

  it("that is forgotten still knows how much there was", () => {
    const ring = ringOf(100, "abc")
    ring.close()
    ring.forget()
    assert.deepStrictEqual(ring.read({}), { text: "", start: 3, end: 3, total: 3 })
    assert.strictEqual(ring.memory, 0)
  })

  it("answers for any chunks and ranges as if everything were kept and then cut", () => {
    const character = fc.constantFrom("a", "\u00e9", "\u20ac", "\ud83d\ude80", "\ud83d", "\ude80", "\ufeff", "\n")
    const chunk = fc.oneof(
      { weight: 9, arbitrary: fc.array(character, { maxLength: 12 }).map((all) => all.join("")) },
      { weight: 1, arbitrary: character.map((one) => one.repeat(20_000)) }
    )
    const position = fc.option(fc.nat(400), { nil: undefined })
    fc.assert(fc.property(
      fc.array(chunk, { maxLength: 40 }),
      fc.constantFrom(0, 1, 2, 3, 4, 7, 256, 300, 1_000),
      fc.array(fc.record({ start: position, maxBytes: position }), { minLength: 1, maxLength: 5 }),
      (chunks, limit, ranges) => {
        const ring = ringOf(limit, ...chunks)
        const written = chunks.join("")
        const last = written.charCodeAt(written.length - 1)
        const complete = last >= 0xd800 && last < 0xdc00 ? written.slice(0, -1) : written
        for (const range of ranges) assert.deepStrictEqual(ring.read(range), expected(complete, limit, range))
        assert.isAtMost(ring.size, limit)
        assert.isAtMost(ring.memory, Math.max(limit, 0))
        ring.close()
        for (const range of ranges) {
          const read = ring.read(range)
          assert.deepStrictEqual(read, expected(written, limit, range))
          assert.strictEqual(bytesOf(read.text), read.end - read.start)
        }
        assert.strictEqual(ring.memory, ring.size)
      }
    ))
  })
})
