/** The user's keys while the agent works: they type an answer, or Esc interrupts the turn. */
import { Terminal } from "@effect/platform"
import { Context, Effect, Layer, Option, PubSub, Stream } from "effect"
import { Screen } from "../screen.js"

export class Keyboard extends Context.Tag("effect-task-manager/demo/Keyboard")<Keyboard, {
  readonly keys: Stream.Stream<Terminal.UserInput>
}>() {
  static readonly layer: Layer.Layer<Keyboard, never, Screen | Terminal.Terminal> = Layer.scoped(
    Keyboard,
    Effect.gen(function*() {
      const { canAsk } = yield* Screen
      const pressed = yield* PubSub.unbounded<Terminal.UserInput>()
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
            else yield* pressed.publish(next.value)
          }
        }))
      }
      return { keys: Stream.fromPubSub(pressed) }
    })
  )
}
