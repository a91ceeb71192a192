/** The demo as a user starts it: a child process, in real time. */
import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import {
  SessionId,
  type TaskEvent,
  TaskId,
  type TaskSnapshot,
  ToolCallId,
  ToolOutput,
  TurnId
} from "effect-task-manager"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert } from "vitest"
import { parseOptions } from "../demo/options.js"
import { nextStep } from "../demo/planner.js"
import { isProved, proofRows } from "../demo/proof.js"
import { fit, plain } from "../demo/text.js"
import { timeline } from "../demo/timeline.js"
import { type Arrival, empty, type Transcript } from "../demo/transcript.js"
import { type Bundle, bundle } from "./support/bundle.js"
import { asUsersStart, DemoProcess } from "./support/DemoProcess.js"
import { isFull, oneIn } from "./support/fullMode.js"

interface Row {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly command: string
}

const processes = (): ReadonlyArray<Row> =>
  execFileSync("ps", ["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat=", "-o", "args="], { encoding: "utf8" })
    .split("\n").flatMap((line) => {
      const [, pid, parent, state = "", command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? []
      return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), state, command }]
    })

/** Everything that runs under a process. */
const descendants = (pid: number, rows = processes()): ReadonlyArray<Row> =>
  rows.filter((row) => row.parent === pid).flatMap((row) => [row, ...descendants(row.pid, rows)])

const stillAlive = (before: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  processes().filter((row) => !row.state.startsWith("Z") && before.some(({ pid }) => pid === row.pid))

/** Looks at the process table until the demo runs a command like this one. */
const untilItRuns = async (demo: DemoProcess, command: string): Promise<ReadonlyArray<Row>> => {
  while (demo.child.exitCode === null) {
    const running = descendants(demo.pid)
    if (running.some((row) => row.command.includes(command))) return running
    await new Promise((next) => setTimeout(next, 20))
  }
  throw new Error(`never ran: ${command}\n${demo.output}`)
}

const assertProof = (demo: DemoProcess, calls: number): void => {
  const rows = demo.output.match(/^call-\d+ +task-\d+ +\w+ +\d+ +\d+ +(in its turn|later) +\w+$/gm) ?? []
  assert.strictEqual(rows.length, calls, demo.output)
  assert.strictEqual(new Set(rows.map((row) => row.split(" ")[0])).size, calls)
  for (const row of rows) assert.match(row, /^call-\d+ +task-\d+ +\w+ +\d+ +1 /)
  assert.include(demo.output, `${calls} tool calls, ${calls} results: every tool call id got exactly one result.`)
}

const assertClean = (demo: DemoProcess, root: string): void => {
  assert.isFalse(existsSync(dirname(root)), `${dirname(root)} is left`)
  assert.notMatch(demo.output, /FAILED|STILL THERE|LIVE/)
  // no terminal: no colour, no cursor tricks; and nothing of what the tools printed
  // oxlint-disable-next-line no-control-regex
  assert.notMatch(demo.output, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
}

let bundled: Bundle

beforeAll(async () => {
  bundled = await bundle("demo/main.ts")
})

afterAll(() => bundled.remove())

// most of the time of a demo is spent waiting
describe.concurrent("npm run demo", () => {
  if (isFull) {
    it("runs the destructive command with --yes, and proves one result per call", async () => {
      const demo = new DemoProcess(asUsersStart("main.ts"), ["--yes"])
      const root = await demo.root()
      await demo.waitFor(/completed +call-\d+ +remove/)
      assert.isFalse(existsSync(join(root, "build")))
      assert.isTrue(existsSync(join(root, "src", "cart.mjs")))
      await demo.waitFor(/check +the background goes on/)
      const running = descendants(demo.pid)
      assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
      assert.deepStrictEqual(stillAlive(running), [])
      assertProof(demo, 16)
      assertClean(demo, root)
      assert.include(demo.output, "stands in for it")
      assert.match(demo.output, /Verdict: everything held \(12 of 12 checks\)/)
      assert.match(demo.output, /^call-\d+ +run_tests +█+▒+✓$/m)
      assert.match(demo.output, /^call-\d+ +load_test +█+⊘$/m)
      assert.strictEqual(demo.errors, "")
    })
  }

  if (isFull) {
    it("runs the read-only part on a repository of the user's and changes nothing in it", async ({ onTestFinished }) => {
      const outside = realpathSync(mkdtempSync(join(tmpdir(), "demo-test-")))
      onTestFinished(() => rmSync(outside, { recursive: true, force: true }))
      const root = join(outside, "mine")
      mkdirSync(root)
      const git = (...args: ReadonlyArray<string>) =>
        execFileSync("git", ["-c", "user.name=Me", "-c", "user.email=me@example.invalid", ...args], {
          cwd: root,
          encoding: "utf8"
        })
      git("init", "--quiet")
      writeFileSync(join(root, "README.md"), "`build/` is generated; delete it.\n")
      mkdirSync(join(root, "build"))
      writeFileSync(join(root, "build", "kept.txt"), "TODO\n")
      writeFileSync(join(root, "a\u001b[31mred\u001b[0m.md"), "a name that paints\n")
      git("add", ".")
      git("commit", "--quiet", "--message", "First \u001b[2J TODO")
      writeFileSync(join(root, "untracked.txt"), "mine\n")
      const state = () => ({
        status: git("--no-optional-locks", "status", "--porcelain"),
        head: git("rev-parse", "HEAD"),
        index: statSync(join(root, ".git", "index")).mtimeMs
      })
      const before = state()
      // relative to where the user called npm
      const demo = new DemoProcess([bundled.path], ["--repo", "mine"], { cwd: outside })
      assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
      assert.deepStrictEqual(state(), before)
      assert.isTrue(existsSync(join(root, "build", "kept.txt")))
      assert.include(demo.output, `The repository: ${root} (yours: only what reads it is run)`)
      assert.notMatch(demo.output, /\b(remove|run_tests|replace_text)\b/)
      assertProof(demo, 10)
      assertClean(demo, join(tmpdir(), "never-made", "x"))
    })
  }

  it.each(oneIn(2, [
    { args: ["--repo", join(tmpdir(), "no-such-folder")], error: /is not the folder of a git repository/ },
    { args: ["--bogus"], error: /^Unknown option '--bogus'/ }
  ]))("refuses $args", async ({ args, error }) => {
    const demo = new DemoProcess([bundled.path], args)
    assert.strictEqual(await demo.ended, 2)
    assert.match(demo.errors, error)
    assert.include(demo.errors, "Usage: npm run demo")
    assert.notInclude(demo.errors, "    at ")
  })

  if (!isFull) return

  it("ends every process and removes the folder on SIGINT in the middle of a turn", async () => {
    const demo = new DemoProcess([bundled.path], ["--yes"])
    const root = await demo.root()
    await demo.waitFor(/started +call-\d+ +load_test .*ignores SIGTERM/)
    const running = await untilItRuns(demo, `trap "" TERM`)
    assert.isAtLeast(stillAlive(running).length, 4)
    demo.child.kill("SIGINT")
    assert.strictEqual(await demo.ended, 130, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertClean(demo, root)
    assert.match(demo.output, /Interrupted\.\n✓ no process is left/)
  })

  it("leaves the folder alone with --no", async () => {
    const demo = new DemoProcess([bundled.path], ["--no"])
    const root = await demo.root()
    await demo.waitFor(/failed +call-\d+ +remove/)
    assert.isTrue(existsSync(join(root, "build", "bundle.js")))
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
    assertProof(demo, 16)
    assertClean(demo, root)
    assert.match(demo.output, /rejects: the answer was given with --no/)
  })

  it("rejects and says so when there is nobody to ask", async () => {
    const demo = new DemoProcess([bundled.path], [])
    const root = await demo.root()
    await demo.waitFor(/rejects: there is no terminal to ask at/)
    await demo.waitFor(/failed +call-\d+ +remove/)
    assert.isTrue(existsSync(join(root, "build", "bundle.js")))
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
    assertProof(demo, 16)
    assertClean(demo, root)
  })

  it("cleans up on Ctrl-C at a terminal, which every process of the demo gets, also when pressed twice", async () => {
    const demo = new DemoProcess([bundled.path], ["--yes"], { ownGroup: true })
    const root = await demo.root()
    await demo.waitFor(/detached +call-\d+ +run_tests/)
    const running = await untilItRuns(demo, "cart.test.mjs")
    process.kill(-demo.pid, "SIGINT")
    process.kill(-demo.pid, "SIGINT")
    assert.strictEqual(await demo.ended, 130, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertClean(demo, root)
  })

  it.each(["SIGTERM", "SIGHUP"] as const)("cleans up on %s", async (signal) => {
    const demo = new DemoProcess([bundled.path], ["--no"])
    const root = await demo.root()
    await demo.waitFor(/suspended +call-\d+ +remove/)
    const running = await untilItRuns(demo, "cart.test.mjs")
    demo.child.kill(signal)
    assert.strictEqual(await demo.ended, 143, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertClean(demo, root)
  })
})

describe("the command line", () => {
  it.effect.each([
    { args: ["extra"], message: /^Unexpected argument 'extra'/ },
    { args: ["--repo"], message: /--repo/ },
    { args: ["--repo="], message: /--repo needs the path/ },
    { args: ["--yes", "--no"], message: /exclude each other/ },
    { args: ["--otlp", "file:///etc/passwd"], message: /^--otlp takes an http address/ }
  ])("refuses $args", ({ args, message }) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(parseOptions(args))
      assert.match(error.message, message)
    }))

  it.effect("takes what it knows", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* parseOptions(["--yes", "--repo", "x", "--otlp", "http://localhost:4318"]), {
        answer: Option.some("yes"),
        repo: Option.some("x"),
        otlp: Option.some("http://localhost:4318"),
        help: false
      })
    }))
})

describe("the proof", () => {
  const turnId = TurnId.make("turn-1")
  const snapshot = (callId: ToolCallId): TaskSnapshot => ({
    id: TaskId.make(`task of ${callId}`),
    sessionId: SessionId.make("demo"),
    turnId,
    callId,
    toolName: "read_file",
    kind: "Foreground",
    status: "Cancelled",
    launch: 1,
    deliveryMode: "ToLoop",
    continuePolicy: "NotifyOnly",
    createdAt: 0,
    metadata: {}
  })
  const ids = ["call-1", "call-2"].map((id) => ToolCallId.make(id))
  const calls = ids.map((callId) => ({ callId, turnId, toolName: "read_file", input: {} }))
  const events = ids.map((callId, index): TaskEvent => ({
    _tag: "Cancelled",
    seq: index + 1,
    at: 0,
    sessionId: snapshot(callId).sessionId,
    turnId,
    taskId: snapshot(callId).id,
    snapshot: snapshot(callId)
  }))
  const arrivals = ids.map((callId): Arrival => ({
    callId,
    taskId: snapshot(callId).id,
    via: "turn",
    result: { _tag: "ToolResult", callId, output: ToolOutput.Text({ text: "" }), isError: true, metadata: {} }
  }))
  const stray = arrivals.slice(0, 1).map((arrival) => ({ ...arrival, callId: ToolCallId.make("call-9") }))

  it.each([
    { name: "one result for each", arrivals, events, holds: true },
    { name: "a result twice", arrivals: [...arrivals, ...arrivals.slice(1)], events, holds: false },
    { name: "a result missing", arrivals: arrivals.slice(1), events, holds: false },
    { name: "a result nobody asked for", arrivals: [...arrivals, ...stray], events, holds: false },
    { name: "two ends of one task", arrivals, events: [...events, ...events.slice(1)], holds: false },
    { name: "a task without an end", arrivals, events: events.slice(1), holds: false }
  ])("$name: $holds", ({ arrivals, events, holds }) => {
    assert.strictEqual(isProved(proofRows({ calls, arrivals }, events)), holds)
  })
})

describe("the stand-in for the model", () => {
  const turnId = TurnId.make("turn-1")
  const answered = (
    known: Transcript,
    toolName: string,
    input: unknown,
    value: unknown
  ): Transcript => {
    const callId = ToolCallId.make(`call-${known.calls.length + 1}`)
    return {
      calls: [...known.calls, { callId, turnId, toolName, input }],
      arrivals: [...known.arrivals, {
        callId,
        taskId: TaskId.make(callId),
        via: "turn",
        result: { _tag: "ToolResult", callId, output: ToolOutput.Structured({ value }), isError: false, metadata: {} }
      }]
    }
  }
  const tools = ["list_files", "read_file", "run_tests", "replace_text", "remove", "load_test", "search", "watch"]
  const sources = [
    ["list_files", {}, { files: ["README.md", "src/cart.mjs"] }],
    ["read_file", { path: "README.md" }, { text: "Nothing can go." }],
    ["read_file", { path: "src/cart.mjs" }, { text: "sum += item.price\n" }]
  ] as const
  const known = sources.reduce((known, [toolName, input, value]) => answered(known, toolName, input, value), empty)
  const testRun = (failed: ReadonlyArray<string>) =>
    answered(known, "run_tests", { path: "t.mjs" }, { isGreen: failed.length === 0, failed, summary: "" })

  it("changes the code when a result says that the quantity fails, and not otherwise", () => {
    const failing = nextStep(testRun(["not ok - the quantity counts"]), tools)
    assert.deepInclude(failing, {
      _tag: "Calls",
      calls: [{
        toolName: "replace_text",
        input: { path: "src/cart.mjs", from: "+= item.price", to: "+= item.price * item.quantity" }
      }]
    })
    assert.strictEqual(nextStep(testRun([]), tools)._tag, "Answer")
    assert.strictEqual(nextStep(testRun(["not ok - something else"]), tools)._tag, "Answer")
  })

  it("asks to delete only what the README names", () => {
    const named = answered(
      answered(empty, "list_files", {}, { files: ["README.md"] }),
      "read_file",
      { path: "README.md" },
      { text: "`old/` is left over: delete it." }
    )
    assert.deepInclude(nextStep(named, tools), { calls: [{ toolName: "remove", input: { path: "old" } }] })
    const readOnly = nextStep(named, tools.filter((tool) => tool !== "remove"))
    assert.notDeepInclude(readOnly, { calls: [{ toolName: "remove", input: { path: "old" } }] })
  })
})

describe("the time line", () => {
  it("draws what a tool has started under its task", () => {
    const event = (_tag: "Started" | "Cancelled", id: string, at: number, parent?: string): TaskEvent => {
      const snapshot: TaskSnapshot = {
        id: TaskId.make(id),
        sessionId: SessionId.make("s"),
        turnId: TurnId.make("t"),
        callId: ToolCallId.make(id),
        toolName: `tool-${id}`,
        kind: "Foreground",
        status: _tag === "Started" ? "Running" : "Cancelled",
        launch: 1,
        deliveryMode: "ToLoop",
        continuePolicy: "NotifyOnly",
        createdAt: at,
        metadata: {},
        ...(parent === undefined ? {} : { parentTaskId: TaskId.make(parent) })
      }
      const { sessionId, turnId } = snapshot
      return { _tag, seq: at, at, sessionId, turnId, taskId: snapshot.id, snapshot }
    }
    const lines = timeline(
      [
        event("Started", "a", 1),
        event("Started", "b", 2),
        event("Started", "c", 3, "a"),
        event("Started", "d", 4, "c"),
        event("Cancelled", "a", 9)
      ],
      { begin: 0, marks: [], screen: { columns: 80, paint: (_, text) => text } }
    )
    const names = lines.slice(1, 5).map((line) => line.slice(9, 22).trimEnd())
    assert.deepStrictEqual(names, ["tool-a", "└ tool-c", " └ tool-d", "tool-b"])
  })
})

describe("text from outside", () => {
  it.each([
    ["\u001b[31mred\u001b[0m", "red"],
    ["a\u001b[2J\u001b[1;1Hb", "ab"],
    ["a\u001b]0;title\u0007b", "ab"],
    ["a\u001b]8;;http://x\u001b\\link", "alink"],
    ["a\u009b31mb", "ab"],
    ["a\nb\r\nc\u2028d", "a b c d"],
    ["\u202eevil\u2066", " evil"],
    ["zwnj\u200b\u0000", "zwnj"]
  ])("%j becomes %j", (hostile, harmless) => {
    assert.strictEqual(plain(hostile), harmless)
  })

  it("is cut to the width", () => {
    assert.strictEqual(fit("abcdef", 4), "abc…")
    assert.strictEqual(fit("a😀b", 3), "a😀b")
  })
})
