/** Who answers when a tool asks for approval: `--yes`, `--no`, the user at the terminal, or nobody. */
import { Effect, Option } from "effect"
import type { TaskApproval } from "effect-task-manager"
import { Journal } from "./journal.js"
import { Screen } from "./screen.js"
import { fit } from "./text.js"

export interface Verdict {
  readonly isApproved: boolean
  readonly reason: string
}

const verdict = (isApproved: boolean, reason: string): Verdict => ({ isApproved, reason })

export const decide = (
  asked: TaskApproval,
  answer: Option.Option<"yes" | "no">
): Effect.Effect<Verdict, never, Journal | Screen> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const screen = yield* Screen
    const decided = Option.isSome(answer)
      ? verdict(answer.value === "yes", `the answer was given with --${answer.value}`)
      : !screen.canAsk
      ? verdict(false, "there is no terminal to ask at, and neither --yes nor --no was given")
      : Option.match(
        yield* screen.ask(
          screen.paint("yellow", `          May it run  ${fit(asked.approval.summary, screen.columns - 40)}  ? [y/n] `)
        ),
        {
          onNone: () => verdict(false, "the input ended without an answer"),
          onSome: (yes) => verdict(yes, "the user answered at the terminal")
        }
      )
    yield* journal.say("user", `${decided.isApproved ? "approves" : "rejects"}: ${decided.reason}.`)
    return decided
  })
