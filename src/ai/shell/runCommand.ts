/**
 * One command from its start to the end of its last process, with its output as it comes.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import { type PlatformError, SystemError } from "@effect/platform/Error"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { launcherOf } from "./launcher.js"
import { processesNow, type ProcessServices, stopGroup, withMark } from "./processGroup.js"
import { Utf8 } from "./Utf8.js"

/**
 * How a command ended. `stopped` is what `until` gave, if that ended it. Without an exit code there is a signal that killed it,
 * or it could not be killed.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandEnd<A> {
  /** How many bytes of the output are no UTF-8 and were replaced. */
  readonly replacedBytes: number
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stopped: Option.Option<A>
}

// a process that has left its group and is not found keeps the pipes open: they are not read for longer than this
const drainPeriod = "1 second"

const exitOf = (leader: CommandExecutor.Process) =>
  Effect.match(leader.exitCode, {
    onSuccess: (exitCode) => ({ exitCode, signal: undefined }),
    // the executor reports a signal in its message only
    onFailure: (error) => ({ exitCode: undefined, signal: /signal: (SIG\w+)/.exec(error.message)?.[1] })
  })

const unknownEnd = { exitCode: undefined, signal: undefined }

const readAll = (
  leader: CommandExecutor.Process,
  texts: readonly [stdout: Utf8, stderr: Utf8],
  onText: (text: string) => Effect.Effect<void>
) => {
  // a chunk may end within a character, and then have no text of its own
  const told = (text: string) => text === "" ? Effect.void : onText(text)
  const read = (stream: Stream.Stream<Uint8Array, PlatformError>, utf8: Utf8) =>
    // a broken pipe is the end of the output
    Effect.ignore(Stream.runForEach(stream, (chunk) => told(utf8.read(chunk)))).pipe(
      Effect.zipRight(Effect.suspend(() => told(utf8.end())))
    )
  return Effect.zip(read(leader.stdout, texts[0]), read(leader.stderr, texts[1]), { concurrent: true })
}

const start = (command: Command.Command) =>
  Effect.catchAllDefect(Command.start(command), (cause) =>
    // node throws for what the operating system would not take
    new SystemError({ reason: "InvalidData", module: "Command", method: "start", cause }))

const withinDrainPeriod = <A>(wait: Effect.Effect<A>) => Effect.timeoutOption(Effect.interruptible(wait), drainPeriod)

/**
 * Runs a command without input until it ends or `until` does, and gives its output, both streams in the order of arrival, to
 * `onText`. Whatever ends the effect, by then no process of the command is left that can be found (see processGroup.ts). Fails if the command cannot be started.
 *
 * @since 0.1.0
 * @category combinators
 */
export const runCommand = <A>(options: {
  readonly command: readonly [program: string, ...args: ReadonlyArray<string>]
  /** Without symbolic links. */
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly onText: (text: string) => Effect.Effect<void>
  readonly until: Effect.Effect<A>
  readonly gracePeriod: Duration.DurationInput
}): Effect.Effect<CommandEnd<A>, PlatformError, ProcessServices> =>
  Effect.scoped(Effect.gen(function*() {
    const scope = yield* Effect.scope
    const id = globalThis.crypto.randomUUID()
    const { command: words, directory, environment } = options
    const command = Command.env(
      launcherOf({ command: words, directory, mark: id }),
      withMark(environment, id),
      { extendEnv: false }
    )
    const others = yield* processesNow
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const leader = yield* start(command)
        // it ends with the scope, after the processes: what they say when they are told to end is still heard
        const texts = [new Utf8(), new Utf8()] as const
        const reading = yield* Effect.forkIn(Effect.interruptible(readAll(leader, texts, options.onText)), scope)
        const stopped = yield* Effect.exit(restore(Effect.raceFirst(
          Effect.as(leader.exitCode, Option.none<A>()).pipe(Effect.orElseSucceed(() => Option.none<A>())),
          Effect.asSome(options.until)
        )))
        yield* stopGroup({ leader, mark: id, others }, options.gracePeriod)
        yield* withinDrainPeriod(Fiber.await(reading))
        const end = yield* withinDrainPeriod(exitOf(leader))
        return {
          ...Option.getOrElse(end, () => unknownEnd),
          stopped: yield* stopped,
          replacedBytes: texts[0].replaced + texts[1].replaced
        }
      })
    )
  }))
