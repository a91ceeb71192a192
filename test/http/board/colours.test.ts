/** The colours of the page can be told from what is behind them, light and dark. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const sheet = readFileSync(new URL("../../../src/http/board/page/board.css", import.meta.url), "utf8")

/** The colours of one scheme, by their names. */
const schemes = [...sheet.matchAll(/:root \{([^}]*)\}/g)].map(([, block = ""]) =>
  new Map([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name = "", colour = ""]) => [name, colour]))
)

/** The relative luminance of WCAG 2. */
const luminanceOf = (colour: string): number => {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

const contrast = (one: string, other: string): number => {
  const [dark = 0, light = 0] = [luminanceOf(one), luminanceOf(other)].sort((left, right) => left - right)
  return (light + 0.05) / (dark + 0.05)
}

const behind = ["panel", "background", "hover", "selected"]
const texts = ["text", "muted", "accent", "failed", "completed", "approval-text", "foreground-text"]
const marks = ["foreground", "background-task", "approval", "completed", "failed", "cancelled"]

describe("the colours of the page", () => {
  for (const [index, name] of ["light", "dark"].entries()) {
    it(`${name}: text at 4.5 to 1, marks at 3 to 1 on the panel`, () => {
      const scheme = schemes[index] ?? new Map<string, string>()
      const ratio = (front: string, back: string): number => {
        const [one, other] = [scheme.get(front), scheme.get(back)]
        return one === undefined || other === undefined
          ? assert.fail(`${front} or ${back} is no colour`)
          : contrast(one, other)
      }
      for (const back of behind) {
        for (const text of texts) assert.isAtLeast(ratio(text, back), 4.5, `${text} on ${back}`)
      }
      for (const mark of marks) assert.isAtLeast(ratio(mark, "panel"), 3, `${mark} on panel`)
      assert.isAtLeast(ratio("on-accent", "accent"), 4.5, "on-accent on accent")
    })
  }
})
