/** The user's keys while the agent works: y and n answer a question, Esc interrupts the turn. */
import { Terminal } from "@effect/platform"
import { Context, Effect, Layer, Option, PubSub, Stream } from "effect"
import { Screen } from "../screen.js"

export type Key = "yes" | "no" | "escape"

export class Keyboard extends Context.Tag("effect-task-manager/demo/Keyboard")<Keyboard, {
  readonly keys: Stream.Stream<Key>
}>() {
  static readonly layer: Layer.Layer<Keyboard, never, Screen | Terminal.Terminal> = Layer.scoped(
    Keyboard,
    Effect.gen(function*() {
      const { canAsk } = yield* Screen
      const pressed = yield* PubSub.unbounded<Key>()
      if (canAsk) {
        const terminal = yield* Terminal.Terminal
        const input = yield* terminal.readInput
        yield* Effect.forkScoped(Effect.gen(function*() {
          while (true) {
            const next = yield* Effect.option(input.take)
            if (Option.isNone(next)) return
            const { ctrl, name } = next.value.key
            // read key by key, a terminal sends no signal for it
            if (ctrl && name === "c") process.kill(process.pid, "SIGINT")
            if (name === "y") yield* pressed.publish("yes")
            if (name === "n") yield* pressed.publish("no")
            if (name === "escape") yield* pressed.publish("escape")
          }
        }))
      }
      return { keys: Stream.fromPubSub(pressed) }
    })
  )
}
