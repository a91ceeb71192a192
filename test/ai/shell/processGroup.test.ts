/** Which processes are ended, by a process table that is made up. */
import { CommandExecutor, FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Inspectable, Layer, Option, Sink, Stream, TestClock } from "effect"
import { assert } from "vitest"
import { candidates, readStat } from "../../../src/ai/shell/members.js"
import { type ProcessGroup, stopGroup } from "../../../src/ai/shell/processGroup.js"
import { makeProcessTable, type ProcessTable } from "../../../src/ai/shell/processTable.js"

interface Row {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session?: number
  readonly start: number
  readonly isZombie?: boolean
  /** Without one it cannot be read, as that of another user. */
  readonly environment?: string | undefined
}

const errorOf = (reason: "NotFound" | "PermissionDenied") =>
  new SystemError({ module: "FileSystem", method: "read", reason })

const statOf = ({ group, isZombie = false, parent, pid, session = group, start }: Row) =>
  `${pid} (a) b) ${isZombie ? "Z" : "S"} ${parent} ${group} ${session} ${"0 ".repeat(15)}${start} 0`

/** Counts the looks and the files that were read. */
const proc = (table: () => ReadonlyArray<Row>, counts = { looks: 0, files: 0 }) =>
  FileSystem.layerNoop({
    readDirectory: () =>
      Effect.sync(() => {
        counts.looks++
        return ["self", ...table().map(({ pid }) => String(pid))]
      }),
    readFileString: (path) =>
      Effect.suspend(() => {
        const [, , pid, file] = path.split("/")
        if (pid === "loadavg") return Effect.succeed("0.1 0.2 0.3 1/2 999\n")
        counts.files++
        const row = table().find((one) => String(one.pid) === pid)
        if (row === undefined) return errorOf("NotFound")
        if (file !== "environ") return Effect.succeed(statOf(row))
        return "environment" in row && row.environment === undefined
          ? errorOf("PermissionDenied")
          : Effect.succeed(row.environment ?? "")
      })
  })

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

const noExecutor = Layer.succeed(
  CommandExecutor.CommandExecutor,
  CommandExecutor.makeExecutor(() => Effect.die("no program is started to look or to signal"))
)

const groupOf = (table: ProcessTable, sent: (what: string) => void, pid = 100): ProcessGroup => ({
  leader: processOf(pid, (name) => sent(`${name} group`)),
  watched: { leader: pid, mark: "m", isLong: false, known: new Map() },
  table,
  sendSignal: (name, processes) => Effect.sync(() => sent(`${name} ${processes.join(" ")}`))
})

/** Stops the group 100 with the mark `m`, where these are the files, and adds what it sends. */
const stopIn = (files: Layer.Layer<FileSystem.FileSystem>, sent: Array<string>) =>
  Effect.gen(function*() {
    const table = yield* makeProcessTable(Option.none())
    const stopping = yield* Effect.fork(
      stopGroup(groupOf(table, (what) => sent.push(what)), "1 second").pipe(
        Effect.provide(Layer.merge(files, noExecutor))
      )
    )
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(stopping)
  })

/** The same, where the process table is `tables[n]` once n signals were sent; the last one stays. Gives what was sent. */
const stop = (...tables: ReadonlyArray<ReadonlyArray<Row>>) => {
  const sent: Array<string> = []
  return Effect.as(stopIn(proc(() => tables[sent.length] ?? tables.at(-1) ?? []), sent), sent)
}

const leader: Row = { pid: 100, parent: 1, group: 100, start: 1 }
const stranger: Row = { pid: 300, parent: 1, group: 300, start: 3, environment: "EFFECT_TASK_MANAGER_SHELL=other,mm" }
const marked = (pid: number, environment = "EFFECT_TASK_MANAGER_SHELL=m"): Row => ({
  pid,
  parent: 1,
  group: pid,
  start: 2,
  environment
})

describe("stopGroup", () => {
  it.effect("sends nothing where nothing is left", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* stop([stranger]), [])
    }))

  it.effect("ends children of children that have left the group, whatever their order and their environment", () =>
    Effect.gen(function*() {
      const rows = [
        stranger,
        { pid: 200, parent: 400, group: 200, start: 4 },
        { pid: 400, parent: 100, group: 400, start: 2 },
        leader
      ]
      assert.deepStrictEqual(yield* stop(rows, rows, [stranger]), ["SIGTERM 200 400", "SIGTERM group"])
    }))

  it.effect("ends what has left the group and not the session, whatever its environment", () =>
    Effect.gen(function*() {
      const rows = [{ pid: 200, parent: 1, group: 200, session: 100, start: 4 }, stranger]
      assert.deepStrictEqual(yield* stop(rows, [stranger]), ["SIGTERM 200"])
    }))

  it.effect("finds a mark anywhere in the list", () =>
    Effect.gen(function*() {
      const rows = [
        marked(200, "A=1\0EFFECT_TASK_MANAGER_SHELL=m,inner\0B=2"),
        marked(201, "EFFECT_TASK_MANAGER_SHELL=outer,m"),
        marked(202, "EFFECT_TASK_MANAGER_SHELL=outer"),
        marked(203, "EFFECT_TASK_MANAGER_SHELL_X=m")
      ]
      assert.deepStrictEqual(yield* stop(rows, [stranger]), ["SIGTERM 200 201"])
    }))

  it.effect("remembers what it found when its parent is gone, and kills no process that has taken its number", () =>
    Effect.gen(function*() {
      const child = (pid: number, parent: number, start: number) => ({ pid, parent, group: pid, start })
      const before = [leader, child(200, 100, 4), child(201, 100, 4)]
      const after = [child(200, 1, 9), child(201, 1, 4)]
      assert.deepStrictEqual(yield* stop(before, before, after, [stranger]), [
        "SIGTERM 200 201",
        "SIGTERM group",
        "SIGKILL 201"
      ])
    }))

  it.effect("looks until it stays empty: one that starts another one and ends is followed", () =>
    Effect.gen(function*() {
      const hops = [201, 202, 203, 204].map((pid) => [marked(pid), stranger])
      assert.deepStrictEqual(yield* stop(...hops, [stranger]), [
        "SIGTERM 201",
        "SIGTERM 202",
        "SIGTERM 203",
        "SIGTERM 204"
      ])
    }))

  it.effect("looks again if something ended while it was looked at, which may have started another one", () =>
    Effect.gen(function*() {
      let looks = 0
      const sent: Array<string> = []
      const gone = marked(200)
      const after = [[gone], [marked(201)], []]
      // the first is listed, and is gone when it is read
      const files = FileSystem.layerNoop({
        readDirectory: () => Effect.sync(() => ["300", ...(after[looks++] ?? []).map(({ pid }) => String(pid))]),
        readFileString: (path) =>
          path === "/proc/200/stat" || looks > 2 && path.startsWith("/proc/201")
            ? errorOf("NotFound")
            : Effect.succeed(
              path.endsWith("stat")
                ? statOf(path.includes("300") ? stranger : marked(201))
                : path.includes("300")
                ? ""
                : "EFFECT_TASK_MANAGER_SHELL=m"
            )
      })
      yield* stopIn(files, sent)
      assert.deepStrictEqual(sent, ["SIGTERM 201"])
    }))

  it.effect("looks again and again while what it lists has ended when it is read, at its state or at its environment", () =>
    Effect.gen(function*() {
      let looks = 0
      const sent: Array<string> = []
      // one that starts another one and ends: it is seen by the sixth look
      const files = FileSystem.layerNoop({
        readDirectory: () => Effect.sync(() => looks > 6 ? ["300"] : ["300", String(200 + looks++)]),
        readFileString: (path) =>
          Effect.suspend(() => {
            if (path === "/proc/loadavg") return Effect.succeed("0.1 0.2 0.3 1/2 999\n")
            const pid = Number(path.split("/")[2])
            if (pid === 300) return Effect.succeed(path.endsWith("stat") ? statOf(stranger) : "OTHER=1")
            if (pid % 2 === 0 && looks < 6) return errorOf("NotFound")
            if (path.endsWith("stat")) return Effect.succeed(statOf(marked(pid)))
            return Effect.succeed(looks < 6 ? "" : "EFFECT_TASK_MANAGER_SHELL=m")
          })
      })
      yield* stopIn(files, sent)
      assert.deepStrictEqual(sent[0], "SIGTERM 205")
    }))

  it.effect("kills what is there after the grace period, also if the last look within it was not sure that there was something", () =>
    Effect.gen(function*() {
      const sent: Array<string> = []
      const now = Effect.clockWith((clock) => clock.currentTimeMillis)
      // one that ignores SIGTERM, starts another one and ends
      const current = Effect.map(now, (millis) => millis < 900 ? 201 : millis < 1_000 ? 203 : 205)
      const files = FileSystem.layerNoop({
        readDirectory: () =>
          Effect.map(current, (pid) => ["300", ...(sent.includes("SIGKILL 205") ? [] : [String(pid)])]),
        readFileString: (path) =>
          path === "/proc/loadavg"
            ? Effect.succeed("0.1 0.2 0.3 1/2 999\n")
            // it has ended when it is read
            : path === "/proc/203/stat"
            ? errorOf("NotFound")
            : path === "/proc/300/stat"
            ? Effect.succeed(statOf(stranger))
            : path.startsWith("/proc/300")
            ? Effect.succeed("OTHER=1")
            : Effect.succeed(
              path.endsWith("stat") ? statOf(marked(Number(path.split("/")[2]))) : "EFFECT_TASK_MANAGER_SHELL=m"
            )
      })
      yield* stopIn(files, sent)
      // once when it is found, and once after the look
      assert.deepStrictEqual(sent, ["SIGTERM 201", "SIGKILL 205", "SIGKILL 205"])
    }))

  it.effect("does not wait for zombies, and looks no more than once more for their sake", () =>
    Effect.gen(function*() {
      const counts = { looks: 0, files: 0 }
      const table = yield* makeProcessTable(Option.none())
      const stopping = yield* Effect.fork(
        stopGroup(groupOf(table, () => assert.fail("nothing is left")), "1 second").pipe(
          Effect.provide(
            Layer.merge(proc(() => [stranger, { ...leader, pid: 101, isZombie: true }], counts), noExecutor)
          )
        )
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      assert.strictEqual(counts.looks, 2)
    }))

  it.effect("is sure of what has ended already, and of threads of the kernel, whose environment nobody can read", () =>
    Effect.gen(function*() {
      const counts = { looks: 0, files: 0 }
      const table = yield* makeProcessTable(Option.none())
      const rows = [stranger, { ...leader, pid: 400, group: 0, environment: undefined }]
      yield* stopGroup(groupOf(table, () => assert.fail("nothing is left")), "1 second").pipe(
        Effect.provide(Layer.merge(proc(() => rows, counts), noExecutor))
      )
      // two states and one environment
      assert.deepStrictEqual(counts, { looks: 1, files: 3 })
    }))

  it.effect("cannot find what has left group and session, has lost its parent, and has no mark that can be read", () =>
    Effect.gen(function*() {
      const rows = [
        // env -i, or what writes over its environment
        marked(200, ""),
        // of another user, or one that forbids it, as ssh-agent does
        { ...marked(201), environment: undefined }
      ]
      assert.deepStrictEqual(yield* stop(rows), [])
    }))
})

describe("the process table", () => {
  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)
  const command = (leader: number, isLong = false, known: ReadonlyArray<number> = []) => ({
    leader,
    mark: "m",
    isLong,
    known: new Map(known.map((id) => [id, "1"]))
  })

  it("is read only from the first process of a short command on, and for what is known", () => {
    assert.deepStrictEqual(
      candidates(numbers(1, 9), [command(8, false, [3]), command(7)], 9),
      [3, 7, 8, 9]
    )
  })

  it("is read whole for a longer command, and where the numbers began anew", () => {
    const all = numbers(1, 9)
    assert.deepStrictEqual(candidates(all, [command(8), command(7, true)], 9), all)
    assert.deepStrictEqual(candidates(all, [command(8)], 3), all)
    assert.deepStrictEqual(candidates(all, [command(8)], 0), all)
  })

  it("is read with names of programs that contain anything", () => {
    assert.deepStrictEqual(readStat(7, "7 (a) Z 1 2) S 5 6 4 " + "0 ".repeat(15) + "99 0"), {
      id: 7,
      parent: 5,
      group: 6,
      session: 4,
      start: "99",
      isAlive: true
    })
  })

  it.effect("is not listed again where it is certain without that that nothing is left", () =>
    Effect.gen(function*() {
      const counts = { looks: 0, files: 0 }
      const read: Array<string> = []
      let newest = 100
      let rows: ReadonlyArray<Row> = [stranger]
      const table = yield* makeProcessTable(Option.some({
        read: (file) => {
          read.push(file)
          const row = rows.find(({ pid }) => file === `${pid}/stat`)
          return Option.some(file === "loadavg" ? `0.1 0.2 0.3 1/2 ${newest}\n` : row === undefined ? "" : statOf(row))
        },
        hasProcesses: () => false,
        list: () => assert.fail("the service for files does that")
      }))
      const look = Effect.suspend(() => table.look(command(100)))
      yield* Effect.gen(function*() {
        // the first one shows that there is such a /proc
        assert.deepStrictEqual(yield* look, Option.some({ inGroup: false, escaped: [], isSure: true }))
        assert.deepStrictEqual([counts.looks, read.splice(0)], [1, ["300/limits"]])
        assert.deepStrictEqual(yield* look, Option.some({ inGroup: false, escaped: [], isSure: true }))
        assert.deepStrictEqual([counts.looks, read], [1, ["loadavg", "100/stat", "loadavg"]])
        newest = 200
        rows = [stranger, marked(200)]
        assert.deepStrictEqual(yield* look, Option.some({ inGroup: false, escaped: [200], isSure: true }))
        assert.strictEqual(counts.looks, 2)
      }).pipe(Effect.provide(proc(() => rows, counts)))
    }))

  it.effect("is not read past the service for files where that finds none", () =>
    Effect.gen(function*() {
      const table = yield* makeProcessTable(Option.some({
        read: () => assert.fail("it may be that of another machine"),
        hasProcesses: () => assert.fail("it may be that of another machine"),
        list: () => assert.fail("it may be that of another machine")
      }))
      const files = FileSystem.layerNoop({ readDirectory: () => errorOf("NotFound") })
      for (let looks = 0; looks < 2; looks++) {
        assert.deepStrictEqual(yield* Effect.provide(table.look(command(100)), files), Option.none())
      }
    }))

  it.effect("is looked at once for all commands that want it at the time", () =>
    Effect.gen(function*() {
      const counts = { looks: 0, files: 0 }
      const rows = Array.from({ length: 50 }, (_, at) => ({ ...stranger, pid: 1000 + at }))
      const table = yield* makeProcessTable(Option.none())
      const all = yield* Effect.forEach(numbers(100, 119), (pid) => table.look(command(pid)), {
        concurrency: "unbounded"
      }).pipe(Effect.provide(proc(() => rows, counts)))
      assert.strictEqual(all.length, 20)
      // one for the first, and one for all that came meanwhile
      assert.deepStrictEqual(counts, { looks: 2, files: 2 * 2 * 50 })
    }))
})

describe("what starts another one and ends, faster than its files can be read", () => {
  it.effect("is killed by the limit that it has inherited", () =>
    Effect.gen(function*() {
      const mark = "0000002a-0000-4000-8000-000000000007"
      const now = Effect.map(Effect.clock, (clock) => clock.unsafeCurrentTimeMillis())
      const clock = yield* Effect.clock
      let killed = Number.POSITIVE_INFINITY
      // another one every 10 ms, which ignores SIGTERM and has cleared its environment
      const current = () => 200 + Math.floor(clock.unsafeCurrentTimeMillis() / 10)
      const rows = () => killed === current() ? [stranger] : [stranger, { ...marked(current(), ""), isZombie: false }]
      const stat = (pid: number) => rows().find((one) => one.pid === pid)
      // somebody else is always first: each file takes 20 ms
      const files = FileSystem.layerNoop({
        readDirectory: () => Effect.sync(() => rows().map(({ pid }) => String(pid))),
        readFileString: (path) =>
          Effect.zipRight(
            Effect.sleep("20 millis"),
            Effect.suspend(() => {
              if (path === "/proc/loadavg") return Effect.succeed(`0.1 0.2 0.3 1/2 ${current()}\n`)
              const row = stat(Number(path.split("/")[2]))
              return row === undefined ? errorOf("NotFound") : Effect.succeed(path.endsWith("stat") ? statOf(row) : "")
            })
          )
      })
      const table = yield* makeProcessTable(Option.some({
        read: (path) => {
          if (path === "loadavg") return Option.some(`0.1 0.2 0.3 1/2 ${current()}\n`)
          const row = stat(Number(path.split("/")[0]))
          if (row === undefined) return Option.some("")
          if (path.endsWith("stat")) return Option.some(statOf(row))
          return Option.some(
            `Max file locks            ${row === stranger ? "unlimited" : 0x2a * 2 ** 20 + 7}  9  locks\n`
          )
        },
        hasProcesses: () => false,
        list: () => rows().map(({ pid }) => String(pid))
      }))
      const sent: Array<string> = []
      const group = {
        ...groupOf(table, () => undefined),
        watched: { leader: 100, mark, isLong: false, known: new Map() },
        sendSignal: (name: string, processes: ReadonlyArray<number>) =>
          Effect.sync(() => {
            sent.push(name)
            if (name === "SIGKILL" && processes.includes(current())) killed = current()
          })
      }
      const stopping = yield* Effect.fork(
        stopGroup(group, "1 second").pipe(Effect.provide(Layer.merge(files, noExecutor)))
      )
      for (let step = 0; step < 2_000 && Option.isNone(yield* Fiber.poll(stopping)); step++) {
        yield* TestClock.adjust("10 millis")
      }
      yield* Fiber.join(stopping)
      assert.isBelow(killed, yield* now)
    }))
})
