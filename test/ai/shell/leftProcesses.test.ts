/** The shell with real processes, in real time: the process table says who is left. */
import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { RoutingDecision, RoutingPolicy, TaskManager, TaskManagerLive } from "effect-task-manager"
import { ShellPolicy, ShellTool, ToolkitExecutor } from "effect-task-manager/ai"
import { execFileSync, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll } from "vitest"
import { livingProcesses } from "../../../demo/processTable.js"
import { type Bundle, bundle } from "../../support/bundle.js"
import { callOf, next, start, valueOf } from "../../support/toolkit.js"
import { nextLook, printed, run, shell } from "./support.js"

const withoutProc = Layer.merge(
  NodeContext.layer,
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fileSystem) => ({
      ...fileSystem,
      readDirectory: (path: string) => fileSystem.readDirectory(path === "/proc" ? "/does/not/exist" : path)
    }))
  ).pipe(Layer.provide(NodeContext.layer))
)

const lists = { count: 0 }

const countingLists = Layer.merge(
  NodeContext.layer,
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fileSystem) => ({
      ...fileSystem,
      readDirectory: (path: string) => {
        if (path === "/proc") lists.count++
        return fileSystem.readDirectory(path)
      }
    }))
  ).pipe(Layer.provide(NodeContext.layer))
)

const assertGone = (...groups: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    // what is gone must be gone when the call is over, not some time later
    assert.deepStrictEqual(yield* livingProcesses(groups), [])
  })

const alive = (mark: string): ReadonlyArray<string> =>
  execFileSync("ps", ["-A", "-o", "stat=,args="], { encoding: "utf8" }).split("\n")
    .filter((row) => row.includes(mark) && !row.startsWith("Z"))

const processesWith = (...marks: ReadonlyArray<string>): ReadonlyArray<number> =>
  execFileSync("ps", ["-A", "-o", "pid=,args="], { encoding: "utf8" }).split("\n")
    .filter((row) => marks.some((mark) => row.includes(mark)))
    .map((row) => Number.parseInt(row, 10))

const isThere = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((directory) => existsSync(join(directory, program)))

const unique = () => String(1_000_000 + Math.floor(Math.random() * 1_000_000_000))

describe.concurrent("no process is left", () => {
  it.live("after a command that leaves some in the background and ends well", () =>
    Effect.gen(function*() {
      const mark = unique()
      const { exit_code, output } = yield* run(`sleep ${mark} & echo $$`)
      assert.strictEqual(exit_code, 0)
      yield* assertGone(Number(output))
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell())))

  it.live("after a command that leaves some that ignore SIGTERM and hold the pipes open", () =>
    Effect.gen(function*() {
      const mark = unique()
      const { output } = yield* run(
        `(trap '' TERM; echo ready; while :; do sleep ${mark}; done) & read -t 1 x; sleep 0.1; echo $$`
      )
      yield* assertGone(Number(/\d+/.exec(output)?.[0]))
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell())))

  it.live("after a cancel; what is told to end may still say something", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const request = callOf("shell", {
        command: "trap 'echo last words; exit 0' TERM; echo group $$; while :; do sleep 0.01; done"
      })
      const taskId = yield* start(request)
      const [, group] = yield* printed(taskId, /group (\d+)/)
      yield* handle.cancel(taskId)
      yield* assertGone(Number(group))
      assert.strictEqual((yield* handle.get(taskId)).status, "Cancelled")
      assert.include((yield* handle.output(taskId)).text, "last words")
    }).pipe(Effect.provide(shell({ gracePeriod: "5 seconds", manager: { cancelGracePeriod: "10 seconds" } }))))

  it.live("after a cancel of one that ignores SIGTERM, with its grandchildren", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const mark = unique()
      const request = callOf("shell", {
        command:
          `trap '' TERM; (trap '' TERM; sleep ${mark}; sleep ${mark}) & echo group $$; while :; do sleep ${mark}; done`
      })
      const taskId = yield* start(request)
      const [, group] = yield* printed(taskId, /group (\d+)/)
      assert.notStrictEqual((yield* livingProcesses([Number(group)])).length, 0)
      yield* handle.cancel(taskId)
      yield* assertGone(Number(group))
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell())))

  it.live("after a cancel of one that is stopped", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const taskId = yield* start(callOf("shell", { command: "echo group $$; kill -STOP $$; echo never" }))
      const [, group] = yield* printed(taskId, /group (\d+)/)
      yield* handle.cancel(taskId)
      yield* assertGone(Number(group))
    }).pipe(Effect.provide(shell())))

  it.live("after its own timeout, with the output so far", () =>
    Effect.gen(function*() {
      const mark = unique()
      const result = yield* run(`trap '' TERM; echo $$; while :; do sleep ${mark}; done`, { timeout_seconds: 0.3 })
      assert.deepStrictEqual([result.exit_code, result.signal, result.timed_out], [null, "SIGKILL", true])
      yield* assertGone(Number(result.output))
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell())))

  it.live("after the timeout of the shell; that of the call wins over it", () =>
    Effect.gen(function*() {
      const result = yield* run("echo started; exec sleep 600")
      assert.deepStrictEqual([result.signal, result.timed_out, result.output], ["SIGTERM", true, "started\n"])
      assert.strictEqual((yield* run("sleep 0.4; echo done", { timeout_seconds: 60 })).output, "done\n")
    }).pipe(Effect.provide(shell({ timeout: "200 millis" }))))

  it.live("after a timeout of the manager, and the output can still be read", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const request = callOf("shell", { command: "echo group $$; exec sleep 600" })
      const taskId = yield* start(request)
      const resolution: any = yield* next(request)
      const [, group] = /group (\d+)/.exec((yield* handle.output(taskId)).text) ?? []
      assert.strictEqual((yield* handle.get(taskId)).status, "Failed")
      assert.include(valueOf(resolution.item), "did not finish within")
      yield* assertGone(Number(group))
    }).pipe(
      Effect.provide(
        shell().pipe(
          // the manager reads it when it is built
          Layer.provideMerge(
            Layer.succeed(RoutingPolicy, () =>
              Effect.succeed({ ...RoutingDecision.Foreground(), timeout: "700 millis" } as any))
          )
        )
      )
    ))

  it.live("after an interrupt of the turn and after closeSession", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const first = callOf("shell", { command: "echo group $$; exec sleep 600" }, { session: "a" })
      const second = callOf("shell", { command: "echo group $$; exec sleep 600" }, { session: "b" })
      const groups: Array<number> = []
      for (const request of [first, second]) {
        const [, group] = yield* printed(yield* start(request), /group (\d+)/)
        groups.push(Number(group))
      }
      yield* manager.onTurnInterrupted(first)
      yield* manager.closeSession(second.sessionId)
      yield* assertGone(...groups)
    }).pipe(Effect.provide(shell())))

  it.live("after the manager is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(shell(), scope)
      const group = yield* Effect.provide(
        Effect.flatMap(start(callOf("shell", { command: "echo group $$; exec sleep 600" })), (taskId) =>
          printed(taskId, /group (\d+)/)),
        context
      )
      yield* Scope.close(scope, Exit.void)
      yield* Effect.provide(assertGone(Number(group[1])), NodeContext.layer)
    }))

  it.live("after the shell's layer is closed, while its manager lives on", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const tools = yield* Layer.buildWithScope(
        ToolkitExecutor.layer(ShellTool.toolkit).pipe(
          Layer.provide(ShellTool.layer({ root: tmpdir(), policy: ShellPolicy.allowAll, gracePeriod: "200 millis" }))
        ),
        scope
      )
      const request = callOf("shell", { command: "trap '' TERM; echo group $$; while :; do sleep 600; done" })
      const taskId = yield* Effect.provide(start(request), tools)
      const [, group] = yield* printed(taskId, /group (\d+)/)
      yield* Scope.close(scope, Exit.void)
      yield* assertGone(Number(group))
      const resolution: any = yield* next(request)
      assert.include(valueOf(resolution.item), `The shell was closed while the command ran. It may have had effects.`)
      assert.include(valueOf(resolution.item), `group ${group}`)
      // nothing new is started either
      yield* Effect.provide(start(request), tools)
      const late: any = yield* next(request)
      assert.strictEqual(valueOf(late.item), "The shell is closed. Nothing was run.")
    }).pipe(Effect.provide(Layer.merge(TaskManagerLive, NodeContext.layer))))

  it.live.runIf(process.platform === "linux")("that has left the process group", () =>
    Effect.gen(function*() {
      const mark = unique()
      const { exit_code, output } = yield* run(`setsid sleep ${mark} & sleep 0.1; echo started`)
      assert.deepStrictEqual([exit_code, output], [0, "started\n"])
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell())))

  it.live.runIf(process.platform === "linux")(
    "that has left the process group and ignores SIGTERM",
    () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const mark = unique()
        const taskId = yield* start(callOf("shell", {
          command: `setsid sh -c 'trap "" TERM; echo escaped; while :; do sleep ${mark}; done' & exec sleep 600`
        }))
        yield* printed(taskId, /escaped/)
        yield* handle.cancel(taskId)
        assert.deepStrictEqual(alive(mark), [])
      }).pipe(Effect.provide(shell()))
  )

  it.live.runIf(process.platform === "linux")(
    "that has left the process group and cleared its environment, while its shell lives",
    () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const mark = unique()
        const taskId = yield* start(callOf("shell", {
          command: `env -i PATH="$PATH" setsid sh -c 'echo escaped; exec sleep ${mark}' & exec sleep 600`
        }))
        yield* printed(taskId, /escaped/)
        yield* handle.cancel(taskId)
        assert.deepStrictEqual(alive(mark), [])
      }).pipe(Effect.provide(shell()))
  )

  it.live.runIf(process.platform === "linux")(
    "of an agent that runs in the shell of an agent",
    () =>
      Effect.gen(function*() {
        const mark = unique()
        // as the inner agent starts it; its parent is gone, so that only the mark is left
        const { output } = yield* run(
          `(EFFECT_TASK_MANAGER_SHELL="$EFFECT_TASK_MANAGER_SHELL,inner" setsid sh -c 'echo inner >&2; exec sleep ${mark}' &)
         read -t 1 x; sleep 0.1; echo over`
        )
        assert.include(output, "inner")
        assert.deepStrictEqual(alive(mark), [])
      }).pipe(Effect.provide(shell()))
  )

  it.live.runIf(process.platform === "linux" && isThere("perl"))(
    "that leaves its parent and its group again and again",
    () =>
      Effect.gen(function*() {
        const mark = unique()
        // each of them lives for a twentieth of a second; for the case that they are not found, there is an end
        const hop =
          `$SIG{TERM} = "IGNORE"; for (1 .. 400) { exit if fork; POSIX::setsid(); select undef, undef, undef, 0.05 }`
        const { exit_code } = yield* run(`perl -MPOSIX -e '${hop}' ${mark} & sleep 0.2`)
        assert.strictEqual(exit_code, 0)
        assert.deepStrictEqual(alive(mark), [])
      }).pipe(Effect.provide(shell()))
  )

  it.live.runIf(process.platform === "linux" && isThere("perl"))(
    "also without a variable and outside of the session, once its parent has ended",
    () =>
      Effect.gen(function*() {
        const [cleared, overwritten] = [unique(), unique()]
        yield* run([
          `(env -i PATH="$PATH" setsid sleep ${cleared} &)`,
          // its new name stands where its environment was
          `(setsid perl -e '$0 = "x${overwritten}"; sleep 600' &)`,
          "sleep 0.3"
        ].join("; "))
        assert.deepStrictEqual([cleared, overwritten].map((mark) => alive(mark).length), [0, 0])
      }).pipe(Effect.provide(shell()))
  )

  it.live.runIf(process.platform === "linux")(
    "but what docs/shell.md lists: without a variable, outside of the session, and with another limit of file locks",
    () =>
      Effect.gen(function*() {
        const mark = unique()
        yield* run(`(ulimit -w 5; env -i PATH="$PATH" setsid sleep ${mark} &); sleep 0.3`)
        const left = alive(mark).length
        yield* Effect.sync(() => {
          for (const row of processesWith(mark)) process.kill(row, "SIGKILL")
        })
        assert.strictEqual(left, 1)
      }).pipe(Effect.provide(shell()))
  )

  it.live.runIf(process.platform === "linux")(
    "and to see that takes no list of all processes, but for the first command",
    () =>
      Effect.gen(function*() {
        yield* run("true")
        assert.isAbove(lists.count, 0)
        // where others start very many processes it takes one now and then
        let before: number
        do {
          before = lists.count
          assert.strictEqual((yield* run("echo done")).output, "done\n")
        } while (lists.count > before)
        const mark = unique()
        yield* run(`(setsid sleep ${mark} &) ; sleep 0.1`)
        assert.isAbove(lists.count, before)
        assert.deepStrictEqual(alive(mark), [])
      }).pipe(Effect.provide(shell({}, countingLists)))
  )

  it.live("where there is no /proc, in the group", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const mark = unique()
      const { output } = yield* run(`(trap '' TERM; while :; do sleep ${mark}; done) & sleep 0.1; echo $$`)
      yield* assertGone(Number(output))
      const taskId = yield* start(
        callOf("shell", { command: `echo group $$; sleep ${mark} & trap '' TERM; while :; do sleep ${mark}; done` })
      )
      const [, group] = yield* printed(taskId, /group (\d+)/)
      yield* handle.cancel(taskId)
      yield* assertGone(Number(group))
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell({}, withoutProc))))

  it.live("after many at once are cancelled at any moment", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const mark = unique()
      yield* Effect.forEach(Array.from({ length: 12 }, (_, at) => at), (at) =>
        Effect.gen(function*() {
          const taskId = yield* start(
            callOf("shell", { command: `sleep ${mark} & sleep ${mark}` }, { callId: `c${at}` })
          )
          for (let turns = 0; turns < at * 3; turns++) {
            yield* Effect.promise(() => new Promise((done) => setImmediate(done)))
          }
          yield* handle.cancel(taskId)
        }), { concurrency: "unbounded", discard: true })
      assert.deepStrictEqual(alive(mark), [])
    }).pipe(Effect.provide(shell())))
})

describe.concurrent("a host that ends without closing its shell", () => {
  let program: Bundle

  beforeAll(async () => {
    program = await bundle("test/ai/shell/fixtures/host.ts")
  })

  afterAll(() => program.remove())

  for (const how of ["exit", "throw", "SIGHUP", "SIGKILL"]) {
    it(`leaves no process behind: ${how}`, async () => {
      const mark = unique()
      const host = spawn(process.execPath, [program.path, how, mark], {
        stdio: ["ignore", "pipe", "ignore"]
      })
      let said = ""
      host.stdout.on("data", (chunk) => said += String(chunk))
      // not "exit", after which there may still be something to read
      await new Promise((ended) => host.on("close", ended))
      assert.strictEqual(said, "ready")
      // the processes end a moment after the host, or the test does not
      while (alive(mark).length > 0) await nextLook()
    })
  }
})
