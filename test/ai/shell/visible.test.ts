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

  it("shows what only single scripts have for a blank, and what Unicode does not define", () => {
    for (const character of ["\u{1d159}", "\u{13441}", "\u{16fe4}", "\u{e000}", "\u{378}"]) {
      assert.strictEqual(visible(`rm${character}x`), `rm\\u{${(character.codePointAt(0) ?? 0).toString(16)}}x`)
    }
  })

  it("counts blanks that would move text out of sight", () => {
    assert.strictEqual(visible(`ls${" ".repeat(300)}; rm -rf ~`), "ls\\{300 spaces}; rm -rf ~")
    assert.strictEqual(visible("a   b"), "a   b")
    assert.strictEqual(visible("a\\{300 spaces}b"), "a\\\\{300 spaces}b")
  })

  it("takes nothing for an escape that the text itself says", () => {
    assert.strictEqual(visible("a\\u{a}b\n"), "a\\\\u{a}b\\u{a}")
  })

  it("leaves other text as it is", () => {
    const text = "git commit -m 'żółw 🐢 日本'"
    assert.strictEqual(visible(text), text)
  })
})
