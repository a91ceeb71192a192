/** What a user says while something runs or asks: to the model, and to a tool. */
import { Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import {
  CurrentTask,
  ScriptedOutcome,
  SessionId,
  TaskManager,
  TaskManagerLive,
  TaskManagerTestControl,
  type ToolCallId
} from "effect-task-manager"
import {
  AgentLoop,
  type AgentSession,
  ToolAnnotations,
  ToolkitExecutor,
  TranscriptStore,
  TranscriptStoreError
} from "effect-task-manager/ai"
import { TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import {
  approvalRequest,
  complete,
  ending,
  hang,
  Hold,
  join,
  open,
  promptLines,
  runTo,
  settle,
  startRun,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

const asks = (id: string) => ScriptedOutcome.RequireApproval(approvalRequest(id), ScriptedOutcome.Succeed(`${id} ran`))

const scripted = (...tools: ReadonlyArray<readonly [string, ScriptedOutcome]>) =>
  Effect.flatMap(
    TaskManagerTestControl,
    (control) => Effect.forEach(tools, ([name, outcome]) => control.script(name, outcome), { discard: true })
  )

const rejecting = { whileAwaitingApproval: "reject" } as const

/** Starts a turn and waits until so many approvals are open. */
const running = (session: AgentSession, approvals: number) =>
  Effect.gen(function*() {
    const fiber = yield* startRun(session, "go")
    while ((yield* session.approvals).length < approvals) yield* Effect.yieldNow()
    yield* settle
    return fiber
  })

describe("a message while approvals are open", () => {
  it.effect("waits for their answers, by default", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("fine")]] },
      Effect.gen(function*() {
        yield* scripted(["first", asks("a")])
        const session = yield* open()
        const turn = yield* running(session, 1)
        yield* session.submit("use the other one")
        yield* settle
        const [asked] = yield* session.approvals
        assert.lengthOf(yield* promptLines, 1)
        yield* session.approve(asked!)
        yield* join(turn)
        assert.deepStrictEqual((yield* promptLines)[1]?.slice(2), ["tool: call-1:a ran", "user: use the other one"])
      })
    ))

  it.effect("rejects them with its words, the turn goes on, and the model reads both", () =>
    withWorld(
      { ...rejecting, model: [[ToolCall("first", {}), ToolCall("second", {}), ToolCall("third", {})], [Text("fine")]] },
      Effect.gen(function*() {
        yield* scripted(["first", asks("a")], ["second", ScriptedOutcome.Succeed("done")], ["third", asks("c")])
        const session = yield* open()
        const turn = yield* running(session, 2)
        yield* session.submit("use the other one")
        assert.strictEqual(ending(yield* join(turn)), "Completed")
        const refusal = "error The tool call was not approved and did not go on: use the other one"
        assert.deepStrictEqual((yield* promptLines)[1]?.slice(2), [
          `tool: call-1:${refusal} | call-2:done | call-3:${refusal}`,
          "user: use the other one"
        ])
        assert.isEmpty(yield* session.approvals)
      })
    ))

  it.effect("rejects them while other calls of the turn still run", () =>
    withWorld(
      { ...rejecting, model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("fine")]] },
      Effect.gen(function*() {
        yield* scripted(["first", asks("a")])
        yield* hang("second")
        const session = yield* open()
        const turn = yield* running(session, 1)
        yield* session.submit("no")
        yield* settle
        assert.isEmpty(yield* session.approvals)
        assert.lengthOf(yield* promptLines, 1)
        yield* complete("task-2", "done")
        yield* join(turn)
        assert.include((yield* promptLines)[1]?.[2], "did not go on: no | call-2:done")
      })
    ))

  it.effect("rejects nothing that is asked later, nor what the background asks", () =>
    withWorld(
      { ...rejecting, model: [[ToolCall("first", {}), ToolCall("later", {})], [Text("fine")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* scripted(["later", asks("b")])
        yield* hang("first")
        const session = yield* open()
        const turn = yield* running(session, 1)
        yield* session.submit("hello")
        yield* settle
        // the question of the background is still there
        assert.lengthOf(yield* session.approvals, 1)
        yield* control.complete((yield* control.awaitLaunch("call-1" as ToolCallId)).taskId, "done")
        yield* join(turn)
        assert.lengthOf(yield* session.approvals, 1)
        assert.strictEqual((yield* promptLines)[1]?.at(-1), "user: hello")
      })
    ))

  it.effect("of files alone rejects without words; a very long one with its beginning and its end", () =>
    withWorld(
      { ...rejecting, model: [[ToolCall("first", {})], [ToolCall("second", {})], [Text("fine")], [Text("fine")]] },
      Effect.gen(function*() {
        yield* scripted(["first", asks("a")], ["second", asks("b")])
        const session = yield* open()
        const turn = yield* running(session, 1)
        yield* session.submit([{ _tag: "File", mediaType: "image/png", data: "AAAA" }])
        yield* settle
        assert.include((yield* promptLines)[1]?.[2], "not approved and did not go on.")
        yield* session.submit(`long ${"x".repeat(10_000)} end`)
        yield* join(turn)
        const [, , third] = yield* promptLines
        const [result] = third!.filter((line) => line.includes("call-2:error"))
        assert.match(result!, /did not go on: long x+(.|\n)*bytes cut(.|\n)*x end$/)
        assert.isBelow(result!.length, 2_300)
      })
    ))

  it.effect("rejects what a failed turn has left open, so that the next turn goes on", () => {
    let refusals = 1
    const store = TranscriptStore.layer({
      append: (_, entry) =>
        entry._tag === "ToolResult" && refusals-- > 0
          ? new TranscriptStoreError({ message: "full", cause: undefined })
          : Effect.void
    })
    return withWorld(
      { ...rejecting, store, model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("fine")]] },
      Effect.gen(function*() {
        yield* scripted(["first", asks("a")])
        yield* hang("second")
        const session = yield* open()
        const turn = yield* running(session, 1)
        yield* complete("task-2", "done")
        assert.strictEqual(ending(yield* join(turn)), "Failed")
        assert.lengthOf(yield* session.approvals, 1)
        assert.strictEqual(ending(yield* runTo(session, "never mind")), "Completed")
        assert.deepStrictEqual((yield* promptLines)[1]?.slice(2), [
          "tool: call-1:error The tool call was not approved and did not go on: never mind | call-2:done",
          "user: never mind"
        ])
      })
    )
  })
})

describe("session.steer", () => {
  const toolkit = Toolkit.make(
    Tool.make("agent", { success: Schema.Array(Schema.String), dependencies: [CurrentTask] })
      .annotate(ToolAnnotations.Background, true),
    Tool.make("deaf").annotate(ToolAnnotations.Background, true)
  )
  const Tools = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({
    agent: () =>
      Effect.gen(function*() {
        const { messages } = yield* CurrentTask
        return Array.from(yield* Stream.runCollect(Stream.takeUntil(messages, (message) => message === "stop")))
      }),
    deaf: () => Effect.never
  })))
  const world = AgentLoop.layer(toolkit).pipe(
    Layer.provideMerge(Layer.merge(TaskManagerLive, Tools)),
    Layer.provide(TestLanguageModel.layer([[ToolCall("agent", {}), ToolCall("deaf", {})], [Text("ok")], [Text("ok")]]))
  )

  it.effect("says something to a tool that listens, of its own session alone", () =>
    Effect.gen(function*() {
      const loop = yield* AgentLoop
      const session = yield* loop.open({ sessionId: SessionId.make("s") })
      const other = yield* loop.open({ sessionId: SessionId.make("other") })
      yield* runTo(session, "go")
      yield* settle
      const { handle } = yield* TaskManager
      const [agent, deaf] = yield* handle.list({ sessionId: SessionId.make("s") })
      yield* session.steer(agent!.id, "left")
      assert.strictEqual((yield* Effect.flip(other.steer(agent!.id, "right")))._tag, "TaskNotFound")
      assert.strictEqual((yield* Effect.flip(session.steer(deaf!.id, "hello")))._tag, "TaskDoesNotListen")
      yield* session.steer(agent!.id, "stop")
      yield* settle
      assert.deepInclude(Option.getOrThrow(yield* handle.result(agent!.id)).output, { value: ["left", "stop"] })
      assert.strictEqual((yield* Effect.flip(session.steer(agent!.id, "late")))._tag, "TaskNotRunning")
    }).pipe(Effect.scoped, Effect.provide(world)))
})

describe("a message that is taken back", () => {
  it.effect("before a turn has taken it is never sent; after that, it was", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")], [Text("yes")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", ScriptedOutcome.Hang)
        const session = yield* open()
        const run = yield* startRun(session, "go")
        yield* control.awaitLaunch("call-1" as ToolCallId)
        const kept = yield* session.submit("kept")
        const back = yield* session.submit("taken back")
        assert.isTrue(yield* session.withdraw(back))
        assert.isFalse(yield* session.withdraw(back))
        assert.isFalse(yield* session.withdraw("unknown"))
        yield* complete("task-1", "done")
        assert.strictEqual(ending(yield* join(run)), "Completed")
        assert.isFalse(yield* session.withdraw(kept))
        assert.deepStrictEqual((yield* promptLines)[1]?.filter((line) => line.startsWith("user")), [
          "user: go",
          "user: kept"
        ])
        yield* session.close
        assert.isFalse(yield* session.withdraw(kept))
      })
    ))

  it.effect("and an interrupt right after it leave nothing that begins a turn", () =>
    withWorld(
      { model: [[Text("I "), Hold]] },
      Effect.gen(function*() {
        const session = yield* open()
        const run = yield* startRun(session, "go")
        yield* (yield* TestLanguageModelControl).waitForRequest(1)
        const held = yield* session.submit("held")
        const [isBack] = yield* Effect.all([session.withdraw(held), session.interrupt], { concurrency: 2 })
        assert.isTrue(isBack)
        assert.strictEqual(ending(yield* join(run)), "Interrupted")
        yield* session.waitForIdle
        assert.lengthOf(yield* promptLines, 1)
      })
    ))
})
