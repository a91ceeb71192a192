/** A question at the terminal. The answer is a whole line: a y in the middle of another word approves nothing. */
import type { Terminal } from "@effect/platform"
import { Effect, Option } from "effect"
import type { Screen } from "./screen.js"

export type Answer = "yes" | "no" | "always"

const words: Readonly<Record<Answer, ReadonlyArray<string>>> = {
  yes: ["y", "yes"],
  no: ["n", "no"],
  always: ["a", "always"]
}

/** What a line says, if it is one of the answers that are offered. */
export const answerOf = (line: string, offered: ReadonlyArray<Answer>): Option.Option<Answer> =>
  Option.fromNullable(offered.find((answer) => words[answer].includes(line.trim().toLowerCase())))

/** The line after one more key. */
const typed = (line: string, { input, key }: Terminal.UserInput): string => {
  if (key.name === "backspace") return [...line].slice(0, -1).join("")
  const text = key.ctrl || key.meta ? "" : Option.getOrElse(input, () => "")
  return line + text.replace(/\p{C}/gu, "")
}

const isEnter = ({ key: { name } }: Terminal.UserInput): boolean => name === "return" || name === "enter"

/**
 * Asks until a line is one of the answers. Esc is no, Ctrl-C interrupts; `None` when the input ends. `next` gives the keys.
 */
export const askAnswer = (options: {
  readonly question: string
  readonly offered: ReadonlyArray<Answer>
  readonly screen: Pick<Screen["Type"], "line" | "bottom">
  readonly next: Effect.Effect<Option.Option<Terminal.UserInput>>
}): Effect.Effect<Option.Option<Answer>> => {
  const { next, offered, question, screen } = options
  const prompt = `${question} [${offered.map((answer) => words[answer][0]).join("/")}] `
  return Effect.gen(function*() {
    let line = ""
    while (true) {
      yield* screen.bottom(prompt + line)
      const pressed = yield* next
      if (Option.isNone(pressed)) return Option.none()
      const { key } = pressed.value
      if (key.ctrl && key.name === "c") return yield* Effect.interrupt
      if (key.name === "escape") return Option.some("no" as const)
      if (!isEnter(pressed.value)) {
        line = typed(line, pressed.value)
        continue
      }
      const answer = answerOf(line, offered)
      if (Option.isSome(answer)) return answer
      yield* screen.line(`${prompt}${line}  (please answer with one of ${offered.join(", ")})`)
      line = ""
    }
  }).pipe(Effect.ensuring(screen.bottom(undefined)))
}
