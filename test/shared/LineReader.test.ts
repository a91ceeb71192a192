/** Lines out of bytes, however they are cut: each line is one to itself, and of one that is too long its id is known, and which message it is. */
import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { type Line, LineReader } from "../../src/shared/stdio/LineReader.js"

const encoder = new TextEncoder()

const read = (text: string | Uint8Array, cuts: ReadonlyArray<number> = [], max = 1_000): ReadonlyArray<Line> => {
  const bytes = typeof text === "string" ? encoder.encode(text) : text
  const reader = new LineReader(max)
  const lines: Array<Line> = []
  let from = 0
  for (const to of [...cuts].sort((one, other) => one - other)) {
    lines.push(...reader.push(bytes.subarray(from, to)))
    from = Math.max(from, to)
  }
  return [...lines, ...reader.push(bytes.subarray(from)), ...reader.flush()]
}

const texts = (lines: ReadonlyArray<Line>) => lines.map((line) => line._tag === "Line" ? line.text : line.id)

describe("lines", () => {
  it("are the same wherever the bytes are cut, between the bytes of a character too", () => {
    fc.assert(fc.property(
      fc.array(fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replaceAll("\n", "")), {
        minLength: 1
      }),
      fc.array(fc.nat({ max: 100 })),
      (given, cuts) => {
        const kept = given.filter((text) => text !== "")
        const lines = read(kept.map((text) => `${text}\n`).join(""), cuts)
        assert.deepStrictEqual(texts(lines), kept)
      }
    ))
  })

  it("may end with the stream, or be half of a message, or no text at all", () => {
    assert.deepStrictEqual(texts(read("one\ntw")), ["one", "tw"])
    assert.deepStrictEqual(texts(read("\r\n\n")), ["\r", ""])
    assert.deepStrictEqual(texts(read(new Uint8Array([0xff, 0xe2, 0x82, 10, 0x61, 10]))), ["\ufffd\ufffd", "a"])
    assert.deepStrictEqual(read(""), [])
  })
})

describe("a line that is too long", () => {
  const filler = "x".repeat(500)
  const idOf = (text: string, cuts: ReadonlyArray<number> = []) => read(`${text}\n{"id":9}\n`, cuts, 100)[0]

  it("is named by its kind and id, wherever they stand, and the next one is whole", () => {
    for (
      const [text, kind, id] of [
        [`{"jsonrpc":"2.0","id":7,"method":"m","params":{"text":"${filler}"}}`, "Request", 7],
        [
          `{"method":"m","params":{"id":1,"text":"${filler}","deep":[{"id":2}]} , "id" : "seven" }`,
          "Request",
          "seven"
        ],
        [`{"method":"m","params":"\\"id\\":3,{${filler}","id":-4.5}`, "Request", -4.5],
        [`{"id":{"id":1},"method":"${filler}"}`, "Request", null],
        [`{"id":7,"method":"${filler}`, "Request", 7],
        [`{"method":"m","params":{"id":1,"text":"${filler}"}}`, "Notification", null],
        [`{"params":"${filler}" , "method" : "m"}`, "Notification", null],
        [`{"jsonrpc":"2.0","id":1,"result":{"method":"m","text":"${filler}"}}`, "Response", 1],
        [`{"error":{"message":"\\"method\\":${filler}"},"id":"one"}`, "Response", "one"],
        [`{"id":"method","result":"${filler}`, "Response", "method"],
        [`{"id":null,"error":"${filler}"}`, "Response", null],
        [`{"id":"${filler.repeat(2)}"}`, "Response", null],
        [`{"params":["id",5,"method","${filler}"]}`, "Unknown", null],
        [filler, "Unknown", null],
        [`[{"id":7,"method":"${filler}"}]`, "Unknown", null]
      ] as const
    ) {
      assert.deepStrictEqual(idOf(text), { _tag: "TooLong", kind, id }, text.slice(0, 60))
      assert.deepStrictEqual(read(`${text}\n{"id":9}\n`, [], 100)[1], { _tag: "Line", text: "{\"id\":9}" })
    }
  })

  it("is the same wherever the bytes are cut", () => {
    const text = `{"a":"ö\\\\","method":"m","id":"é\\"7","params":"${filler}"}`
    fc.assert(fc.property(fc.array(fc.nat({ max: 560 })), (cuts) => {
      assert.deepStrictEqual(read(`${text}\n`, cuts, 100), [{ _tag: "TooLong", kind: "Request", id: "é\"7" }])
    }))
  })

  it("is reported once, at its end, however long it is", () => {
    const reader = new LineReader(1_000)
    const piece = new Uint8Array(100_000).fill(120)
    for (let count = 0; count < 200; count++) assert.deepStrictEqual(reader.push(piece), [])
    assert.deepStrictEqual(reader.flush(), [{ _tag: "TooLong", kind: "Unknown", id: null }])
  })
})
