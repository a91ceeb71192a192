/**
 * Runs commands for the tools. `Command` of @effect/platform starts each one as the leader of a process group of its own
 * and sends SIGTERM to the group when its scope closes before it ended. That leaves three gaps, closed here: a process that
 * ignores SIGTERM, grandchildren that outlive the leader, and what a command that ended well left in the background.
 */
import { Command, CommandExecutor } from "@effect/platform"
import type { Error as PlatformErrors, FileSystem } from "@effect/platform"
import { Context, Effect, Fiber, Layer, Option, Schedule, Stream, SubscriptionRef } from "effect"
import { CurrentTask, type ToolCallId } from "effect-task-manager"
import { isGroupAlive } from "./processTable.js"

export interface StartedProcess {
  readonly callId: ToolCallId
  /** The id of the process group, and of the process that leads it. */
  readonly group: number
}

export interface Finished {
  readonly exitCode: number
  /** Standard output and error as they came, cut at `outputLimit`. */
  readonly output: string
}

/** What is kept of a command's output; the rest is read and dropped. */
const outputLimit = 1024 * 1024

/** How long a group may take to end on SIGTERM before it gets SIGKILL. */
const gracePeriod = "400 millis"

type LooksAtProcesses = CommandExecutor.CommandExecutor | FileSystem.FileSystem

const stopGroup = (started: CommandExecutor.Process): Effect.Effect<void, never, LooksAtProcesses> => {
  const isAlive = isGroupAlive(started.pid)
  const end = Effect.zipRight(
    started.kill("SIGTERM"),
    Effect.repeat(isAlive, { schedule: Schedule.spaced("50 millis"), while: (alive) => alive })
  )
  return Effect.ignore(end).pipe(
    // in a finalizer nothing is interruptible by itself, and this waits for a process that may not want to end
    Effect.interruptible,
    Effect.timeoutOption(gracePeriod),
    Effect.flatMap(Option.match({
      onNone: () => Effect.ignore(started.kill("SIGKILL")),
      onSome: () => Effect.void
    })),
    Effect.whenEffect(isAlive),
    Effect.asVoid
  )
}

export class Shell extends Context.Tag("effect-task-manager/demo/Shell")<Shell, {
  /** The folder that the commands run in. */
  readonly root: string
  /**
   * Runs a command of the current task to its end. Whatever ends the effect, no process of the command's group is left.
   * `onText` sees the output as it comes.
   */
  readonly run: (
    command: Command.Command,
    onText?: (text: string) => Effect.Effect<void>
  ) => Effect.Effect<Finished, PlatformErrors.PlatformError, CurrentTask>
  /** Every process started so far. */
  readonly processes: SubscriptionRef.SubscriptionRef<ReadonlyArray<StartedProcess>>
}>() {
  static readonly layer = (options: {
    readonly root: string
    readonly environment: Readonly<Record<string, string>>
  }): Layer.Layer<Shell, never, LooksAtProcesses> =>
    Layer.effect(
      Shell,
      Effect.gen(function*() {
        const executor = yield* CommandExecutor.CommandExecutor
        const context = yield* Effect.context<LooksAtProcesses>()
        const processes = yield* SubscriptionRef.make<ReadonlyArray<StartedProcess>>([])

        const stop = (started: CommandExecutor.Process) => Effect.provide(stopGroup(started), context)

        const start = (command: Command.Command, callId: ToolCallId) =>
          Effect.acquireRelease(
            Effect.tap(
              executor.start(command),
              (started) => SubscriptionRef.update(processes, (all) => [...all, { callId, group: started.pid }])
            ),
            stop
          )

        const collect = (started: CommandExecutor.Process, onText: (text: string) => Effect.Effect<void>) => {
          let output = ""
          const reading = Effect.forEach([started.stdout, started.stderr], (stream) =>
            stream.pipe(
              Stream.decodeText(),
              Stream.runForEach((text) => {
                if (output.length < outputLimit) output = (output + text).slice(0, outputLimit)
                return onText(text)
              })
            ), { concurrency: 2, discard: true })
          return Effect.map(reading, () => output)
        }

        return {
          root: options.root,
          processes,
          run: (command, onText = () => Effect.void) =>
            Effect.scoped(
              Effect.gen(function*() {
                const { request } = yield* CurrentTask
                const started: CommandExecutor.Process = yield* start(
                  command.pipe(
                    Command.workingDirectory(options.root),
                    Command.env(options.environment, { extendEnv: false })
                  ),
                  request.callId
                )
                const reading = yield* Effect.forkScoped(collect(started, onText))
                const exitCode = yield* Effect.orElseSucceed(started.exitCode, () => 128)
                // processes the command left behind hold the pipes open; a tool's processes end with the tool
                yield* stop(started)
                const output = yield* Fiber.join(reading)
                return { exitCode, output }
              })
            )
        }
      })
    )
}
