/** Texts of others: whole characters, and the names that were meant. */
import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import { nearestNames } from "../../src/shared/nearestNames.js"
import { isWellFormedText, wellFormedText } from "../../src/shared/wellFormed.js"

describe("wellFormedText", () => {
  it("replaces halves and nothing else", () => {
    assert.strictEqual(wellFormedText("a🌤".slice(0, 2)), "a\ufffd")
    assert.strictEqual(wellFormedText("\udf24\ud83c"), "\ufffd\ufffd")
    assert.strictEqual(wellFormedText("a🌤é"), "a🌤é")
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom("a", "\ud83c", "\udf24", "é") }), (text) => {
      const whole = wellFormedText(text)
      assert.isTrue(isWellFormedText(whole))
      assert.strictEqual(whole, new TextDecoder().decode(new TextEncoder().encode(text)))
      if (isWellFormedText(text)) assert.strictEqual(whole, text)
    }))
  })
})

describe("nearestNames", () => {
  const names = ["read_file", "write_file", "list_files", "run_tests", "fetch_page"]

  it("are those that differ least, in whatever case", () => {
    assert.deepStrictEqual(nearestNames("readFile", names)[0], "read_file")
    assert.deepStrictEqual(nearestNames("READ_FILE", names)[0], "read_file")
    assert.deepStrictEqual(nearestNames("run_test", names)[0], "run_tests")
    assert.lengthOf(nearestNames("read", names), 3)
    assert.deepStrictEqual(nearestNames("x", ["only"]), ["only"])
    assert.deepStrictEqual(nearestNames("x", []), [])
  })

  it("take no time for a name without end", () => {
    assert.lengthOf(nearestNames("x".repeat(10_000_000), names), 3)
  })
})
