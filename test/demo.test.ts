/** What the demo makes of its arguments and of what it is told. */
import { describe, it } from "@effect/vitest"
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
import { assert } from "vitest"
import { parseOptions } from "../demo/options.js"
import { nextStep } from "../demo/planner.js"
import { isProved, proofRows } from "../demo/proof.js"
import { fit, plain } from "../demo/text.js"
import { timeline } from "../demo/timeline.js"
import { type Arrival, empty, type Transcript } from "../demo/transcript.js"

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
