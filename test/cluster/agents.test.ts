/** Conversations in the groups of a cluster of one process: everything is encoded and decoded as on a wire. */
import { LanguageModel, Tool, Toolkit } from "@effect/ai"
import { SqlClient } from "@effect/sql"
import { it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FiberId,
  Layer,
  Option,
  Queue,
  Schema,
  Scope,
  Stream
} from "effect"
import { CurrentTask, SessionId, TaskId, TaskLaunchRequest, TaskManager, ToolCallId, TurnId } from "effect-task-manager"
import {
  type AgentEvent,
  AgentLoop,
  type AgentSession,
  ToolAnnotations,
  ToolkitExecutor,
  Transcript,
  TranscriptEntry
} from "effect-task-manager/ai"
import { AgentCluster, type AgentClusterRunnerOptions } from "effect-task-manager/ai/cluster"
import { ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { isFull } from "../support/fullMode.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster, rested } from "./support.js"

const { Hold, Text, ToolCall } = ScriptedStep

const toolkit = Toolkit.make(
  Tool.make("quick", { success: Schema.String }),
  Tool.make("later", { success: Schema.String }).annotate(ToolAnnotations.Background, true),
  Tool.make("ask", { success: Schema.String }).annotate(ToolAnnotations.NeedsApproval, true),
  Tool.make("listen", { success: Schema.String, dependencies: [CurrentTask] }),
  Tool.make("park", { success: Schema.String })
)
const Handlers = toolkit.toLayer({
  quick: () => Effect.succeed("quick is done"),
  later: () => Effect.as(Effect.sleep("200 millis"), "later is done"),
  ask: () => Effect.succeed("asked and done"),
  listen: () => Effect.flatMap(CurrentTask, ({ messages }) => Effect.map(Stream.runHead(messages), Option.getOrThrow)),
  park: () => Effect.never
})

/** A model that knows nothing but what it is shown: one that is asked again says the same. */
const plan =
  (rounds: ReadonlyArray<ReadonlyArray<ReturnType<typeof Text> | ReturnType<typeof ToolCall>>>) =>
  ({ prompt }: { readonly prompt: { readonly content: ReadonlyArray<{ readonly role: string }> } }) =>
    rounds[prompt.content.filter(({ role }) => role === "assistant").length] ?? [Text("nothing more")]

/** Runner and clients on one database. `AgentLoop` is a client here. */
const world = (
  options: AgentClusterRunnerOptions & {
    readonly model?: Parameters<typeof TestLanguageModel.layer>[0] | undefined
    readonly before?: (text: string) => void
    readonly otherwise?: NonNullable<Parameters<typeof TestLanguageModel.layer>[1]>["otherwise"]
  } = {}
) => {
  const { before = () => {}, groups = 5, model = [], otherwise, ...runner } = options
  const clients = Layer.mergeAll(
    AgentCluster.layer({ groups, patience: "4 seconds" }),
    TaskManagerCluster.layer({ groups, patience: "4 seconds" })
  )
  return AgentCluster.runner(toolkit, {
    groups,
    lease: "1 day",
    shutdown: "cancel",
    maxIdleTime: "1 day",
    ...runner
  }).pipe(
    Layer.provideMerge(clients),
    Layer.provide(memoryCluster()),
    Layer.provideMerge(sqliteLayer({ before })),
    Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
    Layer.provideMerge(TestLanguageModel.layer(model, otherwise === undefined ? {} : { otherwise }))
  )
}

const sessionId = SessionId.make("conversation")
const openSession = Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId }))
const tagsOf = (events: Iterable<AgentEvent>) => Array.from(events, ({ _tag }) => _tag)

const tagsOfEntries = ({ entries }: Transcript) => entries.map(({ _tag }) => _tag)

const untilEvent = <Tag extends AgentEvent["_tag"]>(events: Queue.Dequeue<AgentEvent>, tag: Tag) =>
  Queue.take(events).pipe(
    Effect.repeat({ until: (event): event is Extract<AgentEvent, { readonly _tag: Tag }> => event._tag === tag }),
    Effect.timeout("60 seconds")
  )

// side by side: each has a cluster and a database of its own, and waits for it most of the time
describe.concurrent("a conversation in a cluster", () => {
  it.live("a call, a call in the background, and the turn that its result starts; its tasks are those of the cluster", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const events = yield* session.subscribe
      const run = Chunk.toReadonlyArray(yield* Stream.runCollect(session.run("go")))
      assert.strictEqual(run[0]?._tag, "TurnStarted")
      assert.strictEqual(run.at(-1)?._tag, "TurnEnded")
      assert.include(tagsOf(run), "MessageTaken")
      yield* untilEvent(events, "LateResult")
      yield* session.waitForIdle
      const transcript = yield* session.transcript
      assert.deepStrictEqual(Transcript.openCalls(transcript), [])
      assert.deepStrictEqual(transcript.entries.map(({ _tag }) => _tag), [
        "UserMessage",
        "AssistantMessage",
        "ToolResult",
        "ToolResult",
        "AssistantMessage",
        "LateResult",
        "AssistantMessage"
      ])
      const tasks = yield* (yield* TaskManager).handle.list({ sessionId })
      assert.deepStrictEqual(tasks.map(({ toolName }) => toolName).sort(), ["later", "quick"])
      assert.deepStrictEqual(yield* (yield* AgentLoop).store.sessions?.listOpen ?? Effect.succeed([]), [sessionId])
    }).pipe(
      Effect.scoped,
      Effect.provide(world({
        otherwise: plan([[ToolCall("quick", {}), ToolCall("later", {})], [Text("begun")], [Text("all done")]])
      }))
    ))

  it.live("several hosts see the same session, and any of them may answer what is asked", () =>
    Effect.gen(function*() {
      const one = yield* openSession
      const other = yield* openSession
      const { events, phase } = yield* other.watch
      assert.strictEqual(phase, "Idle")
      yield* one.submit("go")
      const { approval } = yield* untilEvent(events, "ApprovalRequested")
      assert.deepStrictEqual(yield* one.approvals, [approval])
      const { taskId } = approval
      assert.strictEqual(
        (yield* Effect.flip(other.approve({ taskId, asking: "another" })))._tag,
        "ApprovalMismatch"
      )
      assert.strictEqual(
        (yield* Effect.flip(other.reject({ taskId: TaskId.make("nobody"), asking: "another" })))._tag,
        "TaskNotFound"
      )
      yield* other.approve(approval)
      assert.strictEqual((yield* untilEvent(events, "TurnEnded")).reason._tag, "Completed")
      assert.deepStrictEqual(yield* one.approvals, [])
      assert.include(JSON.stringify((yield* one.transcript).entries), "asked and done")
    }).pipe(Effect.scoped, Effect.provide(world({ otherwise: plan([[ToolCall("ask", {})], [Text("thanks")]]) }))))

  it.live("says something to a tool, and interrupts a turn: what happened is told before the answer", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const events = yield* session.subscribe
      yield* session.submit("go")
      const running = yield* Queue.take(events).pipe(
        Effect.repeat({ until: (event) => event._tag === "Task" && event.event._tag === "Started" }),
        Effect.flatMap(() => session.watch),
        Effect.map(({ live }) => live)
      )
      const listening = running.find(({ toolName }) => toolName === "listen")
      if (listening === undefined) return assert.fail("no tool listens")
      yield* session.steer(listening.id, "louder").pipe(
        Effect.retry({ while: ({ _tag }) => _tag === "TaskDoesNotListen" })
      )
      yield* Queue.take(events).pipe(
        Effect.repeat({ until: (event) => event._tag === "Task" && event.event._tag === "Completed" })
      )
      const { cancelled } = yield* session.interrupt
      assert.deepStrictEqual(cancelled.map(({ toolName }) => toolName), ["park"])
      // with the answer, and not some time later
      const told = Chunk.toReadonlyArray(yield* Queue.takeAll(events))
      assert.deepInclude(told.at(-1), { _tag: "TurnEnded", reason: { _tag: "Interrupted" } })
      assert.include(JSON.stringify((yield* session.transcript).entries), "louder")
      assert.strictEqual(
        (yield* Effect.flip(session.steer(TaskId.make("nobody"), "louder")))._tag,
        "TaskNotFound"
      )
      yield* session.resume
      assert.strictEqual((yield* untilEvent(events, "TurnEnded")).reason._tag, "Completed")
    }).pipe(
      Effect.scoped,
      Effect.provide(world({ otherwise: plan([[ToolCall("listen", {}), ToolCall("park", {})], [Text("well")]]) }))
    ))

  it.live("a message with an id is handed in once, and one that waits can be taken back", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const events = yield* session.subscribe
      assert.strictEqual(yield* session.submit("first", { messageId: "m-1" }), "m-1")
      yield* untilEvent(events, "MessageTaken")
      yield* session.submit("second", { messageId: "m-2" })
      yield* session.submit("second", { messageId: "m-2" })
      assert.isTrue(yield* session.withdraw("m-2"))
      assert.isFalse(yield* session.withdraw("m-2"))
      assert.isFalse(yield* session.withdraw("m-1"))
      yield* session.interrupt
      yield* session.submit("first", { messageId: "m-1" })
      yield* session.waitForIdle
      const said = (yield* session.transcript).entries.filter(({ _tag }) => _tag === "UserMessage")
      assert.deepStrictEqual(said.map((entry) => "messageId" in entry ? entry.messageId : ""), ["m-1"])
      for (const messageId of ["", "x".repeat(171), "a\0b", "\ud800"]) {
        const exit = yield* Effect.exit(session.submit("text", { messageId }))
        assert.include(String(Exit.isFailure(exit) && Cause.pretty(exit.cause)), "submit: messageId takes")
      }
      // what a caller without types may give
      const none = 7 as unknown as string
      for (const end of [session.submit(none), Stream.runDrain(session.run(none))]) {
        const cause = yield* Effect.flip(Effect.sandbox<unknown, unknown, never>(end))
        assert.include(Cause.pretty(cause), "AgentSession takes a text, or a list of UserPart")
      }
    }).pipe(Effect.scoped, Effect.provide(world({ model: [[ToolCall("park", {})]] }))))

  it.live("a transcript is changed between turns: the change is made of what is there", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const other = yield* openSession
      yield* Stream.runDrain(session.run("go"))
      // five hosts at once: none undoes what another has done
      const sayings = ["a", "b", "c", "d", "e"]
      yield* Effect.forEach(sayings, (text, index) =>
        (index % 2 === 0 ? session : other).rewrite((now) => ({
          ...now,
          entries: [...now.entries, { _tag: "UserMessage", messageId: text, content: [{ _tag: "Text", text }] }]
        })).pipe(Effect.retry({ while: (error) => error._tag === "RewriteRefused" })), {
        concurrency: "unbounded",
        discard: true
      })
      const said = (yield* other.transcript).entries.flatMap((entry) => "messageId" in entry ? [entry.messageId] : [])
      assert.deepStrictEqual(said.slice(1).sort(), sayings)
      yield* session.rewrite((transcript) => ({ ...transcript, entries: transcript.entries.slice(0, 2) }))
      assert.deepStrictEqual(tagsOfEntries(yield* other.transcript), ["UserMessage", "AssistantMessage"])
      const events = yield* session.subscribe
      yield* session.submit("again")
      yield* untilEvent(events, "ToolCall")
      const refused = yield* Effect.flip(session.rewrite((now) => now))
      assert.deepInclude(refused, { _tag: "RewriteRefused", reason: "TurnRunning" })
      yield* session.interrupt
      assert.strictEqual(
        (yield* Effect.flip(session.rewrite((now) => ({
          ...now,
          entries: now.entries.filter(({ _tag }) => _tag !== "ToolResult")
        }))))._tag,
        "RewriteRefused"
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(world({ otherwise: plan([[Text("one")], [ToolCall("park", {})], [Text("three")]]) }))
    ))

  it.live("closed is closed for every host, and its conversation can be read, continued and removed", () =>
    Effect.gen(function*() {
      const loop = yield* AgentLoop
      const session = yield* openSession
      const other = yield* openSession
      const told = yield* Effect.fork(Stream.runCollect(other.events))
      yield* Stream.runDrain(session.run("go"))
      const running = yield* Effect.fork(Stream.runDrain(session.run("more")))
      yield* Stream.runHead(Stream.filter(other.events, ({ _tag }) => _tag === "ToolCall"))
      const { cancelled } = yield* other.close
      assert.deepStrictEqual(cancelled.map(({ toolName }) => toolName), ["park"])
      yield* Fiber.join(running)
      assert.include(tagsOf(yield* Fiber.join(told)), "TurnEnded")
      assert.strictEqual((yield* Effect.flip(session.submit("x")))._tag, "SessionClosed")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(session.run("x"))))._tag, "SessionClosed")
      assert.strictEqual((yield* Effect.flip(session.resume))._tag, "SessionClosed")
      assert.deepStrictEqual(yield* session.interrupt, { cancelled: [], kept: [] })
      assert.deepStrictEqual(yield* session.close, { cancelled: [], kept: [] })
      assert.deepStrictEqual(yield* session.approvals, [])
      assert.isFalse(yield* session.withdraw("m"))
      yield* session.waitForIdle
      assert.strictEqual((yield* session.watch).phase, "Closed")
      assert.deepStrictEqual(tagsOf(yield* Stream.runCollect(session.events)), [])
      const { sessions } = loop.store
      if (sessions === undefined) return assert.fail("a cluster keeps sessions")
      assert.deepStrictEqual(yield* sessions.listOpen, [])
      const { entries } = yield* sessions.read(sessionId)
      assert.deepStrictEqual((yield* session.transcript).entries, entries)
      const again = yield* openSession
      assert.deepStrictEqual((yield* again.transcript).entries, entries)
      assert.strictEqual((yield* Effect.flip(sessions.remove(sessionId))).reason, "Open")
      yield* again.close
      yield* sessions.remove(sessionId)
      assert.lengthOf((yield* sessions.read(sessionId)).entries, 0)
      const given = yield* loop.open({ sessionId, transcript: { sessionId, entries: entries.slice(0, 2) } })
      assert.deepStrictEqual((yield* given.transcript).entries, entries.slice(0, 2))
    }).pipe(
      Effect.scoped,
      Effect.provide(world({ otherwise: plan([[Text("one")], [ToolCall("park", {})], [Text("three")]]) }))
    ))

  it.live("what holds wherever the session is, is not taken from a client", () =>
    Effect.gen(function*() {
      const loop = yield* AgentLoop
      for (const options of [{ system: "s" }, { maxRequestsPerTurn: 3 }, { compact: Effect.succeed }]) {
        const exit = yield* Effect.exit(Effect.scoped(loop.open({ sessionId, ...options })))
        assert.include(
          String(Exit.isFailure(exit) && Cause.pretty(exit.cause)),
          `AgentSessionOptions.${Object.keys(options)[0]} is said on the runners`
        )
      }
      const session = yield* openSession
      const model = yield* LanguageModel.LanguageModel
      const exit = yield* Effect.exit(session.setModel(model))
      assert.include(String(Exit.isFailure(exit) && Cause.pretty(exit.cause)), "AgentSession.setModel")
      const left = yield* Effect.scoped(openSession)
      assert.strictEqual((yield* Effect.flip(left.submit("x")))._tag, "SessionClosed")
      assert.strictEqual((yield* Effect.flip(left.close.pipe(Effect.flip))).cancelled.length, 0)
      yield* session.submit("it is open all the same")
    }).pipe(Effect.scoped, Effect.provide(world({ otherwise: [Text("yes")] }))))
})

describe.concurrent("a wrong option of a runner", () => {
  const runnerOf = (options: unknown, tools: unknown = toolkit): Layer.Layer<never, unknown> =>
    AgentCluster.runner(tools as typeof toolkit, options as AgentClusterRunnerOptions).pipe(
      Layer.provide([memoryCluster(), sqliteLayer(), TestLanguageModel.layer([])]),
      Layer.provide(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers)))
    )
  const refused: Readonly<Record<string, Layer.Layer<never, unknown>>> = {
    "AgentCluster.runner: defaults takes an object, not 5": runnerOf({ defaults: 5 }),
    "AgentCluster.runner: defaults.system takes a string, not 5": runnerOf({ defaults: { system: 5 } }),
    "AgentCluster.runner: sessionOptions takes a function, not 5": runnerOf({ sessionOptions: 5 }),
    "AgentCluster.runner: toolkit takes a Toolkit, not null": runnerOf({}, null)
  }
  for (const [message, runner] of Object.entries(refused)) {
    it.live(`ends its layer: ${message}`, () =>
      Effect.gen(function*() {
        const cause = yield* Effect.flip(Effect.sandbox(Effect.scoped(Layer.build(runner))))
        assert.include(Cause.pretty(cause), `TypeError: ${message}`)
      }))
  }

  it.live("of one session is named to whoever opens it", () =>
    Effect.gen(function*() {
      const cause = yield* Effect.flip(Effect.sandbox(Effect.scoped(openSession)))
      assert.include(Cause.pretty(cause), "AgentCluster.runner: sessionOptions.system takes a string, not 5")
    }).pipe(
      Effect.provide(world({ sessionOptions: () => ({ system: 5 as unknown as string }) }))
    ))
})

describe("what a host without types gives", () => {
  const untyped = (value: unknown) => value as never

  it.live("is refused by name before it is sent, and the approval can be answered then", () =>
    Effect.gen(function*() {
      const loop = yield* AgentLoop
      const { sessions } = loop.store
      if (sessions === undefined) return assert.fail("a cluster keeps sessions")
      const session = yield* openSession
      const events = yield* session.subscribe
      yield* session.submit("go")
      const { approval } = yield* untilEvent(events, "ApprovalRequested")
      const { taskId } = approval
      const answered = { taskId, asking: approval.approval.asking ?? "" }
      const wrong: ReadonlyArray<readonly [Effect.Effect<unknown, unknown>, string]> = [
        [session.approve(untyped(null)), "AgentSession.approve takes the approval that was shown, not null"],
        [session.approve(untyped({ ...approval, toolRequest: 5 })), "AgentSession.approve takes the approval"],
        [session.answer(untyped({ taskId }), {}), "AgentSession.answer takes the approval"],
        [session.answer(approval, untyped(null)), "answerApproval takes"],
        [session.reject(untyped({ ...answered, taskId: 5 })), "AgentSession.reject takes the approval"],
        [session.reject(answered, untyped(5)), "AgentSession.reject takes a string as its reason, not 5"],
        [session.steer(untyped(5), "x"), "AgentSession.steer takes the id of a task, not 5"],
        [session.steer(taskId, untyped(7)), "steer takes a string, not 7"],
        [session.rewrite(() => untyped(5)), "AgentSession.rewrite takes a Transcript, not 5"],
        [sessions.read(untyped(5)), "sessionId takes the id of a session, not 5"],
        [sessions.read(untyped("")), "sessionId takes the id of a session"],
        [sessions.remove(untyped(undefined)), "sessionId takes the id of a session"],
        // on the wire it would be another id
        [sessions.read(SessionId.make("\ud800")), "AgentCluster takes a sessionId that can be stored"],
        [Effect.scoped(loop.open({ sessionId: SessionId.make("\ud800") })), "AgentCluster takes a sessionId"],
        [
          Effect.scoped(loop.open({ sessionId, transcript: untyped({ entries: 5 }) })),
          "AgentSessionOptions.transcript takes a Transcript"
        ]
      ]
      for (const [call, message] of wrong) {
        const exit = yield* Effect.exit(call)
        const defect = Exit.isFailure(exit) && exit.cause._tag === "Die" ? exit.cause.defect : undefined
        assert.instanceOf(defect, TypeError, message)
        assert.include(defect.message, message)
        assert.isBelow(defect.message.length, 160)
      }
      assert.isFalse(yield* session.withdraw(untyped(5)))
      const cyclic: Record<string, unknown> = {}
      cyclic["own"] = cyclic
      const refused = yield* Effect.flip(session.answer(approval, { which: cyclic }))
      assert.deepInclude(refused, { _tag: "InvalidAnswer", field: "answers.which" })
      yield* session.approve(answered)
      assert.strictEqual((yield* untilEvent(events, "TurnEnded")).reason._tag, "Completed")
    }).pipe(Effect.scoped, Effect.provide(world({ otherwise: plan([[ToolCall("ask", {})], [Text("thanks")]]) }))))
})

/** Another process takes the journals: whoever has them is fenced, and opens them again. */
const takeJournals = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`update etm_managers set epoch = epoch + 1, owner = 'nobody', lease_until = 0`
)

/** Every call has one result, and nothing is left that was not taken. */
const proveEachOnce = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<
    { entry: string }
  >`select entry from etm_entries where session_id = ${sessionId} order by number`
  const entries = rows.map(({ entry }) => Schema.decodeUnknownSync(Schema.parseJson(TranscriptEntry))(entry))
  const transcript = Transcript.fromEntries(sessionId, entries)
  assert.lengthOf(transcript.entries, entries.length, "nothing is stored twice")
  assert.deepStrictEqual(Transcript.openCalls(transcript), [])
  const calls = entries.flatMap((entry) => entry._tag === "AssistantMessage" ? Transcript.calls(entry) : [])
  for (const { callId } of calls) {
    assert.lengthOf(entries.filter((entry) => entry._tag === "ToolResult" && entry.callId === callId), 1, callId)
  }
  const [left] = yield* sql<{ left: number }>`select count(*) as left from etm_tasks where result is not null`
  assert.strictEqual(Number(left?.left), 0)
  return { transcript, calls }
})

describe.concurrent("a takeover", () => {
  it.live("in the middle of a turn: it goes on, each call has one result, and the host reads on", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const running = yield* Effect.fork(Stream.runCollect(session.run("go")))
      yield* Stream.runHead(
        Stream.filter(session.events, (event) => event._tag === "Task" && event.event._tag === "Completed")
      )
      const told = yield* session.subscribe
      yield* takeJournals
      yield* untilEvent(told, "Reset")
      // the turn that goes on waits for a human, so that the host is there in time
      const [asked] = yield* session.approvals.pipe(Effect.repeat({ until: (asked) => asked.length > 0 }))
      if (asked === undefined) return assert.fail("nothing is asked")
      yield* session.approve(asked)
      const events = Chunk.toReadonlyArray(yield* Effect.timeout(Fiber.join(running), "60 seconds"))
      assert.include(tagsOf(events), "Reset")
      assert.deepInclude(events.at(-1), { _tag: "TurnEnded", reason: { _tag: "Completed", end: "stop" } })
      // nothing of the one that was fenced
      assert.lengthOf(events.filter(({ _tag }) => _tag === "TurnEnded"), 1)
      yield* session.waitForIdle
      const { calls, transcript } = yield* proveEachOnce
      assert.lengthOf(calls, 3)
      assert.lengthOf(transcript.entries.filter(({ _tag }) => _tag === "UserMessage"), 1)
      assert.include(JSON.stringify(transcript.entries), "It is not known whether the call had effects")
    }).pipe(
      Effect.scoped,
      Effect.provide(world({
        lease: "1 second",
        shutdown: "keep",
        otherwise: plan([[ToolCall("quick", {}), ToolCall("park", {})], [ToolCall("ask", {})], [Text("done")]])
      }))
    ))

  it.live("after a compaction has left out the message of the turn: its host reads on to the end of the turn", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const told = yield* session.subscribe
      const running = yield* Effect.fork(Stream.runCollect(session.run("go")))
      yield* untilEvent(told, "ApprovalRequested")
      assert.notInclude(JSON.stringify((yield* session.transcript).entries), "go")
      yield* takeJournals
      yield* untilEvent(told, "Reset")
      const [asked] = yield* session.approvals.pipe(Effect.repeat({ until: (asked) => asked.length > 0 }))
      if (asked === undefined) return assert.fail("nothing is asked")
      yield* session.approve(asked)
      const events = Chunk.toReadonlyArray(yield* Effect.timeout(Fiber.join(running), "20 seconds"))
      assert.include(tagsOf(events), "Reset")
      assert.deepInclude(events.at(-1), { _tag: "TurnEnded", reason: { _tag: "Completed", end: "stop" } })
    }).pipe(
      Effect.scoped,
      Effect.provide(world({
        lease: "1 second",
        shutdown: "keep",
        defaults: {
          compactAt: 1,
          compact: (transcript) =>
            Effect.succeed({
              ...transcript,
              entries: transcript.entries.map((entry) =>
                entry._tag === "UserMessage" && transcript.entries.length > 1
                  ? { ...entry, messageId: "summary", content: [{ _tag: "Text", text: "-" }] }
                  : entry
              )
            })
        },
        otherwise: plan([[ToolCall("quick", {})], [ToolCall("ask", {})], [Text("done")]])
      }))
    ))

  if (isFull) {
    it.live("of a message that a turn has taken and not stored: the host sees the end of the one that takes it again", () => {
      let refuses = false
      const refused = Deferred.unsafeMake<void>(FiberId.none)
      return Effect.gen(function*() {
        const session = yield* openSession
        const events = yield* session.subscribe
        // a turn that leaves no trace of its number
        yield* session.submit("first")
        yield* untilEvent(events, "MessageTaken")
        yield* session.interrupt
        refuses = true
        // the next one takes it and cannot store it either, until the host has seen that the session has moved
        const run = Stream.tap(session.run("second"), ({ _tag }) =>
          Effect.sync(() => {
            if (_tag === "Reset") refuses = false
          }))
        const running = yield* Effect.fork(Stream.runCollect(run))
        yield* Deferred.await(refused)
        yield* takeJournals
        const told = Chunk.toReadonlyArray(yield* Effect.timeout(Fiber.join(running), "60 seconds"))
        assert.include(tagsOf(told), "Reset")
        // the failure of the one that was taken over is told to nobody
        const ends = told.filter((event) => event._tag === "TurnEnded")
        assert.deepStrictEqual(ends.map(({ reason }) => reason._tag), ["Completed"])
        yield* session.waitForIdle
        const { transcript } = yield* proveEachOnce
        assert.deepStrictEqual(tagsOfEntries(transcript), ["UserMessage", "UserMessage", "AssistantMessage"])
      }).pipe(
        Effect.scoped,
        Effect.provide(world({
          lease: "1 second",
          shutdown: "keep",
          otherwise: ({ prompt }) =>
            prompt.content.filter(({ role }) => role === "user").length === 1 ? [Hold] : [Text("done")],
          before: (text) => {
            if (!refuses || !text.includes("insert into etm_entries")) return
            Deferred.unsafeDone(refused, Effect.void)
            throw new Error("refused")
          }
        }))
      )
    })
  }

  it.live("what waits for a human waits on, and is answered after it", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const events = yield* session.subscribe
      yield* session.submit("go")
      const { approval } = yield* untilEvent(events, "ApprovalRequested")
      yield* takeJournals
      const { approvals, phase } = yield* untilEvent(events, "Reset")
      assert.notStrictEqual(phase, "Closed")
      assert.deepStrictEqual(approvals.length === 0 ? yield* session.approvals : approvals, [approval])
      yield* session.approve(approval)
      yield* untilEvent(events, "TurnEnded")
      yield* session.waitForIdle
      const { calls } = yield* proveEachOnce
      assert.lengthOf(calls, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        world({ lease: "1 second", shutdown: "keep", otherwise: plan([[ToolCall("ask", {})], [Text("done")]]) })
      )
    ))
})

describe.concurrent("a session without live tasks", () => {
  it.live("is let go, and is there again for whoever asks, or for a result that asks for a turn", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const manager = yield* TaskManager
      const other = yield* Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId: SessionId.make("other") }))
      // keeps the group here
      yield* Effect.asVoid(other.subscribe)
      const session = yield* openSession
      const isResting = Effect.map(
        sql<{ is_resting: number }>`select is_resting from etm_sessions where session_id = ${sessionId}`,
        ([row]) => row?.is_resting === 1
      )
      const rests = Effect.zipRight(Effect.sleep("50 millis"), isResting).pipe(
        Effect.repeat({ until: (is) => is }),
        Effect.timeout("60 seconds")
      )
      yield* Stream.runDrain(session.run("go"))
      assert.isFalse(yield* isResting)
      yield* rests
      yield* Stream.runDrain(session.run("again"))
      assert.isFalse(yield* isResting)
      yield* rests
      yield* manager.startTask(TaskLaunchRequest.plain({
        request: {
          sessionId,
          turnId: TurnId.make("turn-of-its-own"),
          callId: ToolCallId.make("call-of-its-own"),
          toolName: "later",
          input: {},
          metadata: {}
        }
      }))
      const entries = Effect.map(session.transcript, (transcript) => tagsOfEntries(transcript))
      yield* Effect.zipRight(Effect.sleep("50 millis"), entries).pipe(
        Effect.repeat({ until: (tags) => tags.filter((tag) => tag === "AssistantMessage").length === 3 }),
        Effect.timeout("60 seconds")
      )
      assert.include(yield* entries, "LateResult")
    }).pipe(
      Effect.scoped,
      Effect.provide(world({ groups: 1, maxIdleTime: "300 millis", otherwise: [Text("yes")] }))
    ))
})

describe("a host that is left while it waits for an answer", () => {
  const waits = (session: AgentSession) => [
    session.waitForIdle,
    Effect.as(Effect.flip(session.resume), undefined),
    Effect.scoped(session.subscribe)
  ]
  const patience = "1 day"
  const Base = Layer.mergeAll(memoryCluster(), sqliteLayer(), TestLanguageModel.layer([[ToolCall("park", {})]])).pipe(
    Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers)))
  )
  const Client = AgentCluster.layer({ groups: 5, patience })
  const Runner = AgentCluster.runner(toolkit, { groups: 5, lease: "1 day", shutdown: "keep" })

  for (const runs of [true, false]) {
    for (const closes of ["handle", "client"] as const) {
      it.scopedLive(`goes on: the ${closes} is closed, and the runner ${runs ? "answers later" : "is away"}`, () =>
        Effect.gen(function*() {
          const client = yield* Scope.make()
          const handle = yield* Scope.make()
          const runner = yield* Scope.make()
          const loop = Context.get(yield* Layer.buildWithScope(Client, client), AgentLoop)
          yield* Layer.buildWithScope(Runner, runner)
          const session = yield* Scope.extend(loop.open({ sessionId }), handle)
          yield* session.submit("go")
          if (!runs) yield* Scope.close(runner, Exit.void)
          const waiting = yield* Effect.forEach(
            runs ? [session.waitForIdle] : waits(session),
            (one) => Effect.fork(Effect.exit<unknown, unknown, never>(one))
          )
          yield* rested
          yield* Scope.close(closes === "handle" ? handle : client, Exit.void)
          for (const fiber of waiting) {
            const exit = yield* Fiber.join(fiber)
            assert.isTrue(Exit.isSuccess(exit), String(exit))
          }
          if (closes === "client") {
            const exit = yield* Effect.exit(Effect.scoped(loop.open({ sessionId })))
            assert.include(
              String(Exit.isFailure(exit) && Cause.pretty(exit.cause)),
              "The client of AgentCluster is closed"
            )
          }
          yield* Scope.close(runner, Exit.void)
        }).pipe(Effect.provide(Base), Effect.orDie))
    }
  }
})

describe("a host whose runners do not answer", () => {
  const Base = Layer.mergeAll(memoryCluster(), sqliteLayer(), TestLanguageModel.layer([])).pipe(
    Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers)))
  )
  const Client = AgentCluster.layer({ groups: 5, patience: "1 day" })
  const Runner = AgentCluster.runner(toolkit, { groups: 5, lease: "1 day", shutdown: "keep" })

  it.scopedLive("can be interrupted while it opens a subscription", () =>
    Effect.gen(function*() {
      const loop = Context.get(yield* Layer.build(Client), AgentLoop)
      const runner = yield* Scope.make()
      yield* Layer.buildWithScope(Runner, runner)
      const session = yield* loop.open({ sessionId })
      yield* Scope.close(runner, Exit.void)
      const opening = yield* Effect.fork(Effect.scoped(session.subscribe))
      const watching = yield* Effect.fork(Effect.scoped(session.watch))
      yield* rested
      yield* Fiber.interruptAll([opening, watching])
    }).pipe(Effect.provide(Base), Effect.orDie))
})
