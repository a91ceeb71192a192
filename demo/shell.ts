/**
 * Runs commands for the tools. `Command` of @effect/platform starts each one as the leader of a process group of its own
 * and sends SIGTERM to the group when its scope closes before it ended. That leaves three gaps, closed here: a process that
 * ignores SIGTERM, grandchildren that outlive the leader, and what a command that ended well left in the background.
 */
import { Command, CommandExecutor } from "@effect/platform"
import type { Error as PlatformErrors } from "@effect/platform"
import { CurrentTask, type ToolCallId } from "effect-task-manager"
import { Context, Effect, Fiber, Layer, Option, Schedule, Stream, SubscriptionRef } from "effect"

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

/** Whether the group has a process that can be signalled. Zombies count until they are reaped; that costs the grace period. */
const groupExists = (group: number): boolean => {
  try {
    return process.kill(-group, 0)
  } catch {
    return false
  }
}

const stopGroup = (started: CommandExecutor.Process): Effect.Effect<void> => {
  const gone = Effect.repeat(Effect.sync(() => groupExists(started.pid)), {
    schedule: Schedule.spaced("20 millis"),
    while: (exists) => exists
  })
  return Effect.suspend(() => groupExists(started.pid) ? started.kill("SIGTERM") : Effect.void).pipe(
    Effect.ignore,
    Effect.zipRight(gone),
    // in a finalizer nothing is interruptible by itself, and this waits for a process that may not want to end
    Effect.interruptible,
    Effect.timeoutOption(gracePeriod),
    Effect.flatMap(Option.match({
      onNone: () => Effect.ignore(started.kill("SIGKILL")),
      onSome: () => Effect.void
    }))
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
  }): Layer.Layer<Shell, never, CommandExecutor.CommandExecutor> =>
    Layer.effect(
      Shell,
      Effect.gen(function*() {
        const executor = yield* CommandExecutor.CommandExecutor
        const processes = yield* SubscriptionRef.make<ReadonlyArray<StartedProcess>>([])

        const start = (command: Command.Command, callId: ToolCallId) =>
          Effect.acquireRelease(
            Effect.tap(executor.start(command), (started) =>
              SubscriptionRef.update(processes, (all) => [...all, { callId, group: started.pid }])),
            stopGroup
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
          return Effect.as(reading, Effect.sync(() => output))
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
                yield* stopGroup(started)
                const output = yield* Fiber.join(reading)
                return { exitCode, output }
              })
            )
        }
      })
    )
}
