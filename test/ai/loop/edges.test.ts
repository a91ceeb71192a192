/** What a session does at its edges: before the first turn, after the last one, and where somebody else meddles. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Scope, Stream, TestClock } from "effect"
import {
  ScriptedOutcome,
  type TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerTestControl,
  ToolCallId,
  TurnId
} from "effect-task-manager"
import {
  renderPrompt,
  type TranscriptEntry,
  TranscriptStore,
  TranscriptStoreError,
  WakePolicy
} from "effect-task-manager/ai"
import { TestLanguageModelControl } from "effect-task-manager/ai/testing"
import {
  approvalRequest,
  callId,
  complete,
  ending,
  hang,
  Hold,
  join,
  open,
  promptLines,
  runTo,
  sessionId,
  settle,
  startRun,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

describe("a message", () => {
  it.effect("is what it was when it was handed in, whatever its caller does with it later", () =>
    withWorld(
      { model: [[Text("hello")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const said = [{ _tag: "Text" as const, text: "as it was" }]
        yield* session.submit(said)
        Object.assign(said[0] ?? {}, { text: "as it is" })
        said.push({ _tag: "Text", text: "one more" })
        yield* session.waitForIdle
        const [first] = (yield* session.transcript).entries
        assert.deepStrictEqual(first?._tag === "UserMessage" ? first.content : first, [
          { _tag: "Text", text: "as it was" }
        ])
      })
    ))

  it.effect("has U+FFFD in the place of each half of a character", () =>
    withWorld(
      { model: [[Text("hello")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* session.submit("a\ud800b")
        yield* session.submit([{ _tag: "File", mediaType: "image/png", data: "x\udc00", fileName: "f\ud800" }])
        yield* session.waitForIdle
        const said = (yield* session.transcript).entries.flatMap((entry) =>
          entry._tag === "UserMessage" ? entry.content : []
        )
        assert.deepStrictEqual(said, [
          { _tag: "Text", text: "a\ufffdb" },
          { _tag: "File", mediaType: "image/png", data: "x\ufffd", fileName: "f\ufffd" }
        ])
      })
    ))

  it.effect("that is none is refused by name, and takes the place of nothing", () =>
    withWorld(
      { model: [[Text("hello")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const wrong: ReadonlyArray<unknown> = [
          undefined,
          7,
          { _tag: "Text", text: "alone" },
          [{ _tag: "Text", text: 7 }],
          [{ _tag: "File", mediaType: "image/png", data: new Uint8Array(3) }],
          [undefined]
        ]
        for (const message of wrong) {
          // what a caller without types may give
          const given = message as string
          for (const end of [session.submit(given, { messageId: "m1" }), Stream.runDrain(session.run(given))]) {
            const cause = yield* Effect.flip(Effect.sandbox<unknown, unknown, never>(end))
            assert.include(Cause.pretty(cause), "AgentSession takes a text, or a list of UserPart, as a message, not")
          }
        }
        assert.strictEqual(yield* session.submit("right", { messageId: "m1" }), "m1")
        yield* session.waitForIdle
        assert.strictEqual((yield* session.transcript).entries.length, 2)
      })
    ))
})

describe("a session that is closed", () => {
  it.effect("is idle for good, also when the window of a wake-up elapses", () =>
    withWorld(
      { wake: WakePolicy.Coalesced({ window: "10 seconds" }), model: [[ToolCall("later", {})], [Text("x")]] },
      Effect.gen(function*() {
        yield* hang("later")
        const session = yield* open()
        yield* runTo(session, "go")
        yield* complete("task-1", "done")
        yield* session.close
        yield* TestClock.adjust("20 seconds")
        yield* settle
        const waiting = yield* Effect.fork(session.waitForIdle)
        yield* settle
        assert.isTrue((yield* Fiber.poll(waiting))._tag === "Some")
      })
    ))

  it.effect("ends every stream, with a turn that runs and with a message that waits", () =>
    withWorld(
      { model: [[Hold]] },
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const session = yield* open().pipe(Scope.extend(scope))
        const all = yield* Effect.fork(Stream.runDrain(session.events))
        const running = yield* startRun(session, "go")
        yield* (yield* TestLanguageModelControl).waitForRequest(1)
        const queued = yield* Effect.fork(Effect.either(runTo(session, "more")))
        const idle = yield* Effect.fork(session.waitForIdle)
        const stopped = yield* Effect.fork(session.interrupt)
        yield* Scope.close(scope, Exit.void)
        yield* settle
        const fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [all, running, queued, idle, stopped]
        const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.poll(fiber))
        assert.isTrue(exits.every(Option.isSome))
        assert.deepStrictEqual(yield* session.interrupt, { cancelled: [], kept: [] })
        yield* session.waitForIdle
        yield* Stream.runDrain(session.events)
      })
    ))
})

describe("an interrupt", () => {
  it.effect("before a message is stored leaves it to the next turn, and begins none", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const store = TranscriptStore.layer({
        append: (_, entry) => entry._tag === "LateResult" ? Deferred.await(gate) : Effect.void
      })
      yield* withWorld(
        {
          store,
          wake: WakePolicy.WithNextMessage,
          model: [[ToolCall("later", {})], [Text("one")], [Text("two")], [Text("three")]]
        },
        Effect.gen(function*() {
          yield* hang("later")
          const session = yield* open()
          yield* runTo(session, "go")
          yield* complete("task-1", "done")
          const running = yield* startRun(session, "more")
          yield* settle
          const stopped = yield* Effect.fork(session.interrupt)
          yield* settle
          yield* Deferred.succeed(gate, undefined)
          yield* join(stopped)
          assert.strictEqual(ending(yield* join(running)), "Interrupted")
          yield* session.waitForIdle
          assert.lengthOf(yield* promptLines, 2)
          yield* runTo(session, "rather this")
          assert.deepStrictEqual((yield* promptLines)[2]?.slice(-2), ["user: more", "user: rather this"])
        })
      )
    }))
})

describe("between turns", () => {
  it.effect("an interrupt stops the tools of a turn that failed", () => {
    let isFull = true
    const store = TranscriptStore.layer({
      append: (_, entry) =>
        isFull && entry._tag === "ToolResult" ? new TranscriptStoreError({ message: "full" }) : Effect.void
    })
    return withWorld(
      { store, model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("x")]] },
      Effect.gen(function*() {
        yield* hang("first", "second")
        const control = yield* TaskManagerTestControl
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-2"))
        yield* complete("task-1", "one")
        assert.strictEqual(ending(yield* join(running)), "Failed")
        isFull = false
        const { cancelled } = yield* session.interrupt
        assert.deepStrictEqual(cancelled.map(({ id }) => String(id)), ["task-2"])
        yield* session.waitForIdle
        yield* runTo(session, "and?")
        const [one, two] = (yield* promptLines)[1]![2]!.split(" | ")
        assert.strictEqual(one, "tool: call-1:one")
        assert.include(two, "cancelled while it was running")
      })
    )
  })
})

describe("a wake-up", () => {
  it.effect("does not need a manager that remembers the task", () =>
    withWorld(
      { config: { historyLimit: 0 }, model: [[ToolCall("later", {})], [Text("x")], [Text("thanks")]] },
      Effect.gen(function*() {
        yield* hang("later")
        const session = yield* open()
        yield* runTo(session, "go")
        yield* complete("task-1", "done")
        yield* session.waitForIdle
        assert.include((yield* promptLines)[2]?.at(-1), "done")
      })
    ))

  it.effect("comes for a result that was there before the session was opened", () =>
    withWorld(
      { model: [[Text("thanks")]] },
      Effect.gen(function*() {
        const manager = yield* TaskManager
        yield* hang("later")
        yield* manager.startTask(TaskLaunchRequest.plain({
          request: {
            sessionId,
            turnId: TurnId.make("earlier"),
            callId: ToolCallId.make("call-0"),
            toolName: "later",
            input: {},
            metadata: {}
          }
        }))
        yield* complete("task-1", "done")
        const session = yield* open()
        yield* settle
        yield* session.waitForIdle
        assert.include((yield* promptLines)[0]?.at(-1), "done")
      })
    ))
})

describe("what a tool starts in the name of its call", () => {
  it.effect("does not answer the call", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("x")]] },
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const control = yield* TaskManagerTestControl
        yield* hang("first", "second")
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const { request } = yield* control.awaitLaunch(callId("call-1"))
        yield* manager.startTask(TaskLaunchRequest.plain({ request: { ...request, toolName: "second" } }))
        yield* complete("task-2", "of the child")
        yield* complete("task-1", "of the call")
        yield* join(running)
        const [, second] = yield* promptLines
        assert.strictEqual(second?.[2], "tool: call-1:of the call")
        assert.include(second?.[3], "of the child")
      })
    ))

  it.effect("does not answer it while it waits for approval either, nor by going to the background", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("x")]] },
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const control = yield* TaskManagerTestControl
        yield* control.script(
          "first",
          ScriptedOutcome.RequireApproval(approvalRequest("a"), ScriptedOutcome.Succeed("of the call"))
        )
        yield* hang("later", "second")
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const { request } = yield* control.awaitLaunch(callId("call-1"))
        yield* manager.startTask(TaskLaunchRequest.plain({ request: { ...request, toolName: "later" } }))
        yield* manager.startTask(TaskLaunchRequest.plain({ request: { ...request, toolName: "second" } }))
        yield* manager.handle.detach("task-3" as TaskId)
        yield* settle
        yield* complete("task-2", "of the child")
        yield* settle
        const [shown] = yield* session.approvals
        assert.strictEqual((yield* Fiber.poll(running))._tag, "None")
        yield* session.approve(shown!)
        yield* join(running)
        const [, second] = yield* promptLines
        assert.strictEqual(second?.[2], "tool: call-1:of the call")
        assert.include(second?.[3], "of the child")
      })
    ))
})

describe("a call whose result goes to the host", () => {
  it.effect("is not promised a message", () =>
    withWorld(
      { model: [[ToolCall("manual", {}), ToolCall("slow", {})], [Text("x")]] },
      Effect.gen(function*() {
        yield* hang("manual", "slow")
        const { handle } = yield* TaskManager
        const control = yield* TaskManagerTestControl
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const { taskId } = yield* control.awaitLaunch(callId("call-2"))
        yield* handle.setDeliveryMode(taskId, "Manual")
        yield* handle.detach(taskId)
        yield* join(running)
        const [one, two] = (yield* promptLines)[1]![2]!.split(" | ")
        for (const text of [one, two]) {
          assert.include(text, "runs in the background as task-")
          assert.notInclude(text, "will come by itself, in a later message")
          assert.include(text, "does not come to you by itself")
        }
      })
    ))
})

describe("a history is valid", () => {
  it.effect("after a message without words", () =>
    withWorld(
      { model: [[Text("what?")], [Text("what?")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, "")
        yield* Stream.runDrain(session.run([]))
        assert.lengthOf(yield* promptLines, 2)
      })
    ))

  it("after a reply that is nothing but a thought", () => {
    const entries: ReadonlyArray<TranscriptEntry> = [
      { _tag: "UserMessage", messageId: "message-1", content: [{ _tag: "Text", text: "go" }] },
      {
        _tag: "AssistantMessage",
        replyId: "turn-1/1",
        turnId: TurnId.make("turn-1"),
        parts: [
          { _tag: "Text", text: "I think.", options: {} },
          { _tag: "Reasoning", text: "hm", options: { anthropic: { type: "thinking", signature: "s" } } }
        ],
        end: "length"
      },
      { _tag: "UserMessage", messageId: "message-2", content: [{ _tag: "Text", text: "and?" }] }
    ]
    const { content } = renderPrompt({ sessionId, entries })
    assert.deepStrictEqual(content[1]?.content.length, 1)
  })
})
