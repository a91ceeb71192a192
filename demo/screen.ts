/** The terminal: lines, colours where they are wanted, and one question that stays at the bottom while lines scroll by. */
import { Terminal } from "@effect/platform"
import { Console, Context, Effect, Layer } from "effect"

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "magenta" | "cyan"

const codes: Readonly<Record<Colour, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36
}

export class Screen extends Context.Tag("effect-task-manager/demo/Screen")<Screen, {
  /** How many columns a line should have at most. */
  readonly columns: number
  /** Whether somebody sits there who can answer a question. */
  readonly canAsk: boolean
  readonly paint: (colour: Colour, text: string) => string
  readonly line: (text: string) => Effect.Effect<void>
  /** Shows a text below all lines, in place of the last one. Without one, lines go on below it. */
  readonly bottom: (text: string | undefined) => Effect.Effect<void>
}>() {
  static readonly layer: Layer.Layer<Screen, never, Terminal.Terminal> = Layer.effect(
    Screen,
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const isTerminal = yield* terminal.isTTY
      const width = yield* terminal.columns
      const { NO_COLOR, TERM } = process.env
      const colours = isTerminal && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb"
      let question: string | undefined = undefined

      const write = (text: string) => Effect.ignore(terminal.display(text))

      return {
        columns: isTerminal && width > 0 ? Math.min(Math.max(width - 1, 60), 120) : 100,
        canAsk: isTerminal && process.stdin.isTTY === true,
        paint: (colour, text) => colours ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text,
        line: (text) =>
          Effect.suspend(() =>
            question === undefined
              ? Console.log(text)
              // the line goes where the question stood, the question moves down
              : write(`\r\u001b[K${text}\n${question}`)
          ),
        bottom: (text) =>
          Effect.suspend(() => {
            const wasShown = question !== undefined
            question = text
            if (text !== undefined) return write(`\r\u001b[K${text}`)
            return wasShown ? write("\n") : Effect.void
          })
      }
    })
  )
}
