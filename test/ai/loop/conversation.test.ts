/** Taking from the manager into the transcript, interrupted at every point: nothing is lost, nothing is there twice. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option } from "effect"
import {
  ScriptedOutcome,
  SessionId,
  type TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolCallId,
  TurnId
} from "effect-task-manager"
import { Transcript, type TranscriptEntry, TranscriptStoreError } from "effect-task-manager/ai"
import { collectLate, runCalls, type StartedCalls } from "../../../src/ai/loop/internal/calls.js"
import { Conversation } from "../../../src/ai/loop/internal/Conversation.js"

const sessionId = SessionId.make("s")
const turnId = TurnId.make("t")

const said: TranscriptEntry = {
  _tag: "AssistantMessage",
  replyId: "r",
  turnId,
  end: "tool-calls",
  parts: ["a", "b", "c"].map((id) => ({
    _tag: "ToolCall" as const,
    callId: ToolCallId.make(id),
    toolName: id,
    providerExecuted: false,
    params: {},
    options: {}
  }))
}

const yields = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.yieldNow(), { discard: true })

/** A conversation on a store that takes its time, and what the store was given. */
const makeConversation = () => {
  const log: Array<TranscriptEntry> = []
  const append = (_: SessionId, entry: TranscriptEntry) =>
    yields(2).pipe(Effect.zipRight(Effect.sync(() => void log.push(entry))), Effect.zipRight(yields(2)))
  return { log, conversation: new Conversation(Transcript.fromEntries(sessionId, [said]), { append }, () => {}) }
}

/** Runs it again and again, each time interrupted one step later, until it comes to its end. */
const interruptedEverywhere = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    for (let after = 0; after < 400; after++) {
      const fiber = yield* Effect.fork(work)
      yield* yields(after)
      if ((yield* Fiber.interrupt(fiber))._tag === "Success") return after
    }
    return yield* Effect.dieMessage("never came to its end")
  })

describe("an interrupt between taken and stored", () => {
  it.effect("loses no result of a turn, and stores none twice", () =>
    Effect.gen(function*() {
      const control = yield* TaskManagerTestControl
      for (const name of ["a", "b", "c"]) yield* control.script(name, ScriptedOutcome.Succeed(name))
      for (let repetition = 0; repetition < 5; repetition++) {
        const { conversation, log } = makeConversation()
        assert.isAbove(yield* interruptedEverywhere(runCalls(conversation, new Map(), { start: true, turnId })), 0)
        assert.deepStrictEqual(conversation.transcript.entries.map(({ _tag }) => _tag), [
          "AssistantMessage",
          "ToolResult",
          "ToolResult",
          "ToolResult"
        ])
        assert.lengthOf(log, 3)
        assert.deepStrictEqual(Transcript.fromEntries(sessionId, [said, ...log]), conversation.transcript)
      }
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("loses no late result, and stores none twice", () =>
    Effect.gen(function*() {
      const control = yield* TaskManagerTestControl
      const { handle } = yield* TaskManager
      for (const name of ["a", "b", "c"]) yield* control.script(name, ScriptedOutcome.Hang)
      const { conversation, log } = makeConversation()
      const running = yield* Effect.fork(runCalls(conversation, new Map(), { start: true, turnId }))
      for (const id of ["a", "b", "c"]) {
        const { taskId } = yield* control.awaitLaunch(ToolCallId.make(id))
        yield* handle.detach(taskId)
        yield* control.complete(taskId, id)
      }
      assert.strictEqual(yield* Fiber.join(running), 0)
      yield* interruptedEverywhere(
        Effect.zipRight(
          collectLate(conversation, new Map()),
          Effect.zipRight(yields(3), collectLate(conversation, new Map()))
        )
      )
      const late = log.flatMap((entry) => entry._tag === "LateResult" ? [String(entry.callId)] : [])
      assert.deepStrictEqual(late, ["a", "b", "c"])
      assert.deepStrictEqual(Transcript.fromEntries(sessionId, [said, ...log]), conversation.transcript)
      assert.deepStrictEqual(Transcript.runningTasks(conversation.transcript), [])
    }).pipe(Effect.provide(TaskManagerTest)))
})

describe("a store that refuses", () => {
  const message = (id: string): TranscriptEntry => ({
    _tag: "UserMessage",
    messageId: id,
    content: [{ _tag: "Text", text: id }]
  })

  for (const writes of [false, true]) {
    it.effect(`what it has ${writes ? "written all the same" : "not written"} is given to it again before anything else`, () =>
      Effect.gen(function*() {
        const log: Array<TranscriptEntry> = []
        let failures = 3
        const append = (_: SessionId, entry: TranscriptEntry) =>
          Effect.suspend(() => {
            const fails = failures-- > 0
            if (!fails || writes) log.push(entry)
            return fails ? Effect.fail(new TranscriptStoreError({ message: "full" })) : Effect.void
          })
        const told: Array<string> = []
        const conversation = new Conversation(
          Transcript.fromEntries(sessionId, [said]),
          { append },
          (entry) => void told.push(entry._tag === "UserMessage" ? entry.messageId : entry._tag)
        )
        assert.isTrue(conversation.accept(message("first")))
        for (const other of ["second", "third"]) {
          assert.strictEqual((yield* Effect.flip(conversation.add(message(other)))).reason, "Store")
        }
        assert.isFalse(conversation.accept(message("first")))
        assert.strictEqual((yield* Effect.flip(conversation.flush)).reason, "Store")
        assert.deepStrictEqual(conversation.transcript.entries, [said])
        assert.deepStrictEqual(told, [])
        assert.lengthOf(yield* conversation.flush, 3)
        assert.deepStrictEqual(told, ["first", "second", "third"])
        assert.deepStrictEqual(Transcript.fromEntries(sessionId, [said, ...log]), conversation.transcript)
      }))
  }

  it.effect("late results that were taken are nobody else's any more, the refused one included", () =>
    Effect.gen(function*() {
      const control = yield* TaskManagerTestControl
      const manager = yield* TaskManager
      let failures = 1
      const append = (_: SessionId, entry: TranscriptEntry) =>
        entry._tag === "LateResult" && entry.callId === "b" && failures-- > 0
          ? Effect.fail(new TranscriptStoreError({ message: "full" }))
          : Effect.void
      const conversation = new Conversation(Transcript.fromEntries(sessionId, [said]), { append }, () => {})
      for (const name of ["a", "b", "c"]) yield* control.script(name, ScriptedOutcome.Hang)
      const running = yield* Effect.fork(runCalls(conversation, new Map(), { start: true, turnId }))
      const taskIds: Array<TaskId> = []
      for (const id of ["a", "b", "c"]) {
        const { taskId } = yield* control.awaitLaunch(ToolCallId.make(id))
        taskIds.push(taskId)
        yield* manager.handle.detach(taskId)
        yield* control.complete(taskId, id)
      }
      yield* Fiber.join(running)
      yield* Effect.flip(collectLate(conversation, new Map()))
      for (const taskId of taskIds) assert.isTrue(Option.isNone(yield* manager.takeResult(taskId)))
      // they are told of once they are stored
      assert.deepStrictEqual(yield* collectLate(conversation, new Map()), taskIds.slice(1))
      assert.deepStrictEqual(Transcript.runningTasks(conversation.transcript), [])
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("a turn is drained, whatever step stored the result of its last call", () =>
    Effect.gen(function*() {
      const control = yield* TaskManagerTestControl
      const manager = yield* TaskManager
      for (const name of ["a", "b", "c", "nested"]) yield* control.script(name, ScriptedOutcome.Hang)
      let failures = 1
      const append = (_: SessionId, entry: TranscriptEntry) =>
        entry._tag === "ToolResult" && entry.callId === "c" && failures-- > 0
          ? Effect.fail(new TranscriptStoreError({ message: "full" }))
          : Effect.void
      const conversation = new Conversation(Transcript.fromEntries(sessionId, [said]), { append }, () => {})
      const started: StartedCalls = new Map()
      const first = yield* Effect.fork(runCalls(conversation, started, { start: true, turnId }))
      const tasks = []
      for (const id of ["a", "b", "c"]) tasks.push(yield* control.awaitLaunch(ToolCallId.make(id)))
      const callId = ToolCallId.make("c")
      const nested = yield* manager.startTask(TaskLaunchRequest.plain({
        request: { sessionId, turnId, callId, toolName: "nested", input: {}, metadata: {} }
      }))
      for (const { taskId } of tasks) yield* control.complete(taskId, "done")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(first)))
      // stores what was refused: no call is open any more, and the turn still is
      yield* collectLate(conversation, new Map())
      assert.deepStrictEqual(Transcript.openCalls(conversation.transcript), [])
      assert.deepStrictEqual([...conversation.openTurns], [turnId])
      if (nested._tag === "Pending") yield* control.complete(nested.taskId, "nested")
      assert.strictEqual(yield* runCalls(conversation, started, { start: true, turnId: TurnId.make("t2") }), 0)
      assert.deepStrictEqual([...conversation.openTurns], [])
      assert.strictEqual(started.size, 0)
      assert.deepStrictEqual(conversation.transcript.entries.map(({ _tag }) => _tag), [
        "AssistantMessage",
        "ToolResult",
        "ToolResult",
        "ToolResult",
        "LateResult"
      ])
    }).pipe(Effect.provide(TaskManagerTest)))
})
