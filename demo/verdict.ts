/** The end of a demo: what it checked of itself, and whether everything held. */
import { Data, Effect } from "effect"
import type { Check } from "./checks.js"
import { Screen } from "./screen.js"

/** The demo ran to its end, and not everything held. */
export class DemoFailed extends Data.TaggedError("DemoFailed")<{}> {}

export const showChecks = (checks: ReadonlyArray<Check>): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, ({ line, paint }) =>
    Effect.forEach(
      checks,
      ({ holds, name }) => line(`${holds ? paint("green", "✓") : paint("red", "✗ FAILED:")} ${name}`),
      { discard: true }
    ))

/** Shows the checks and the verdict, and fails if one does not hold. */
export const judge = (checks: ReadonlyArray<Check>): Effect.Effect<void, DemoFailed, Screen> =>
  Effect.gen(function*() {
    const screen = yield* Screen
    yield* screen.line("")
    yield* showChecks(checks)
    const failed = checks.filter((check) => !check.holds).length
    yield* screen.line(
      failed === 0
        ? screen.paint("green", `\nVerdict: everything held (${checks.length} of ${checks.length} checks).`)
        : screen.paint("red", `\nVerdict: ${failed} of ${checks.length} checks FAILED.`)
    )
    if (failed > 0) return yield* new DemoFailed()
  })
