/** What a reply leaves in the transcript, from parts as the clients of OpenAI and Anthropic stream them. */
import { Response, Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { TaskManager, TaskManagerSimple, ToolExecutor } from "effect-task-manager"
import { AgentLoop, ReplyPart } from "effect-task-manager/ai"
import { TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { ReplyBuilder } from "../../../src/ai/loop/internal/reply.js"
import { ending, promptLines, runTo, sessionId, Text, ToolCall } from "./support.js"

const build = (...parts: ReadonlyArray<Response.AnyPart>): ReplyBuilder => {
  const reply = new ReplyBuilder()
  for (const part of parts) reply.add(part)
  return reply
}

const none: ReadonlySet<string> = new Set()
const make = Response.makePart

describe("a reply", () => {
  it("has the signature of a thought, which Anthropic sends in an empty delta", () => {
    const parts = build(
      make("reasoning-start", { id: "0" }),
      make("reasoning-delta", { id: "0", delta: "hm" }),
      make("reasoning-delta", { id: "0", delta: "", metadata: { anthropic: { type: "thinking", signature: "sig" } } }),
      make("reasoning-end", { id: "0" }),
      make("reasoning-start", {
        id: "1",
        metadata: { anthropic: { type: "redacted_thinking", redactedData: "xyz" } }
      }),
      make("reasoning-end", { id: "1" })
    ).whole(none)
    assert.deepStrictEqual(parts, [
      { _tag: "Reasoning", text: "hm", options: { anthropic: { type: "thinking", signature: "sig" } } },
      { _tag: "Reasoning", text: "", options: { anthropic: { type: "redacted_thinking", redactedData: "xyz" } } }
    ])
  })

  it("keeps its end where the client gave it up for one call and the end was saved", () => {
    const call = make("tool-call", { id: "c", name: "t", params: {}, providerExecuted: false, metadata: {} })
    const finish = make("finish", {
      reason: "length",
      usage: { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined }
    })
    const saved = build(call, finish)
    saved.closedByClient()
    assert.strictEqual(saved.end, "length")
    const cut = build(call)
    cut.closedByClient()
    assert.strictEqual(cut.end, "tool-calls")
  })

  it("has the ids of items and encrypted thoughts of OpenAI, and nothing that is no JSON", () => {
    const parts = build(
      make("reasoning-start", { id: "r:0", metadata: { openai: { itemId: "r", encryptedContent: undefined } } }),
      make("reasoning-end", { id: "r:0", metadata: { openai: { itemId: "r", encryptedContent: "secret" } } }),
      make("text-start", { id: "m", metadata: { openai: { itemId: "m" } } }),
      make("text-delta", { id: "m", delta: "Hel" }),
      make("tool-call", {
        id: "c",
        name: "t",
        params: { at: new Date(0), big: undefined },
        providerExecuted: false,
        metadata: { openai: { itemId: "f" } }
      }),
      make("text-delta", { id: "m", delta: "lo" }),
      make("text-end", { id: "m" })
    ).whole(none)
    assert.deepStrictEqual(parts, [
      { _tag: "Reasoning", text: "", options: { openai: { itemId: "r", encryptedContent: "secret" } } },
      // where it began
      { _tag: "Text", text: "Hello", options: { openai: { itemId: "m" } } },
      {
        _tag: "ToolCall",
        callId: "c" as never,
        toolName: "t",
        providerExecuted: false,
        params: { at: "1970-01-01T00:00:00.000Z" },
        options: { openai: { itemId: "f" } }
      }
    ])
  })

  it("may use the id of a text again", () => {
    const reply = build(
      make("text-start", { id: "0" }),
      make("text-delta", { id: "0", delta: "a" }),
      make("text-start", { id: "0" }),
      make("text-delta", { id: "0", delta: "b" })
    )
    assert.deepStrictEqual(reply.whole(none).map((part) => "text" in part ? part.text : ""), ["a", "b"])
    assert.deepStrictEqual(reply.said().map((part) => "text" in part ? part.text : ""), ["a", "b"])
  })

  it("has ids of its own for calls without one, for ids of codecs, and for ids that were used", () => {
    const call = (id: string) => make("tool-call", { id, name: "t", params: {}, providerExecuted: false })
    const parts = build(call(""), call(""), call("late-x"), call("used"), call("used-2")).whole(new Set(["used"]))
    assert.deepStrictEqual(parts.map((part) => part._tag === "ToolCall" ? String(part.callId) : ""), [
      "call",
      "call-2",
      "call-late-x",
      "used-2",
      "used-2-2"
    ])
  })

  it("has ids that every provider takes, and each once", () => {
    const call = (id: string) => make("tool-call", { id, name: "t", params: {}, providerExecuted: false })
    const long = "i".repeat(200)
    const parts = build(
      call("functions.shell:0"),
      call("functions.shell-0"),
      call(long),
      call(`${long}2`),
      call("\u{1f600}")
    )
      .whole(none)
    const ids = parts.map((part) => part._tag === "ToolCall" ? String(part.callId) : "")
    for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{1,64}$/)
    assert.strictEqual(new Set(ids).size, ids.length)
  })

  it("has no input that is nested deeper than a transcript can be", () => {
    let params: unknown = {}
    for (let depth = 0; depth < 600; depth++) params = { a: params }
    const parts = build(make("tool-call", { id: "c", name: "t", params, providerExecuted: false })).whole(none)
    assert.isTrue(Schema.is(Schema.Array(ReplyPart))(parts))
  })
})

const toolkit = Toolkit.make(Tool.make("one"), Tool.make("two"))

describe("the simple manager", () => {
  it.effect("runs the calls one by one", () => {
    const Tools = ToolExecutor.fromHandlers({ one: () => Effect.succeed("1"), two: () => Effect.succeed("2") })
    const world = AgentLoop.layer(toolkit).pipe(Layer.provideMerge(Layer.mergeAll(
      TaskManagerSimple,
      Tools,
      TestLanguageModel.layer([[ToolCall("one", {}), ToolCall("two", {})], [Text("done")]])
    )))
    return Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({ sessionId })
      assert.strictEqual(ending(yield* runTo(session, "go")), "Completed")
      assert.strictEqual((yield* promptLines)[1]?.[2], "tool: call-1:1 | call-2:2")
    }).pipe(Effect.scoped, Effect.provide(world))
  })

  it.effect("is interrupted like the other", () => {
    const world = AgentLoop.layer(toolkit).pipe(Layer.provideMerge(Layer.mergeAll(
      TaskManagerSimple,
      ToolExecutor.fromHandlers({ one: () => Effect.never, two: () => Effect.never }),
      TestLanguageModel.layer([[ToolCall("one", {}), ToolCall("two", {})], [Text("ok")]])
    )))
    return Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({ sessionId })
      const { handle } = yield* TaskManager
      const started = yield* handle.subscribe
      const running = yield* Effect.fork(runTo(session, "go"))
      yield* started.take
      yield* session.interrupt
      assert.strictEqual(ending(yield* Fiber.join(running)), "Interrupted")
      yield* runTo(session, "and?")
      const { requests } = yield* TestLanguageModelControl
      assert.lengthOf(yield* requests, 2)
      const [one, two] = (yield* promptLines)[1]![2]!.split(" | ")
      assert.include(one, "cancelled while it was running")
      assert.include(two, "cancelled before it started")
    }).pipe(Effect.scoped, Effect.provide(world))
  })
})
