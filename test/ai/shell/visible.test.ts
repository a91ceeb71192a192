/** What a human reads of a command before it runs. */
import { assert, describe, it } from "@effect/vitest"
import { visible } from "../../../src/ai/shell/visible.js"

describe("visible", () => {
  it("shows what fonts leave out, what moves text, and spaces that separate no words for the shell", () => {
    const hidden = [
      "\u3164",
      "\u115f",
      "\u034f",
      "\ufe0f",
      "\u{e0101}",
      "\u{e0041}",
      "\u2800",
      "\u00a0",
      "\u3000",
      "\u200b"
    ]
    for (const character of [...hidden, "\u202e", "\n", "\u001b", "\ud83d"]) {
      const shown = `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
      assert.strictEqual(visible(`rm${character}x`), `rm${shown}x`)
    }
  })

  it("takes nothing for an escape that the text itself says", () => {
    assert.strictEqual(visible("a\\u{a}b\n"), "a\\\\u{a}b\\u{a}")
  })

  it("leaves other text as it is", () => {
    const text = "git commit -m 'żółw 🐢 日本'"
    assert.strictEqual(visible(text), text)
  })
})
