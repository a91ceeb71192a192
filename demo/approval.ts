/** Who answers when a tool asks for approval: `--yes`, `--no`, the user at the terminal, or nobody. */
import { Terminal } from "@effect/platform"
import { Effect, Option } from "effect"
import type { TaskApproval } from "effect-task-manager"
import { Journal } from "./journal.js"
import { type Answer, askAnswer } from "./prompt.js"
import { Screen } from "./screen.js"
import { fit } from "./text.js"

export interface Verdict {
  readonly isApproved: boolean
  readonly reason: string
}

const verdict = (isApproved: boolean, reason: string): Verdict => ({ isApproved, reason })

/** Asks at the terminal, which is read key by key: in a line of readline's, Ctrl-C would be swallowed. */
const askAtTerminal = (question: string, offered: ReadonlyArray<Answer>) =>
  Effect.scoped(Effect.gen(function*() {
    const screen = yield* Screen
    const keys = yield* (yield* Terminal.Terminal).readInput
    return yield* askAnswer({ question, offered, screen, next: Effect.option(keys.take) })
  }))

export const decide = (
  asked: TaskApproval,
  answer: Option.Option<"yes" | "no">
): Effect.Effect<Verdict, never, Journal | Screen | Terminal.Terminal> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const screen = yield* Screen
    const decided = Option.isSome(answer)
      ? verdict(answer.value === "yes", `the answer was given with --${answer.value}`)
      : !screen.canAsk
      ? verdict(false, "there is no terminal to ask at, and neither --yes nor --no was given")
      : Option.match(
        yield* askAtTerminal(
          screen.paint("yellow", `          May it run  ${fit(asked.approval.summary, screen.columns - 40)}  ?`),
          ["yes", "no"]
        ),
        {
          onNone: () => verdict(false, "the input ended without an answer"),
          onSome: (answer) => verdict(answer === "yes", "the user answered at the terminal")
        }
      )
    yield* journal.say("user", `${decided.isApproved ? "approves" : "rejects"}: ${decided.reason}.`)
    return decided
  })
