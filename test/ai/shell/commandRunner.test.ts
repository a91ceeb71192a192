/** What commands share, with processes that are made up. */
import { CommandExecutor, FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Inspectable, Layer, type Option, Sink, Stream } from "effect"
import { assert } from "vitest"
import { type CommandRunner, type CommandStop, makeCommandRunner } from "../../../src/ai/shell/commandRunner.js"

const processOf = (
  pid: number,
  exitCode: Effect.Effect<CommandExecutor.ExitCode> = Effect.succeed(CommandExecutor.ExitCode(0))
): CommandExecutor.Process => ({
  [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
  ...Inspectable.BaseProto,
  pid: CommandExecutor.ProcessId(pid),
  exitCode,
  isRunning: Effect.succeed(true),
  kill: () => Effect.void,
  stdin: Sink.drain,
  stdout: Stream.empty,
  stderr: Stream.empty
})

// none of the pids is that of a process, and there is no directory for temporary files
const files = FileSystem.layerNoop({
  readDirectory: () => Effect.succeed(["1"]),
  readFileString: () => Effect.succeed("1 (a) Z 0 0 0"),
  makeTempDirectoryScoped: () => new SystemError({ reason: "PermissionDenied", module: "FileSystem", method: "make" })
})

const command = {
  command: ["true"],
  directory: { path: "/", entered: "/" },
  onText: () => Effect.void,
  limit: Duration.infinity,
  gracePeriod: 0
} as const

const runOf = (run: CommandRunner["run"], options: Omit<Parameters<CommandRunner["run"]>[0], "over">) =>
  Effect.flatMap(Deferred.make<Option.Option<CommandStop>>(), (over) => run({ ...options, over }))

describe("commands of one shell", () => {
  it.live("start one in a turn of the event loop, which is stopped for no longer than that", () =>
    Effect.gen(function*() {
      const starts: Array<number> = []
      let turns = 0
      const count = () => {
        turns++
        if (starts.length < 65) setImmediate(count)
      }
      setImmediate(count)
      const executor = CommandExecutor.makeExecutor(() =>
        Effect.sync(() => {
          starts.push(turns)
          return processOf(900_000 + starts.length)
        })
      )
      const { run } = yield* makeCommandRunner({})
      yield* Effect.forEach(Array.from({ length: 64 }), () => runOf(run, command), { concurrency: "unbounded" }).pipe(
        Effect.provide(Layer.merge(files, Layer.succeed(CommandExecutor.CommandExecutor, executor)))
      )
      // the first is the guard, which all of them share
      assert.strictEqual(starts.length, 65)
      assert.strictEqual(new Set(starts.slice(1)).size, 64)
    }).pipe(Effect.scoped))

  it.live("that are cancelled before it is their turn are not started", () =>
    Effect.gen(function*() {
      const programs: Array<string> = []
      const first = yield* Deferred.make<void>()
      const executor = CommandExecutor.makeExecutor((started) =>
        Effect.sync(() => {
          programs.push(started._tag === "StandardCommand" ? started.args.at(-1) ?? "" : "")
          return processOf(900_000 + programs.length, Effect.as(Deferred.await(first), CommandExecutor.ExitCode(0)))
        })
      )
      const { run } = yield* makeCommandRunner({})
      yield* Effect.forEach(["a", "b", "c"], (word) => runOf(run, { ...command, command: ["echo", word] }), {
        concurrency: "unbounded"
      }).pipe(
        // both have been asked for, and none has had a turn
        Effect.timeout(0),
        Effect.ignore,
        Effect.provide(Layer.merge(files, Layer.succeed(CommandExecutor.CommandExecutor, executor)))
      )
      yield* Deferred.succeed(first, undefined)
      assert.notInclude(programs, "c")
    }).pipe(Effect.scoped))
})
