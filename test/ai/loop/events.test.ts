/** What a session tells its host: complete, in the order in which it happened, and never more than is read in memory. */
import { Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Chunk, Context, Effect, Exit, Layer, Queue, Schema, Scope, Stream } from "effect"
import {
  CurrentTask,
  ScriptedOutcome,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  TaskManagerTest,
  TaskManagerTestControl,
  type ToolExecutor,
  TurnId
} from "effect-task-manager"
import { AgentEvent, AgentLoop, type AgentSession, ToolkitExecutor, TranscriptStore } from "effect-task-manager/ai"
import { TestLanguageModel } from "effect-task-manager/ai/testing"
import {
  asks,
  callId,
  ending,
  follow,
  hang,
  Hold,
  join,
  open,
  runTo,
  sessionId,
  settle,
  startRun,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

/** One line for each event: of a task, its call and what happened. */
const lines = (events: ReadonlyArray<AgentEvent>): ReadonlyArray<string> =>
  events.map((event) =>
    event._tag !== "Task"
      ? event._tag
      : "snapshot" in event.event
      ? `${event.event._tag} ${event.event.snapshot.callId}`
      : event.event._tag
  )

const read = <A>(queue: Queue.Dequeue<A>) => Effect.map(Queue.takeAll(queue), Chunk.toReadonlyArray)

const overTheWire = (event: AgentEvent): AgentEvent =>
  Schema.decodeUnknownSync(AgentEvent)(JSON.parse(JSON.stringify(Schema.encodeSync(AgentEvent)(event))))

const taskEvents = (events: ReadonlyArray<AgentEvent>) =>
  events.flatMap((event) => event._tag === "Task" ? [event.event] : [])

const calls = Array.from({ length: 40 }, (_, index) => `call-${index + 1}`)

describe("the order of events", () => {
  for (const speed of ["instant", "slow"]) {
    it.effect(`has all of a turn's tasks before the words about them, ${speed} tools and an instant model`, () =>
      withWorld(
        { model: [calls.map(() => ToolCall("first", {})), [Text("done")]] },
        Effect.gen(function*() {
          const { handle } = yield* TaskManager
          const published = yield* handle.subscribeTo({ sessionId })
          const control = yield* TaskManagerTestControl
          yield* control.script("first", speed === "slow" ? ScriptedOutcome.Hang : ScriptedOutcome.Succeed("done"))
          const session = yield* open()
          const running = yield* startRun(session, "go")
          if (speed === "slow") {
            // the last one first
            for (const id of [...calls].reverse()) {
              const { taskId } = yield* control.awaitLaunch(callId(id))
              yield* control.complete(taskId, "done")
            }
          }
          const events = yield* join(running)
          const told = lines(events)
          assert.strictEqual(told.at(-1), "TurnEnded")
          const words = told.indexOf("TextDelta")
          for (const id of calls) {
            const [started, completed] = [told.indexOf(`Started ${id}`), told.indexOf(`Completed ${id}`)]
            assert.isTrue(0 < started && started < completed && completed < words, id)
            assert.isBelow(told.lastIndexOf("ToolCall"), started)
          }
          assert.deepStrictEqual(taskEvents(events), yield* read(published))
        })
      ))
  }

  it.effect("has what was published by tools that tell much, each time before what the loop says", () => {
    const chatty = Toolkit.make(Tool.make("chatty", { success: Schema.String, dependencies: [CurrentTask] }))
    const handlers = chatty.toLayer({
      chatty: () =>
        Effect.gen(function*() {
          const task = yield* CurrentTask
          for (let percent = 0; percent < 30; percent++) yield* task.reportProgress({ fraction: percent / 30 })
          return "done"
        })
    })
    const model = TestLanguageModel.layer([
      [Text("I "), ...calls.slice(0, 5).map(() => ToolCall("chatty", {}))],
      [Text("am "), ToolCall("chatty", {})],
      [Text("done")]
    ])
    const agent = Layer.provideMerge(
      AgentLoop.layer(chatty).pipe(Layer.provide(ToolkitExecutor.layer(chatty).pipe(Layer.provide(handlers)))),
      Layer.merge(TaskManagerLive, model)
    )
    return Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const published = yield* handle.subscribeTo({ sessionId })
      const session = yield* open()
      const events = yield* runTo(session, "go")
      const live = new Set<string>()
      for (const event of events) {
        if (event._tag === "Task" && event.event._tag === "Started") live.add(event.event.taskId)
        if (event._tag === "Task" && event.event._tag === "Completed") live.delete(event.event.taskId)
        if (event._tag === "TextDelta" || event._tag === "TurnEnded") assert.strictEqual(live.size, 0)
      }
      assert.lengthOf(taskEvents(events), 6 * 32)
      assert.deepStrictEqual(taskEvents(events), yield* read(published))
    }).pipe(Effect.scoped, Effect.provide(agent))
  })

  it.effect("has what happens to a task before what the loop says in the same moment", () => {
    let onReply: Effect.Effect<unknown> = Effect.void
    const store = TranscriptStore.layer({
      append: (_, entry) => entry._tag === "AssistantMessage" ? onReply : Effect.void
    })
    return withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")]], store },
      Effect.gen(function*() {
        const manager = yield* TaskManager
        yield* hang("first")
        const session = yield* open()
        const seen = yield* follow(session)
        const request = {
          sessionId,
          turnId: TurnId.make("turn-1"),
          callId: callId("of-the-host"),
          toolName: "later",
          input: {},
          metadata: {}
        }
        const context = yield* Effect.context<ToolExecutor>()
        onReply = manager.startTask(TaskLaunchRequest.plain({ request })).pipe(Effect.provide(context), Effect.orDie)
        yield* session.submit("go")
        yield* settle
        assert.deepStrictEqual(lines(seen).filter((line) => /Started|ToolCall/.test(line)), [
          "TurnStarted",
          "Started of-the-host",
          "ToolCall",
          "Started call-1"
        ])
      })
    )
  })

  it.effect("has what a task asks right behind the event that it asks", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a"))
        yield* control.script("second", asks("b"))
        const session = yield* open()
        const seen = yield* follow(session)
        yield* session.submit("go")
        yield* settle
        assert.deepStrictEqual(lines(seen).filter((line) => line.startsWith("A")), [
          "AwaitingApproval call-1",
          "ApprovalRequested",
          "AwaitingApproval call-2",
          "ApprovalRequested"
        ])
      })
    ))

  it.effect("has the ends of what close cancels, foreground and background, before its own; the receipt names them all", () =>
    withWorld(
      { model: [[ToolCall("later", {}), ToolCall("first", {})]] },
      Effect.gen(function*() {
        yield* hang("later", "first")
        const control = yield* TaskManagerTestControl
        const session = yield* open()
        const events = yield* session.subscribe
        const running = yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-2"))
        yield* settle
        yield* read(events)
        const { cancelled, kept } = yield* session.close
        assert.deepStrictEqual(cancelled.map((task) => [task.callId, task.kind, task.status]), [
          ["call-2", "Foreground", "Cancelled"],
          ["call-1", "Background", "Cancelled"]
        ] as never)
        assert.deepStrictEqual(kept, [])
        assert.deepStrictEqual(
          lines(yield* Stream.runCollect(Stream.fromQueue(events)).pipe(Effect.map((all) => [...all]))),
          [
            "Cancelled call-2",
            "TurnEnded",
            "Cancelled call-1",
            "SessionClosed"
          ]
        )
        assert.strictEqual(ending(yield* join(running)), "Interrupted")
      })
    ))

  it.effect("has them also when nothing but the background runs, and when an approval is open", () =>
    withWorld(
      { model: [[ToolCall("later", {}), ToolCall("quiet", {})], [Text("ok")]] },
      Effect.gen(function*() {
        yield* hang("later")
        const control = yield* TaskManagerTestControl
        yield* control.script("quiet", asks("a"))
        const session = yield* open()
        yield* runTo(session, "go")
        const seen = yield* follow(session)
        const { cancelled } = yield* session.close
        yield* settle
        assert.deepStrictEqual(cancelled.map(({ id }) => id), ["task-1", "task-2"] as never)
        assert.deepStrictEqual([...lines(seen)].sort(), ["Cancelled call-1", "Cancelled call-2", "SessionClosed"])
        assert.strictEqual(lines(seen).at(-1), "SessionClosed")
      })
    ))
})

describe("subscribe and watch", () => {
  it.effect("are live when they return: nothing of a message that follows is missed", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* session.subscribe
        const watch = yield* session.watch
        assert.deepStrictEqual({ ...watch, events: undefined }, {
          phase: "Idle",
          approvals: [],
          live: [],
          events: undefined as never
        })
        const ran = yield* runTo(session, "go")
        yield* settle
        assert.deepStrictEqual(yield* read(events), ran)
        assert.deepStrictEqual(yield* read(watch.events), ran)
      })
    ))

  it.effect("shows the turn, what is asked and what lives; what it shows does not come again", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("later", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* hang("later")
        yield* control.script("first", asks("a"))
        const session = yield* open()
        const seen = yield* follow(session)
        const running = yield* startRun(session, "go")
        const { taskId } = yield* control.awaitLaunch(callId("call-2"))
        yield* settle
        const watch = yield* session.watch
        const before = seen.length
        assert.strictEqual(watch.phase, "AwaitingApproval")
        assert.strictEqual<string | undefined>(watch.turnId, "turn-1")
        assert.deepStrictEqual(watch.approvals, yield* session.approvals)
        assert.deepStrictEqual(watch.live.map(({ callId, status }) => [callId, status]), [
          ["call-1", "Suspended"],
          ["call-2", "Running"]
        ] as never)
        yield* session.approve(watch.approvals[0]!)
        yield* join(running)
        yield* control.complete(taskId, "late")
        yield* settle
        assert.deepStrictEqual(yield* read(watch.events), seen.slice(before))
        assert.strictEqual((yield* session.watch).phase, "Idle")
      })
    ))

  it.effect("sees what has happened in the moment before either in its state or among its events", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")]] },
      Effect.gen(function*() {
        yield* hang("first")
        const control = yield* TaskManagerTestControl
        const { handle } = yield* TaskManager
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const { taskId } = yield* control.awaitLaunch(callId("call-1"))
        yield* settle
        const before = yield* session.watch
        // no other fiber runs between the two
        yield* handle.detach(taskId)
        const after = yield* session.watch
        assert.deepStrictEqual(before.live.map(({ kind }) => kind), ["Foreground"])
        assert.deepStrictEqual(after.live.map(({ kind }) => kind), ["Background"])
        yield* join(running)
        assert.include(lines(yield* read(before.events)), "Detached call-1")
        assert.notInclude(lines(yield* read(after.events)), "Detached call-1")
      })
    ))

  it.effect("say that a session is over: its queue can be read to its end, and then it is shut down", () =>
    withWorld(
      { model: [[Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* session.subscribe
        yield* runTo(session, "go")
        yield* session.close
        assert.isFalse(yield* Queue.isShutdown(events))
        assert.strictEqual(lines(yield* read(events)).at(-1), "SessionClosed")
        assert.isTrue(yield* Queue.isShutdown(events))
        assert.isTrue(Exit.isInterrupted(yield* Effect.exit(Queue.take(events))))
        const watch = yield* session.watch
        assert.deepStrictEqual({ ...watch, events: undefined }, {
          phase: "Closed",
          approvals: [],
          live: [],
          events: undefined as never
        })
        assert.isTrue(yield* Queue.isShutdown(watch.events))
      })
    ))

  it.effect("end with their scope", () =>
    withWorld(
      { model: [[Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const scope = yield* Scope.make()
        const { events } = yield* Scope.extend(session.watch, scope)
        yield* session.submit("go")
        yield* session.waitForIdle
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(yield* Queue.isShutdown(events))
        assert.deepStrictEqual(yield* read(events), [])
      })
    ))
})

describe("a subscriber that does not read", () => {
  const long = Array.from({ length: 20 }, (_, index) => Text(`word ${index} `))

  it.effect("reads one Reset, the session as it is then, and what follows", () =>
    withWorld(
      { model: [[...long, ToolCall("first", {})], [Text("ok")]], eventBuffer: 5 },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a"))
        const session = yield* open()
        const slow = yield* session.subscribe
        yield* session.submit("go")
        yield* settle
        const [reset, ...more] = yield* read(slow)
        assert.deepStrictEqual(more, [])
        assert(reset?._tag === "Reset")
        assert.strictEqual(reset.phase, "AwaitingApproval")
        assert.strictEqual<string | undefined>(reset.turnId, "turn-1")
        assert.deepStrictEqual(reset.approvals, yield* session.approvals)
        assert.deepStrictEqual(reset.live.map(({ status }) => status), ["Suspended"])
        assert.deepStrictEqual(overTheWire(reset), reset)
        yield* session.reject(reset.approvals[0]!)
        yield* settle
        assert.strictEqual(lines(yield* read(slow))[0], "Failed call-1")
      })
    ))

  it.effect("has no more than its bytes in memory", () =>
    withWorld(
      { model: [[Text("x".repeat(5_000)), Text("y".repeat(5_000))]], eventBytes: 8_000 },
      Effect.gen(function*() {
        const session = yield* open()
        const slow = yield* session.subscribe
        yield* session.submit("go")
        yield* session.waitForIdle
        assert.deepStrictEqual(lines(yield* read(slow)), ["Reset"])
      })
    ))

  it.effect("comes to the end of its run, though it has missed that", () =>
    withWorld(
      { model: [long, [Text("second turn")]], eventBuffer: 5 },
      Effect.gen(function*() {
        const session = yield* open()
        const pulled = yield* Effect.scoped(Effect.gen(function*() {
          const pull = yield* Stream.toPull(session.run("go"))
          const first = yield* pull
          yield* session.waitForIdle
          yield* session.submit("again")
          yield* session.waitForIdle
          const rest: Array<AgentEvent> = []
          yield* pull.pipe(Effect.map((chunk) => rest.push(...chunk)), Effect.forever, Effect.ignore)
          return { first: [...first], rest }
        }))
        assert.strictEqual(lines(pulled.first)[0], "TurnStarted")
        const tags = lines(pulled.rest)
        assert.include(tags, "Reset")
        assert.notInclude(tags, "TurnStarted")
      })
    ))

  it.effect("does not lose for others, nor is a gap in the manager's own events unsaid", () =>
    withWorld(
      { model: [calls.slice(0, 6).map(() => ToolCall("first", {})), [Text("ok")]], config: { eventBuffer: 1 } },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* runTo(session, "go")
        assert.isBelow(taskEvents(events).length, 12)
        assert.include(lines(events), "Reset")
        assert.strictEqual(ending(events), "Completed")
      })
    ))
})

describe("an answer to an approval", () => {
  const approving = (session: AgentSession) =>
    Effect.gen(function*() {
      yield* session.submit("go")
      yield* settle
      const [shown] = yield* session.approvals
      assert(shown !== undefined)
      return shown
    })

  it.effect("names what was shown by the task and its asking, whole or not", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a", ScriptedOutcome.Succeed("one")))
        yield* control.script("second", asks("b"))
        const session = yield* open()
        const { approval: { asking = "" }, taskId } = yield* approving(session)
        const [, other] = yield* session.approvals
        // the token of another question
        for (const answer of [session.approve, session.reject]) {
          const mixed = { taskId: other!.taskId, asking }
          assert.deepInclude(yield* Effect.flip(answer(mixed)), { _tag: "ApprovalMismatch", field: "asking" })
        }
        assert.lengthOf(yield* session.approvals, 2)
        yield* session.approve({ taskId, asking })
        yield* session.reject({ taskId: other!.taskId, asking: other!.approval.asking ?? "" }, "no")
        yield* session.waitForIdle
        const twice = yield* Effect.flip(session.approve({ taskId, asking }))
        assert.deepInclude(twice, { _tag: "ApprovalMismatch", field: "asking" })
      })
    ))

  it.effect("is never to whatever is asked now: a bare id is a defect, a changed call does not run", () =>
    withWorld(
      { model: [[ToolCall("first", { env: "staging" })], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a"))
        const session = yield* open()
        const shown = yield* approving(session)
        for (const method of ["approve", "reject"] as const) {
          for (const wrong of [shown.taskId, undefined, { taskId: shown.taskId }]) {
            const exit = yield* Effect.exit(session[method](wrong as never))
            assert.include(
              Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
              `AgentSession.${method} takes the approval that was shown`
            )
          }
        }
        const changed = { ...shown, toolRequest: { ...shown.toolRequest, input: { env: "production" } } }
        const mismatch = yield* Effect.flip(session.approve(changed))
        assert.deepInclude(mismatch, { _tag: "ApprovalMismatch", field: "input" })
        assert.deepStrictEqual(yield* session.approvals, [shown])
      })
    ))

  it.effect("is to the question that was shown, also after a restart of the session, where the next task asks", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [ToolCall("first", {})]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a"))
        const before = yield* open()
        const shown = yield* approving(before)
        yield* before.close
        const session = yield* open()
        const asked = yield* approving(session)
        for (const answer of [session.approve(shown), session.reject(shown), before.approve(shown)]) {
          assert.deepInclude(yield* Effect.flip(answer), { _tag: "ApprovalMismatch", field: "asking" })
        }
        assert.deepStrictEqual(yield* session.approvals, [asked])
      })
    ))

  it.effect("does nothing after a restart of the manager, where the same task id is another question", () =>
    Effect.gen(function*() {
      const given = { model: [[ToolCall("first", {})]] }
      const ask = <A, E, R>(then: (session: AgentSession) => Effect.Effect<A, E, R>) =>
        Effect.gen(function*() {
          const control = yield* TaskManagerTestControl
          yield* control.script("first", asks("a"))
          return yield* then(yield* open())
        })
      const shown: Array<Effect.Effect.Success<ReturnType<typeof approving>>> = []
      yield* withWorld(given, ask((session) => Effect.map(approving(session), (one) => shown.push(one))))
      yield* withWorld(
        given,
        ask((session) =>
          Effect.gen(function*() {
            const asked = yield* approving(session)
            assert.strictEqual(asked.taskId, shown[0]!.taskId)
            for (const answer of [session.approve(shown[0]!), session.reject(shown[0]!)]) {
              assert.deepInclude(yield* Effect.flip(answer), { _tag: "ApprovalMismatch", field: "asking" })
            }
            assert.deepStrictEqual(yield* session.approvals, [asked])
          })
        )
      )
    }))
})

describe("a session is open once", () => {
  const toolkit = Toolkit.make(Tool.make("first"))
  const loops = (manager: Layer.Layer<TaskManager>) =>
    Effect.gen(function*() {
      const services = yield* Layer.build(
        Layer.mergeAll(manager, TestLanguageModel.layer([[Text("one")], [Text("two")]])).pipe(
          Layer.provideMerge(
            ToolkitExecutor.layer(toolkit).pipe(
              Layer.provide(toolkit.toLayer({ first: () => Effect.void }))
            )
          )
        )
      )
      const loop = Layer.build(Layer.fresh(AgentLoop.layer(toolkit))).pipe(
        Effect.map((context) => Context.get(context, AgentLoop)),
        Effect.provide(services)
      )
      return [yield* loop, yield* loop] as const
    })

  it.effect("in all loops over one manager", () =>
    Effect.gen(function*() {
      const [one, two] = yield* loops(TaskManagerLive)
      const session = yield* one.open({ sessionId })
      for (const loop of [one, two]) {
        const refused = yield* Effect.flip(loop.open({ sessionId }))
        assert.deepInclude(refused, { _tag: "SessionAlreadyOpen", sessionId })
      }
      // the refusal costs the first one nothing
      assert.strictEqual(ending(yield* runTo(session, "go")), "Completed")
      yield* two.open({ sessionId: SessionId.make("session-2") })
      yield* session.close
      assert.strictEqual(ending(yield* runTo(yield* two.open({ sessionId }), "go")), "Completed")
      const [three] = yield* loops(Layer.fresh(TaskManagerLive))
      yield* three.open({ sessionId })
    }).pipe(Effect.scoped))

  it.effect("until it is closed with its scope", () =>
    Effect.gen(function*() {
      const [one, two] = yield* loops(TaskManagerLive)
      yield* Effect.scoped(one.open({ sessionId }))
      yield* two.open({ sessionId })
    }).pipe(Effect.scoped))
})

describe("a manager that ends before its session", () => {
  it.effect("has told its last events, and the session can be closed", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(Tool.make("first"))
      const managing = yield* Scope.make()
      const manager = yield* Layer.buildWithScope(TaskManagerTest, managing)
      const seen = yield* Effect.gen(function*() {
        yield* hang("first")
        const session = yield* open()
        const seen = yield* follow(session)
        yield* session.submit("go")
        yield* (yield* TaskManagerTestControl).awaitLaunch(callId("call-1"))
        yield* Scope.close(managing, Exit.void)
        yield* session.close
        yield* settle
        return seen
      }).pipe(
        Effect.provide(Layer.provideMerge(
          AgentLoop.layer(toolkit),
          Layer.merge(Layer.succeedContext(manager), TestLanguageModel.layer([[ToolCall("first", {})]]))
        ))
      )
      const told = lines(seen)
      assert.include(told, "Cancelled call-1")
      assert.strictEqual(told.at(-1), "TurnEnded")
    }).pipe(Effect.scoped))
})

describe("a loop that ends before its session", () => {
  it.effect("closes it: its turn, its tasks and its events end", () => {
    const model = TestLanguageModel.layer([[ToolCall("later", {}), ToolCall("first", {})], [Hold]])
    const toolkit = Toolkit.make(Tool.make("later"), Tool.make("first"))
    const agent = Layer.provideMerge(AgentLoop.layer(toolkit), Layer.merge(TaskManagerTest, model))
    return Effect.gen(function*() {
      const seen: Array<AgentEvent> = []
      const session = yield* Effect.gen(function*() {
        yield* hang("later", "first")
        const session = yield* open()
        const events = yield* session.subscribe
        yield* session.submit("go")
        yield* (yield* TaskManagerTestControl).awaitLaunch(callId("call-2"))
        yield* Effect.forkScoped(
          Stream.runForEach(Stream.fromQueue(events), (event) => Effect.sync(() => seen.push(event)))
        )
        return session
      }).pipe(Effect.provide(agent))
      yield* settle
      assert.deepStrictEqual(lines(seen).slice(-4).sort(), [
        "Cancelled call-1",
        "Cancelled call-2",
        "SessionClosed",
        "TurnEnded"
      ])
      assert.strictEqual((yield* Effect.flip(session.submit("x")))._tag, "SessionClosed")
      yield* session.waitForIdle
      assert.lengthOf((yield* session.close).cancelled, 2)
    }).pipe(Effect.scoped)
  })
})
