/** A demo as a process: its services, its exit code, and signals that clean up. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Option } from "effect"
import { UsageError } from "./options.js"
import { Screen } from "./screen.js"
import { DemoFailed } from "./verdict.js"

/** A failure that has a code of its own, and has said what there is to say. */
export type CodeOf = (error: unknown) => number | undefined

/** A mistake of ours or of the machine; the others have already said what there is to say. */
const isUnexpected = (cause: Cause.Cause<unknown>, codeOf: CodeOf): boolean =>
  !Cause.isInterruptedOnly(cause) &&
  !Option.exists(
    Cause.failureOption(cause),
    (error) => error instanceof UsageError || error instanceof DemoFailed || codeOf(error) !== undefined
  )

const Services = Screen.layer.pipe(Layer.provideMerge(NodeContext.layer))

/** Exit code: 0 everything held, 1 something did not, 2 wrong usage, 130 or 143 interrupted, or what `codeOf` says of a failure. */
export const runDemo = <E>(
  demo: Effect.Effect<void, E, Layer.Layer.Success<typeof Services>>,
  usage: string,
  codeOf: CodeOf = () => undefined
): void => {
  const main = demo.pipe(
    Effect.tapError((error) =>
      error instanceof UsageError ? Console.error(`${error.message}\n\n${usage}`) : Effect.void
    ),
    Effect.tapErrorCause((cause) => isUnexpected(cause, codeOf) ? Console.error(Cause.pretty(cause)) : Effect.void),
    Effect.provide(Services)
  )

  let interruptedCode = 130
  const endWith = (code: number) => () => {
    interruptedCode = code
  }
  // these stay when runMain has taken its own away: a second Ctrl-C must not end the process while it still cleans
  // up, which takes a moment and no longer
  process.on("SIGINT", endWith(130))
  process.on("SIGTERM", endWith(143))
  // the terminal was closed: clean up the same way, and do not stumble over writing to it or reading from it
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
  for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on("error", () => {})

  NodeRuntime.runMain(main, {
    disableErrorReporting: true,
    teardown: (exit, onExit) =>
      onExit(
        Exit.isSuccess(exit)
          ? 0
          : Cause.isInterruptedOnly(exit.cause)
          ? interruptedCode
          : Option.exists(Cause.failureOption(exit.cause), (error) => error instanceof UsageError)
          ? 2
          : Option.getOrElse(Option.flatMapNullable(Cause.failureOption(exit.cause), codeOf), () => 1)
      )
  })
}
