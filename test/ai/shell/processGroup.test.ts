/** Which processes are ended, by a process table that is made up. */
import { CommandExecutor, FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { describe, it } from "@effect/vitest"
import { Effect, Inspectable, Layer, Sink, Stream } from "effect"
import { assert } from "vitest"
import { type ProcessGroup, stopGroup } from "../../../src/ai/shell/processGroup.js"

interface Row {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly start: number
  readonly environment?: string
}

const proc = (table: () => ReadonlyArray<Row>) => {
  const missing = new SystemError({ module: "FileSystem", method: "read", reason: "NotFound" })
  return FileSystem.layerNoop({
    readDirectory: () => Effect.sync(() => ["self", ...table().map(({ pid }) => String(pid))]),
    readFileString: (path) =>
      Effect.suspend(() => {
        const [, , pid, file] = path.split("/")
        const row = table().find((one) => String(one.pid) === pid)
        if (row === undefined) return missing
        return Effect.succeed(
          file === "environ"
            ? row.environment ?? ""
            : `${row.pid} (a) b) S ${row.parent} ${row.group} ${row.group} ${"0 ".repeat(15)}${row.start} 0`
        )
      })
  })
}

const processOf = (pid: number, kill: (signal: string) => void): CommandExecutor.Process => ({
  [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
  ...Inspectable.BaseProto,
  pid: CommandExecutor.ProcessId(pid),
  exitCode: Effect.succeed(CommandExecutor.ExitCode(0)),
  isRunning: Effect.succeed(false),
  kill: (signal = "SIGTERM") => Effect.sync(() => kill(signal)),
  stdin: Sink.drain,
  stdout: Stream.empty,
  stderr: Stream.empty
})

/** Stops the group 100 with the mark `m`; after the first signal the process table is `after`. */
const stop = (before: ReadonlyArray<Row>, after: ReadonlyArray<Row>) =>
  Effect.gen(function*() {
    const sent: Array<string> = []
    let isSignalled = false
    const signalled = (what: string) => {
      isSignalled = true
      sent.push(what)
    }
    const group: ProcessGroup = { leader: processOf(100, (name) => signalled(`${name} group`)), mark: "m" }
    const executor = CommandExecutor.makeExecutor((command) =>
      Effect.sync(() => {
        if (command._tag === "StandardCommand") signalled(command.args.at(-1) ?? "")
        return processOf(900, () => undefined)
      })
    )
    yield* stopGroup(group, "10 millis").pipe(
      Effect.provide(
        Layer.merge(
          proc(() => isSignalled ? after : before),
          Layer.succeed(CommandExecutor.CommandExecutor, executor)
        )
      )
    )
    return sent.sort()
  })

const leader: Row = { pid: 100, parent: 1, group: 100, start: 1 }
const stranger: Row = { pid: 300, parent: 1, group: 300, start: 3, environment: "EFFECT_TASK_MANAGER_SHELL=other,mm" }

describe("stopGroup", () => {
  it.live("ends children of children that have left the group, whatever their order and their environment", () =>
    Effect.gen(function*() {
      const rows = [
        stranger,
        { pid: 200, parent: 400, group: 200, start: 4 },
        { pid: 400, parent: 100, group: 400, start: 2 },
        leader
      ]
      assert.deepStrictEqual(yield* stop(rows, [stranger]), ["SIGTERM group", "kill -TERM 200 400"])
    }))

  it.live("finds a mark anywhere in the list", () =>
    Effect.gen(function*() {
      const marked = (pid: number, environment: string) => ({ pid, parent: 1, group: pid, start: 2, environment })
      const rows = [
        marked(200, "A=1\0EFFECT_TASK_MANAGER_SHELL=m,inner\0B=2"),
        marked(201, "EFFECT_TASK_MANAGER_SHELL=outer,m"),
        marked(202, "EFFECT_TASK_MANAGER_SHELL=outer"),
        marked(203, "EFFECT_TASK_MANAGER_SHELL_X=m")
      ]
      assert.deepStrictEqual(yield* stop(rows, [stranger]), ["kill -TERM 200 201"])
    }))

  it.live("remembers what it found when its parent is gone, and kills no process that has taken its number", () =>
    Effect.gen(function*() {
      const before = [leader, { pid: 200, parent: 100, group: 200, start: 4 }, {
        pid: 201,
        parent: 100,
        group: 201,
        start: 4
      }]
      const after = [{ pid: 200, parent: 1, group: 200, start: 9 }, {
        pid: 201,
        parent: 1,
        group: 201,
        start: 4
      }]
      const sent = yield* stop(before, after)
      assert.deepStrictEqual([...new Set(sent)], ["SIGTERM group", "kill -KILL 201", "kill -TERM 200 201"])
    }))
})
