/** The question of the demos: whole lines answer it. */
import type { Terminal } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import { type Answer, answerOf, askAnswer } from "../demo/prompt.js"

const named = new Map([["\n", "return"], ["\b", "backspace"], ["\u001b", "escape"], ["\u0003", "c"]])

const keyOf = (character: string): Terminal.UserInput => ({
  input: Option.some(character),
  key: { name: named.get(character) ?? character, ctrl: character === "\u0003", meta: false, shift: false }
})

/** Asks somebody who types this. */
const ask = (text: string, offered: ReadonlyArray<Answer> = ["yes", "no", "always"]) =>
  Effect.gen(function*() {
    const keys = [...text]
    const shown: Array<string> = []
    const answer = yield* Effect.exit(askAnswer({
      question: "May it run?",
      offered,
      screen: {
        line: (line) => Effect.sync(() => shown.push(`${line}\n`)),
        bottom: (line) => Effect.sync(() => shown.push(line ?? "over"))
      },
      next: Effect.sync(() => Option.map(Option.fromNullable(keys.shift()), keyOf))
    }))
    return { answer, shown }
  })

describe("an answer", () => {
  it.effect.each([
    ["y\n", "yes"],
    ["yes\n", "yes"],
    [" YES \n", "yes"],
    ["n\n", "no"],
    ["No\n", "no"],
    ["a\n", "always"],
    ["always\n", "always"],
    // whole lines: what has a y in it approves nothing
    ["maybe\nn\n", "no"],
    ["yn\nno\n", "no"],
    ["\n\ny\n", "yes"],
    ["nx\by\b\b\by\n", "yes"],
    ["y\u001b", "no"]
  ])("%j is %s", ([text = "", expected]) =>
    Effect.gen(function*() {
      const { answer, shown } = yield* ask(text)
      assert.deepStrictEqual(answer, Exit.succeed(Option.some(expected)))
      assert.strictEqual(shown.at(-1), "over")
    }))

  it.effect("that is none is asked for again, and says what may be answered", () =>
    Effect.gen(function*() {
      const { answer, shown } = yield* ask("maybe\n")
      // the input ended
      assert.deepStrictEqual(answer, Exit.succeed(Option.none()))
      assert.include(shown, "May it run? [y/n/a] maybe")
      assert.include(shown, "May it run? [y/n/a] maybe  (please answer with one of yes, no, always)\n")
    }))

  it.effect("does not end the question with Ctrl-C, which interrupts", () =>
    Effect.gen(function*() {
      const { answer } = yield* ask("y\u0003\n")
      assert.isTrue(Exit.isInterrupted(answer))
    }))

  it("is one of those that are offered", () => {
    assert.isTrue(Option.isNone(answerOf("a", ["yes", "no"])))
  })
})
