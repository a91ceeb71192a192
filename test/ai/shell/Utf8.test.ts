/** Bytes as text, however they are cut into chunks. */
import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { HeadAndTail } from "../../../src/ai/shell/HeadAndTail.js"
import { Utf8 } from "../../../src/ai/shell/Utf8.js"

const piece = FastCheck.oneof(
  FastCheck.constantFrom("a", "é", "€", "🌤", "\ufffd", "\ufeff").map((text) => Buffer.from(text)),
  FastCheck.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes))
)

describe("Utf8", () => {
  it("gives the same text for any chunks, and no byte vanishes", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(piece), FastCheck.array(FastCheck.nat(5)), (pieces, cuts) => {
        const bytes = Buffer.concat(pieces)
        const utf8 = new Utf8()
        let text = ""
        let from = 0
        for (const cut of cuts) {
          text += utf8.read(bytes.subarray(from, from + cut))
          from = Math.min(bytes.length, from + cut)
        }
        text += utf8.read(bytes.subarray(from)) + utf8.end()
        assert.strictEqual(text, new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes))
        // what was not replaced is what it was
        const isWhole = Buffer.from(text).equals(bytes)
        assert.strictEqual(utf8.replaced === 0, isWhole)
        const kept = [...text].filter((character) => character !== "\ufffd").join("")
        const genuine = bytes.toString("latin1").split("\u00ef\u00bf\u00bd").length - 1
        assert.strictEqual(Buffer.byteLength(kept) + 3 * genuine + utf8.replaced, bytes.length)
      }),
      { numRuns: 2_000 }
    )
  })
})

describe("HeadAndTail", () => {
  it("keeps everything within its limit, and otherwise says what is missing", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.fullUnicodeString({ maxLength: 40 })),
        FastCheck.nat(200),
        (texts, limit) => {
          const kept = new HeadAndTail(limit)
          for (const text of texts) kept.write(text)
          const whole = texts.join("")
          const { omitted, text } = kept.close()
          const total = Buffer.byteLength(whole)
          if (total <= limit) {
            assert.deepStrictEqual([text, omitted], [whole, 0])
            return
          }
          assert.isAtMost(Buffer.byteLength(text), limit)
          const note = `\n[… ${omitted} bytes are left out …]\n`
          const at = text.indexOf(note)
          const [head, tail] = at === -1 ? ["", text] : [text.slice(0, at), text.slice(at + note.length)]
          assert.isTrue(whole.startsWith(head) && whole.endsWith(tail))
          assert.strictEqual(Buffer.byteLength(head) + Buffer.byteLength(tail) + omitted, total)
        }
      ),
      { numRuns: 1_000, examples: [[["", "𐀀𐀀𐀀𐀀ࠀ𐀀𐀀𐀀𐀀 "], 35]] }
    )
  })
})
