/**
 * The commands of one shell, each from its start to the end of its last process, with its output as it comes.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import { type PlatformError, SystemError } from "@effect/platform/Error"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { monotonicNow } from "../../shared/monotonic.js"
import { makeGuard } from "./guard.js"
import { kernel, makeTurns, sendSignal } from "./host.js"
import { launcherOf, type StartDirectory } from "./launcher.js"
import { limitOf, makeMarks, withMark } from "./marks.js"
import { makeOutputs, type ReadOutput } from "./outputs.js"
import { type ProcessServices, stopGroup } from "./processGroup.js"
import { makeProcessTable } from "./processTable.js"
import { Utf8 } from "./Utf8.js"

/**
 * Why a command is ended that has not ended by itself.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandStop = "Closed" | "TimedOut"

/**
 * How a command ended. `stopped` says why it was ended, if it was. Without an exit code there is a signal that killed it,
 * or it could not be killed.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandEnd {
  /** How many bytes of the output are no UTF-8 and were replaced. */
  readonly replacedBytes: number
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stopped: Option.Option<CommandStop>
}

/**
 * A command, and what becomes of it.
 *
 * @since 0.1.0
 * @category models
 */
interface CommandOptions {
  readonly command: readonly [program: string, ...args: ReadonlyArray<string>]
  readonly directory: StartDirectory
  readonly onText: (text: string) => Effect.Effect<void>
  /** Completed with a reason it ends the command; the end of the command completes it with none. One for each command. */
  readonly over: Deferred.Deferred<Option.Option<CommandStop>>
  /** How long it may take; `Infinity` for as long as it wants. */
  readonly limit: Duration.Duration
  readonly gracePeriod: Duration.DurationInput
}

// a process that has left its group and is not found keeps the pipe open: it is not read for longer than this
const drainPeriod = "1 second"

// in milliseconds; no machine gives all of its numbers to processes in so short a time
const longCommand = 10_000

const exitOf = (leader: CommandExecutor.Process) =>
  Effect.match(leader.exitCode, {
    onSuccess: (exitCode) => ({ exitCode, signal: undefined }),
    // the executor reports a signal in its message only
    onFailure: (error) => ({ exitCode: undefined, signal: /signal: (SIG\w+)/.exec(error.message)?.[1] })
  })

const unknownEnd = { exitCode: undefined, signal: undefined }

/** Reads outputs as text, each with characters of its own, and gives how many bytes were replaced. */
const readAll = (reads: ReadonlyArray<ReadOutput>, onText: (text: string) => Effect.Effect<void>) => {
  // a chunk may end within a character, and then have no text of its own
  const told = (text: string) => text === "" ? Effect.void : onText(text)
  const texts = reads.map(() => new Utf8())
  const read = Effect.forEach(reads, (readOne, at) => {
    const utf8 = texts[at] ?? new Utf8()
    return Effect.zipRight(
      readOne((bytes) => told(utf8.read(bytes))),
      Effect.suspend(() => told(utf8.end()))
    )
  }, { concurrency: reads.length, discard: true })
  return { read, replacedBytes: () => texts.reduce((sum, { replaced }) => sum + replaced, 0) }
}

const start = (command: Command.Command) =>
  Effect.catchAllDefect(Command.start(command), (cause) =>
    // node throws for what the operating system would not take
    new SystemError({ reason: "InvalidData", module: "Command", method: "start", cause }))

/**
 * Runs commands.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandRunner {
  /**
   * Runs a command without input until it ends or is to end, and gives its output, both streams in the order in which they
   * were written, to `onText`. Whatever ends the effect, by then no process of the command is left that can be found (see
   * processGroup.ts). Fails if the command cannot be started.
   */
  readonly run: (options: CommandOptions) => Effect.Effect<CommandEnd, PlatformError, ProcessServices>
}

/**
 * Makes what the commands of one shell share, and closes it with the scope: nothing of it is made before the first command.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeCommandRunner = (
  environment: Readonly<Record<string, string>>
): Effect.Effect<CommandRunner, never, Scope.Scope> =>
  Effect.gen(function*() {
    // closed after the commands, which end when the layer closes: what is added to its own scope later would close before them
    const scope = yield* Effect.acquireRelease(Scope.make(), (own) => Scope.close(own, Exit.void))
    const marks = makeMarks()
    const outputs = yield* Scope.extend(makeOutputs, scope)
    const guard = yield* Scope.extend(
      makeGuard({ mark: marks.common, directory: outputs.directory, environment }),
      scope
    )
    const table = yield* makeProcessTable(kernel())
    // to start a process stops the event loop for as long as it takes: others get a turn between two of them
    const turn = makeTurns()

    const run: CommandRunner["run"] = (options) =>
      Effect.scoped(Effect.gen(function*() {
        const ownScope = yield* Effect.scope
        const meanwhile = <A, R>(work: Effect.Effect<A, never, R>) =>
          Effect.forkIn(Effect.interruptible(work), ownScope)
        const output = yield* outputs.take
        yield* guard.ready
        const mark = marks.next()
        const { command: words, directory, limit, over } = options
        const command = Command.env(
          launcherOf({ command: words, directory, output: output.path, limit: limitOf(mark) }),
          withMark(environment, mark),
          { extendEnv: false }
        )
        yield* turn
        return yield* Effect.uninterruptibleMask((restore) =>
          Effect.gen(function*() {
            const leader = yield* start(command)
            guard.add(leader.pid)
            const startedAt = yield* monotonicNow
            // it ends with the scope, after the processes: what they say when they are told to end is still heard
            const { read, replacedBytes } = readAll(output.reads(leader), options.onText)
            const isRead = yield* Deferred.make<void>()
            yield* meanwhile(Effect.ensuring(read, Deferred.succeed(isRead, undefined)))
            yield* meanwhile(Effect.zipRight(Effect.exit(leader.exitCode), Deferred.succeed(over, Option.none())))
            if (Duration.isFinite(limit)) {
              yield* meanwhile(Effect.delay(Deferred.succeed(over, Option.some("TimedOut" as const)), limit))
            }
            const stopped = yield* Effect.exit(restore(Deferred.await(over)))
            const isLong = (yield* monotonicNow) - startedAt > longCommand
            const watched = { leader: leader.pid, mark, isLong, known: new Map() }
            yield* stopGroup({ leader, watched, table, sendSignal }, options.gracePeriod)
            guard.remove(leader.pid)
            yield* output.letEnd
            yield* meanwhile(Effect.delay(Deferred.succeed(isRead, undefined), drainPeriod))
            yield* Deferred.await(isRead)
            const end = yield* Effect.if(Effect.orElseSucceed(leader.isRunning, () => false), {
              // what cannot be killed
              onTrue: () => Effect.timeoutOption(Effect.interruptible(exitOf(leader)), drainPeriod),
              onFalse: () => Effect.asSome(exitOf(leader))
            })
            return {
              ...Option.getOrElse(end, () => unknownEnd),
              stopped: yield* stopped,
              replacedBytes: replacedBytes()
            }
          })
        )
      }))

    return { run }
  })
