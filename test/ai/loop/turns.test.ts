/** A turn from a message to a reply without calls: what the model is sent, and what the host is told. */
import { AiError } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema, Stream } from "effect"
import { ScriptedOutcome, SessionId, TaskManagerTestControl, ToolError } from "effect-task-manager"
import { AgentEvent, AgentLoop, Transcript } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import {
  callId,
  ending,
  follow,
  Hold,
  join,
  open,
  promptLines,
  ProviderCall,
  Reasoning,
  runTo,
  sessionId,
  settle,
  startRun,
  tags,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

const noLuck = new AiError.UnknownError({
  module: "Test",
  method: "test",
  description: "no luck",
  cause: new Error("the key is 123")
})

const overTheWire = (event: AgentEvent): AgentEvent =>
  Schema.decodeUnknownSync(AgentEvent)(JSON.parse(JSON.stringify(Schema.encodeSync(AgentEvent)(event))))

describe("a turn", () => {
  it.effect("goes from a message to a reply without calls", () =>
    withWorld(
      { system: "Be nice.", model: [[Text("Hi there")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* runTo(session, "Hello")
        assert.deepStrictEqual(tags(events), ["TurnStarted", "MessageTaken", "TextDelta", "TextDelta", "TurnEnded"])
        assert.deepStrictEqual(events.at(-1), {
          _tag: "TurnEnded",
          turnId: "turn-1" as never,
          reason: { _tag: "Completed", end: "stop" }
        })
        assert.deepStrictEqual(yield* promptLines, [["system: Be nice.", "user: Hello"]])
        yield* session.waitForIdle
      })
    ))

  it.effect("runs the calls of a reply side by side; results come in the order of the calls", () =>
    withWorld(
      { model: [[ToolCall("first", { a: 1 }), ToolCall("second", {}), ToolCall("third", {})], [Text("done")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        for (const name of ["first", "second", "third"]) yield* control.script(name, ScriptedOutcome.Hang)
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const launched = yield* Effect.forEach(["call-1", "call-2", "call-3"], (id) => control.awaitLaunch(callId(id)))
        assert.deepStrictEqual(launched[0]?.request.input, { a: 1 })
        yield* control.complete(launched[2]!.taskId, "third")
        yield* control.complete(launched[0]!.taskId, "first")
        yield* control.fail(
          launched[1]!.taskId,
          new ToolError({ reason: "ExecutionFailed", toolName: "second", message: "second failed" })
        )
        assert.strictEqual(ending(yield* join(running)), "Completed")
        assert.deepStrictEqual((yield* promptLines)[1], [
          "user: go",
          "assistant: call-1=first() | call-2=second() | call-3=third()",
          "tool: call-1:first | call-2:error second failed | call-3:third"
        ])
      })
    ))

  it.effect("tells of calls, and of their tasks", () =>
    withWorld(
      { model: [[ToolCall("first", { a: 1 })], [Text("done")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.Succeed("ok"))
        const session = yield* open()
        const events = yield* runTo(session, "go")
        const call = events.find((event) => event._tag === "ToolCall")
        assert.deepInclude(call, {
          callId: callId("call-1"),
          toolName: "first",
          params: { a: 1 },
          providerExecuted: false
        })
        const tasks = events.flatMap((event) => event._tag === "Task" ? [event.event._tag] : [])
        assert.deepStrictEqual(tasks, ["Started", "Completed"])
        // all of it can be sent to a host in another process
        for (const event of events) {
          assert.strictEqual(overTheWire(event)._tag, event._tag)
        }
      })
    ))

  it.effect("takes a message that comes during a turn into the next request", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("done")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", ScriptedOutcome.Hang)
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const { taskId } = yield* control.awaitLaunch(callId("call-1"))
        const steering = yield* startRun(session, "and be quick")
        yield* settle
        yield* control.complete(taskId, "ok")
        yield* join(running)
        assert.deepStrictEqual((yield* promptLines)[1], [
          "user: go",
          "assistant: call-1=first()",
          "tool: call-1:ok",
          "user: and be quick"
        ])
        assert.strictEqual(ending(yield* join(steering)), "Completed")
      })
    ))

  it.effect("a message that comes too late for the last request starts the next turn", () =>
    withWorld(
      { model: [[Hold, Text("one")], [Text("two")]] },
      Effect.gen(function*() {
        const model = yield* TestLanguageModelControl
        const session = yield* open()
        const first = yield* startRun(session, "go")
        yield* model.waitForRequest(1)
        const second = yield* startRun(session, "again")
        yield* settle
        yield* model.release(1)
        yield* join(first)
        const events = yield* join(second)
        assert.strictEqual(ending(events), "Completed")
        assert.deepStrictEqual((yield* promptLines)[1], ["user: go", "assistant: one", "user: again"])
      })
    ))

  for (const streaming of [true, false]) {
    it.effect(`a tool that does not exist is an error result for that call (${streaming ? "streamed" : "whole"})`, () =>
      withWorld(
        {
          streaming,
          model: [[Text("Let me see."), ToolCall("first", {}), ToolCall("nonsense", { x: 1 })], [Text("done")]]
        },
        Effect.gen(function*() {
          const control = yield* TaskManagerTestControl
          yield* control.script("first", ScriptedOutcome.Succeed("ok"))
          yield* control.script(
            "nonsense",
            ScriptedOutcome.Fail(new ToolError({ reason: "NotFound", toolName: "nonsense", message: "no such tool" }))
          )
          const session = yield* open()
          assert.strictEqual(ending(yield* runTo(session, "go")), "Completed")
          assert.deepStrictEqual((yield* promptLines)[1], [
            "user: go",
            "assistant: Let me see. | call-1=first() | call-2=nonsense()",
            "tool: call-1:ok | call-2:error no such tool"
          ])
          assert.deepStrictEqual((yield* control.launches).at(-1)?.request.input, { x: 1 })
        })
      ))
  }

  for (const streaming of [true, false]) {
    it.effect(`what the provider says about parts goes back to it (${streaming ? "streamed" : "whole"})`, () =>
      withWorld(
        {
          streaming,
          model: [
            [
              Reasoning("thinking", { anthropic: { type: "thinking", signature: "sig" } }),
              Text("text", { openai: { itemId: "msg_1" } }),
              ToolCall("first", {}, { metadata: { openai: { itemId: "fc_1" } } })
            ],
            [Text("done")]
          ]
        },
        Effect.gen(function*() {
          yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.Succeed("ok"))
          const session = yield* open()
          yield* runTo(session, "go")
          const [, sent] = yield* (yield* TestLanguageModelControl).prompts
          const parts = sent!.content.flatMap((message) => message.role === "assistant" ? message.content : [])
          assert.deepStrictEqual(parts.map((part): [string, unknown] => [part.type, part.options]), [
            ["reasoning", { anthropic: { type: "thinking", signature: "sig" } }],
            ["text", { openai: { itemId: "msg_1" } }],
            ["tool-call", { openai: { itemId: "fc_1" } }]
          ])
        })
      ))
  }

  it.effect("calls that the provider executed are left alone", () =>
    withWorld(
      { model: [[ProviderCall({ name: "first", params: {}, result: "found it" }), Text("found")], [Text("more")]] },
      Effect.gen(function*() {
        const session = yield* open()
        assert.strictEqual(ending(yield* runTo(session, "go")), "Completed")
        assert.deepStrictEqual(yield* (yield* TaskManagerTestControl).launches, [])
        yield* runTo(session, "go on")
        assert.deepStrictEqual((yield* promptLines)[1], [
          "user: go",
          "assistant: call-1=first() | call-1:found it | found",
          "user: go on"
        ])
      })
    ))

  it.effect("a call id that was used before gets another one", () =>
    withWorld(
      {
        model: [
          [ToolCall("first", {}, { id: "c" }), ToolCall("first", {}, { id: "c" })],
          [ToolCall("first", {}, { id: "c" })],
          [Text("done")]
        ]
      },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.Succeed("ok"))
        const session = yield* open()
        yield* runTo(session, "go")
        assert.deepStrictEqual((yield* promptLines)[2]?.slice(1), [
          "assistant: c=first() | c-2=first()",
          "tool: c:ok | c-2:ok",
          "assistant: c-3=first()",
          "tool: c-3:ok"
        ])
      })
    ))

  it.effect("a request that fails ends the turn, and nothing is lost", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [ScriptedStep.Fail(noLuck)], [Text("done")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.Succeed("ok"))
        const session = yield* open()
        const failed = (yield* runTo(session, "go")).at(-1)
        const error = failed?._tag === "TurnEnded" && failed.reason._tag === "Failed" ? failed.reason.error : undefined
        assert.strictEqual(error?.reason, "Unknown")
        assert.instanceOf(error?.cause, AiError.UnknownError)
        // a logger would show it
        assert.notProperty(error?.cause, "cause")
        assert.notInclude(JSON.stringify(failed), "no luck")
        yield* session.resume
        yield* session.waitForIdle
        const [, second, third] = yield* promptLines
        assert.deepStrictEqual(third, second)
        yield* session.resume
        yield* session.waitForIdle
        assert.lengthOf(yield* promptLines, 3)
      })
    ))

  it.effect("a request that fails is made again, if the schedule says so", () =>
    withWorld(
      {
        retry: Schedule.recurs(2),
        model: [[Text("half a "), ScriptedStep.Fail(noLuck)], [ScriptedStep.Break("overloaded")], [Text("done")]]
      },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* runTo(session, "go")
        assert.strictEqual(ending(events), "Completed")
        assert.deepStrictEqual(
          events.flatMap((event) => event._tag === "Retrying" ? [[event.attempt, event.error.reason]] : []),
          [[2, "Unknown"], [3, "ServerError"]]
        )
        const { entries } = yield* session.transcript
        assert.deepInclude(entries[1], { parts: [{ _tag: "Text", text: "done", options: {} }] })
      })
    ))

  it.effect("two sessions at once: their requests run side by side and see nothing of each other", () =>
    withWorld(
      {
        model: [[Hold, ToolCall("first", {}, { id: "c" })], [Hold, ToolCall("first", {}, { id: "c" })], [Text("x")], [
          Text("x")
        ]]
      },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        const model = yield* TestLanguageModelControl
        yield* control.script("first", ScriptedOutcome.Succeed("ok"))
        const one = yield* open()
        const two = yield* open({ sessionId: SessionId.make("session-2") })
        const running = [yield* startRun(one, "one"), yield* startRun(two, "two")]
        yield* model.waitForRequest(2)
        yield* model.release(2)
        yield* model.release(1)
        const [ofOne, ofTwo] = yield* Effect.forEach(running, join)
        for (const [events, id] of [[ofOne, "session-1"], [ofTwo, "session-2"]] as const) {
          for (const event of events!) {
            if (event._tag === "Task") assert.strictEqual<string>(event.event.sessionId, id)
          }
        }
        assert.deepStrictEqual((yield* promptLines).map((prompt) => prompt.length), [1, 1, 3, 3])
      })
    ))

  it.effect("a session id is open once; after close it can be opened again, and what is closed says so", () =>
    withWorld(
      { model: [[Hold, Text("never")], [Text("hello")]] },
      Effect.gen(function*() {
        const session = yield* open()
        assert.strictEqual((yield* Effect.flip(open()))._tag, "SessionAlreadyOpen")
        const seen = yield* follow(session)
        const running = yield* startRun(session, "go")
        yield* (yield* TestLanguageModelControl).waitForRequest(1)
        yield* session.close
        assert.strictEqual(ending(yield* join(running)), "Interrupted")
        yield* settle
        assert.deepStrictEqual(seen.slice(-2).map((event) => event._tag === "Task" ? event.event._tag : event._tag), [
          "TurnEnded",
          "SessionClosed"
        ])
        assert.strictEqual((yield* Effect.flip(session.submit("x")))._tag, "SessionClosed")
        assert.strictEqual((yield* Effect.flip(runTo(session, "x")))._tag, "SessionClosed")
        assert.deepStrictEqual(yield* session.interrupt, { cancelled: [], kept: [] })
        assert.deepStrictEqual(yield* Stream.runCollect(session.events).pipe(Effect.map((all) => all.length)), 0)
        yield* session.close
        yield* session.waitForIdle
        const again = yield* open({ transcript: yield* session.transcript })
        assert.strictEqual(ending(yield* runTo(again, "again")), "Completed")
      })
    ))

  it.effect("closing a session cancels its tasks", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("later", {})]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", ScriptedOutcome.Hang)
        yield* control.script("later", ScriptedOutcome.Hang)
        const loop = yield* AgentLoop
        const running = yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* loop.open({ sessionId })
          const running = yield* Effect.forkDaemon(runTo(session, "go"))
          yield* control.awaitLaunch(callId("call-2"))
          return { running, session }
        }))
        assert.strictEqual(ending(yield* join(running.running)), "Interrupted")
        assert.deepStrictEqual(Transcript.openCalls(yield* running.session.transcript), [])
      })
    ))
})
