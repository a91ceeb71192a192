/** Servers that are programs: official ones, and one that hangs, dies and leaves processes behind. */
import { it } from "@effect/vitest"
import { Effect, Layer, Logger, Ref, Schedule } from "effect"
import { TaskManager, ToolExecutor } from "effect-task-manager"
import { type McpStdioServer, McpTools } from "effect-task-manager/mcp"
import { mkdtempSync, readFileSync, realpathSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe } from "vitest"
import { approvalOf, assert, call, endOf, outputOf, progressOf, specNames, start, world } from "./toolsSupport.js"

const folder = () => realpathSync(mkdtempSync(join(tmpdir(), "mcp-tools-")))

const node = (name: string, ...args: ReadonlyArray<string>) => McpTools.stdio({ name, command: process.execPath, args })

const official = (name: string, ...args: ReadonlyArray<string>) =>
  node(name, `node_modules/@modelcontextprotocol/server-${name}/dist/index.js`, ...args)

/** What the server has noted of itself. */
const journalOf = () => {
  const path = join(folder(), "journal")
  writeFileSync(path, "")
  const lines = () => readFileSync(path, "utf8").split("\n").filter((line) => line !== "")
  return { path, lines, until: (line: string) => lookUntil(Effect.sync(lines), (all) => all.includes(line)) }
}

/** A look at another process, which says nothing by itself. */
const lookUntil = <A, E, R>(look: Effect.Effect<A, E, R>, until: (value: A) => boolean) =>
  Effect.repeat(look, { schedule: Schedule.spaced("20 millis"), until }).pipe(Effect.zipRight(look))

const own = (journal: string, ...flags: ReadonlyArray<string>): McpStdioServer =>
  node("own", "--import", "tsx", "test/mcp/processes/toolServer.ts", journal, ...flags)

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    // one that has ended and was not waited for yet is there as well
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

const pidOf = (said: string): number => Number(said.replace("Completed: ", ""))

describe("@modelcontextprotocol/server-everything", () => {
  const everything = official("everything", "stdio")

  it.live(
    "has its tools called: text, images, structured content, progress and a cancel",
    () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        assert.strictEqual(yield* call("everything__echo", { message: "hi" }), "Completed: Echo: hi")
        const image = yield* Effect.flatMap(start("everything__get-tiny-image"), endOf)
        assert.include(outputOf(image.result), "\"mediaType\":\"image/png\"")
        const weather = yield* Effect.flatMap(
          start("everything__get-structured-content", { location: "Chicago" }),
          endOf
        )
        assert.strictEqual(weather.result.output._tag, "Structured")
        const task = yield* start("everything__trigger-long-running-operation", { duration: 60, steps: 1_000 })
        const [first] = yield* progressOf(task, 1)
        assert.isAbove(first?.fraction ?? 0, 0)
        yield* handle.cancel(task)
        assert.strictEqual((yield* endOf(task)).tag, "Cancelled")
      }).pipe(Effect.provide(world({ servers: [everything] }))),
    60_000
  )

  it.live("asks, and runs a task of its own that asks", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const simple = yield* start("everything__trigger-elicitation-request")
      const asked = yield* approvalOf(simple)
      yield* manager.answerApproval(asked, { answers: { "mcp-1": { name: "Ada" } } })
      assert.include(outputOf((yield* endOf(simple)).result), "Ada")

      const research = yield* start("everything__simulate-research-query", { topic: "python", ambiguous: true })
      const question = yield* approvalOf(research)
      assert.include(question.approval.summary, "multiple interpretations")
      yield* manager.answerApproval(question, { answers: { "mcp-1": { interpretation: "snake" } } }).pipe(
        Effect.catchTag("InvalidAnswer", () => manager.answerApproval(question, { answers: { "mcp-1": null } }))
      )
      const ended = yield* endOf(research)
      assert.strictEqual(ended.tag, "Completed")
      assert.include(outputOf(ended.result), "Research Report: python")
    }).pipe(Effect.provide(world({ servers: [everything] }))), 60_000)
})

describe("@modelcontextprotocol/server-filesystem", () => {
  it.live("reads and writes files, and fails where it may not", () => {
    const root = folder()
    writeFileSync(join(root, "a.txt"), "of a")
    return Effect.gen(function*() {
      const { specs } = yield* ToolExecutor
      const read = (yield* specs).find(({ name }) => name === "filesystem__read_text_file")
      assert.strictEqual(read?.annotations?.["readOnlyHint"], true)
      assert.include(JSON.stringify(read?.inputSchema), "\"path\"")
      // a model that is held to a strict schema says null for what it leaves out
      assert.include(
        yield* call("filesystem__read_text_file", { path: join(root, "a.txt"), head: null, tail: null }),
        "of a"
      )
      assert.match(yield* call("filesystem__write_file", { path: join(root, "b.txt"), content: "of b" }), /^Completed/)
      assert.strictEqual(readFileSync(join(root, "b.txt"), "utf8"), "of b")
      assert.match(yield* call("filesystem__read_text_file", { path: "/etc/passwd" }), /^ExecutionFailed: .*denied/i)
    }).pipe(Effect.provide(world({ servers: [official("filesystem", root)] })))
  }, 60_000)
})

describe("a server that is a program", () => {
  it.live("is cancelled in mid-call, and told of a list that has changed", () => {
    const journal = journalOf()
    return Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const task = yield* start("own__hang")
      yield* journal.until("hangs")
      yield* handle.cancel(task)
      yield* journal.until("aborted")
      assert.notInclude(yield* specNames, "own__grown")
      yield* call("own__grow")
      yield* lookUntil(specNames, (names) => names.includes("own__grown"))
      assert.strictEqual(yield* call("own__grown"), "Completed: grown")
    }).pipe(Effect.provide(world({ servers: [own(journal.path)] })))
  }, 60_000)

  it.live(
    "that is killed in mid-call fails that call with an unknown outcome, and is started again for the next",
    () => {
      const journal = journalOf()
      return Effect.gen(function*() {
        const pid = pidOf(yield* call("own__pid"))
        const task = yield* start("own__hang")
        yield* journal.until("hangs")
        process.kill(pid, "SIGKILL")
        const cut = yield* endOf(task)
        assert.strictEqual(cut.reason, "Interrupted")
        assert.include(outputOf(cut.result), "ended before it answered: nobody knows what the call has done")
        // while nobody is there
        const { result, tag } = yield* Effect.flatMap(start("own__pid"), endOf)
        assert.strictEqual(tag, "Completed")
        assert.notStrictEqual(Number(outputOf(result)), pid)
        const { status } = yield* McpTools
        assert.deepStrictEqual((yield* status).map(({ state }) => state), ["Ready"])
      }).pipe(Effect.provide(world({ servers: [own(journal.path)] })))
    },
    60_000
  )

  it.live("that is not restarted is unavailable: the call was not made", () => {
    const journal = journalOf()
    return Effect.gen(function*() {
      const pid = pidOf(yield* call("own__pid"))
      process.kill(pid, "SIGKILL")
      const { status } = yield* McpTools
      yield* lookUntil(status, (all) => all.every(({ state }) => state === "Down"))
      assert.match(yield* call("own__pid"), /^Unavailable: .*is not running. The call was not made/)
    }).pipe(Effect.provide(world({ servers: [own(journal.path)], restart: Schedule.stop })))
  }, 60_000)

  it.live("ends with the layer, with its whole group, also if it does not want to", () => {
    const journal = journalOf()
    return Effect.gen(function*() {
      const [pid, child] = yield* Effect.gen(function*() {
        return [pidOf(yield* call("own__pid")), pidOf(yield* call("own__child"))] as const
      }).pipe(Effect.provide(world({ servers: [own(journal.path, "deaf")], gracePeriod: "200 millis" })))
      assert.isFalse(isAlive(pid))
      assert.isFalse(isAlive(child))
    })
  }, 60_000)

  it.live("takes what it has left behind along when it dies", () => {
    const journal = journalOf()
    return Effect.gen(function*() {
      const pid = pidOf(yield* call("own__pid"))
      const child = pidOf(yield* call("own__child"))
      process.kill(pid, "SIGKILL")
      yield* lookUntil(Effect.sync(() => isAlive(child)), (isThere) => !isThere)
    }).pipe(Effect.provide(world({ servers: [own(journal.path)] })))
  }, 60_000)

  it.live("writes errors, and to its output what is no message, and has no environment but its own", () => {
    const journal = journalOf()
    const errors = Ref.unsafeMake(0)
    const server: McpStdioServer = {
      ...own(journal.path, "noisy", "log"),
      env: { OWN: "1" },
      stderr: (text) => Ref.update(errors, (length) => length + text.length)
    }
    process.env["MCP_TOOLS_SECRET"] = "secret"
    return Effect.gen(function*() {
      assert.strictEqual(yield* call("own__env", { name: "OWN" }), "Completed: 1")
      assert.strictEqual(yield* call("own__env", { name: "MCP_TOOLS_SECRET" }), "Completed: not set")
      yield* lookUntil(Ref.get(errors), (length) => length === 1_000_000)
    }).pipe(Effect.provide(world({ servers: [server] })))
  }, 60_000)

  for (
    const [how, stderr] of [
      ["dies", () => Effect.die(new Error("disk full"))],
      ["throws", () => {
        throw new Error("broken host")
      }]
    ] as const
  ) {
    it.live(`is read where what takes its errors ${how}: it would wait for a reader`, () => {
      const journal = journalOf()
      const errors: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel.label === "ERROR") errors.push(String(message))
      })
      return Effect.gen(function*() {
        assert.match(yield* call("own__pid"), /^Completed: \d+$/)
        assert.deepStrictEqual([...new Set(errors)], ["McpStdioServer.stderr has failed"])
      }).pipe(
        Effect.provide(Layer.provide(
          world({ servers: [{ ...own(journal.path, "noisy"), stderr }], connectTimeout: "20 seconds" }),
          Logger.replace(Logger.defaultLogger, logger)
        ))
      )
    }, 60_000)
  }

  it.live("that sends too much at once is ended, and started again", () => {
    const journal = journalOf()
    return Effect.gen(function*() {
      assert.match(yield* call("own__large", { bytes: 100_000 }), /^Completed: x/)
      assert.match(yield* call("own__large", { bytes: 300_000 }), /^Interrupted: /)
      assert.match(yield* call("own__pid"), /^Completed: /)
      assert.strictEqual(journal.lines().filter((line) => line.startsWith("started")).length, 2)
    }).pipe(Effect.provide(world({ servers: [own(journal.path)], maxMessageBytes: 200_000 })))
  }, 60_000)

  it.live(
    "that cannot be started fails the layer, and if it is optional only its own calls",
    () =>
      Effect.gen(function*() {
        const missing = McpTools.stdio({ name: "missing", command: "/does/not/exist" })
        const failed = yield* Effect.flip(Effect.provide(specNames, world({ servers: [missing] })))
        assert.strictEqual(failed._tag, "McpServerUnavailable")
        assert.strictEqual(failed.message, "The MCP server \"missing\" could not be connected to")
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* specNames, [])
        }).pipe(Effect.provide(world({ servers: [{ ...missing, optional: true }] })))
      }),
    60_000
  )
})
