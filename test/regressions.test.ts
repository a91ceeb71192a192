/** Bugs that a review found, each with what it did before. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, FiberRef, Layer, Option, Schema, TestClock } from "effect"
import {
  ApprovalId,
  ApprovalMismatch,
  type ApprovalRequest,
  ApprovalRequired,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskManagerSettings,
  TaskManagerSimple,
  ToolCallId,
  ToolError,
  ToolExecutor,
  ToolOutput,
  type ToolRequest,
  type ToolResult,
  TurnId
} from "effect-task-manager"
import * as Timers from "../src/runtime/time/Timers.js"

const sessionId = SessionId.make("s")
const turnOf = (turn: string) => ({ sessionId, turnId: TurnId.make(turn) })

const call = (toolName: string, turn = "t"): TaskLaunchRequest =>
  TaskLaunchRequest.plain({
    request: {
      ...turnOf(turn),
      callId: ToolCallId.make(`call of ${toolName}`),
      toolName,
      input: { path: "a" },
      metadata: { cwd: { path: "/a" } }
    },
    taskId: TaskId.make(toolName)
  })

type Execute = ToolExecutor["Type"]["execute"]

/** An executor of its own: `fromHandlers` would already read what the tool returns. */
const executor = (execute: Execute) => Layer.succeed(ToolExecutor, { specs: Effect.succeed([]), execute })

const answer = (output: ToolOutput): ToolResult => ({
  result: { _tag: "ToolResult", callId: ToolCallId.make("x"), output, isError: false, metadata: {} },
  metadata: {}
})
const done = Effect.succeed(answer(ToolOutput.Text({ text: "done" })))

const live = (settings: Partial<TaskManagerSettings> = {}) =>
  TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer(settings)))

const approvalRequest: ApprovalRequest = {
  id: ApprovalId.make("approve"),
  requestKind: "shell",
  reason: "Destructive",
  summary: "rm -r build",
  metadata: {}
}

/** An object whose text can be read `times` times. */
const readable = (times: number): ToolOutput => {
  let reads = 0
  return {
    _tag: "Text",
    get text() {
      if (reads++ >= times) throw new Error("read too often")
      return "text"
    }
  }
}

/** Small, but of 2^48 values when each is counted where it stands. */
const shared = (): unknown => {
  let value: unknown = "leaf"
  for (let depth = 0; depth < 48; depth++) value = [value, value]
  return value
}

const callsOf = (execute: Execute) =>
  Effect.gen(function*() {
    const { handle, startTask } = yield* TaskManager
    yield* startTask(call("hostile"))
    yield* startTask(call("good"))
    yield* handle.waitForIdle
    return yield* Effect.map(handle.list(), (tasks) => tasks.map(({ id, status }) => `${id} ${status}`))
  }).pipe(Effect.provide(Layer.merge(
    live(),
    executor((request) => request.toolName === "good" ? done : execute(request))
  )))

describe("what a tool hands back", () => {
  // it threw where the fiber is observed: nothing was launched ever after, in any session
  it.effect("may throw at any later read: the manager goes on", () =>
    Effect.gen(function*() {
      for (let times = 0; times < 6; times++) {
        const tasks = yield* callsOf(() => Effect.sync(() => answer(readable(times))))
        assert.match(tasks.join(), /hostile (Completed|Failed).*good Completed/)
      }
    }))

  it.effect("may throw when it is made into text", () =>
    Effect.gen(function*() {
      const value = Object.assign(Array.from({ length: 100_000 }, () => "0123456789"), {
        toJSON: () => {
          throw new Error("no text")
        }
      })
      const tasks = yield* callsOf(() => Effect.succeed(answer(ToolOutput.Structured({ value }))))
      assert.match(tasks.join(), /hostile (Completed|Failed).*good Completed/)
    }))

  it.effect("may ask for approval of a call whose input throws when it is copied", () =>
    Effect.gen(function*() {
      const tasks = yield* callsOf(({ input }) =>
        Effect.suspend(() => {
          Object.defineProperty(input, "path", {
            enumerable: true,
            get: () => {
              throw new Error("not to be read")
            }
          })
          return new ApprovalRequired({ approval: approvalRequest })
        })
      )
      assert.deepStrictEqual(tasks, ["hostile Failed", "good Completed"])
    }))

  // measuring it took for ever, in one synchronous loop
  it.effect("may be small and have an endless text", () =>
    Effect.gen(function*() {
      const tasks = yield* callsOf(() => Effect.sync(() => answer(ToolOutput.Structured({ value: shared() }))))
      assert.deepStrictEqual(tasks, ["hostile Completed", "good Completed"])
    }))

  it.effect("cannot be changed by the tool afterwards", () =>
    Effect.gen(function*() {
      const { handle, startTask } = yield* TaskManager
      const todos = [{ text: "first" }]
      yield* startTask(call("todos")).pipe(
        Effect.provide(executor(() => Effect.succeed(answer(ToolOutput.Structured({ value: todos })))))
      )
      todos.push({ text: "second" })
      const result = yield* handle.result(TaskId.make("todos"))
      assert.deepStrictEqual(Option.getOrThrow(result).output, ToolOutput.Structured({ value: [{ text: "first" }] }))
    }).pipe(Effect.provide(live())))

  // each part beyond the limit was replaced by a note, longer than most parts
  it.effect("may be of very many parts", () =>
    Effect.gen(function*() {
      const { handle, startTask } = yield* TaskManager
      const parts = Array.from({ length: 100_000 }, () => ({ _tag: "Text" as const, text: "0123456789" }))
      yield* startTask(call("parts")).pipe(
        Effect.provide(executor(() => Effect.succeed(answer(ToolOutput.Parts({ parts })))))
      )
      const { output } = Option.getOrThrow(yield* handle.result(TaskId.make("parts")))
      assert.isBelow(JSON.stringify(output).length, 6_000)
    }).pipe(Effect.provide(live({ maxResultBytes: 1_024 }))))
})

it.effect("what is shown for approval is what runs, metadata included", () =>
  Effect.gen(function*() {
    const { handle, startTask } = yield* TaskManager
    const ran: Array<ToolRequest["metadata"]> = []
    const tools = executor((request) =>
      Effect.suspend(() => {
        ran.push(request.metadata)
        return ran.length === 1 ? new ApprovalRequired({ approval: approvalRequest }) : done
      })
    )
    const launch = call("shell")
    yield* startTask(launch).pipe(Effect.provide(tools))
    Reflect.set(Object(launch.request.metadata["cwd"]), "path", "/b")
    for (const { approval, taskId, toolRequest } of yield* handle.listSuspended) {
      yield* startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })).pipe(
        Effect.provide(tools)
      )
    }
    assert.deepStrictEqual(ran[1], { cwd: { path: "/a" } })
  }).pipe(Effect.provide(live())))

// the causes of tools end in a host's log or event stream
it("a ToolError as JSON text has no cause", () => {
  const error = new ToolError({
    reason: "Unavailable",
    toolName: "fetch",
    message: "The server did not answer.",
    cause: { headers: { authorization: "Bearer canary" } }
  })
  assert.notInclude(JSON.stringify({ error }), "canary")
  assert.deepStrictEqual(JSON.parse(JSON.stringify(error)), Schema.encodeSync(ToolError)(error))
})

describe("tools that start tools", () => {
  const inBackground = TaskManagerLive.pipe(
    Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Background())),
    Layer.provide(TaskManagerConfig.layer({ historyLimit: 0 }))
  )

  const runChain = (length: number) =>
    Effect.gen(function*() {
      const { startTask } = yield* TaskManager
      const last = yield* Deferred.make<number>()
      let started = 0
      const request = { ...call("next").request, metadata: {} }
      const next = startTask(TaskLaunchRequest.plain({ request }))
      const tools = executor(() =>
        Effect.gen(function*() {
          if (++started < length) yield* Effect.provide(next, tools)
          else {
            const refs = yield* Effect.getFiberRefs
            yield* Deferred.succeed(last, refs.locals.get(FiberRef.currentContext)?.length ?? 0)
          }
          return answer(ToolOutput.Text({ text: "done" }))
        }).pipe(Effect.orDie)
      )
      yield* Effect.provide(next, tools)
      return { startedAtOnce: started, depth: yield* Deferred.await(last) }
    }).pipe(Effect.provide(inBackground))

  // each generation kept the context of all before it, and copied the list of them
  it.effect("inherit the latest values only", () =>
    Effect.gen(function*() {
      const { depth } = yield* runChain(500)
      assert.isAtMost(depth, 2)
    }))

  // the first startTask returned when the last of them had ended
  it.effect("let their starter go on", () =>
    Effect.gen(function*() {
      const { startedAtOnce } = yield* runChain(500)
      assert.isBelow(startedAtOnce, 100)
    }))
})

// the wait that ended took the place back, and the other waited for a task in the queue, for ever
it.effect("a tool with two waits lends its place until the last has ended", () =>
  Effect.gen(function*() {
    const { handle, startTask, waitForTurn } = yield* TaskManager
    const started = yield* Deferred.make<void>()
    const tools = executor(({ toolName }) =>
      toolName === "waiter"
        ? Effect.zipRight(
          Deferred.await(started),
          Effect.zipRight(Effect.all([waitForTurn(turnOf("a")), handle.waitForIdle], { concurrency: 2 }), done)
        )
        : Effect.zipRight(Effect.yieldNow(), done)
    )
    yield* Effect.gen(function*() {
      yield* startTask(call("waiter"))
      yield* startTask(call("first", "a"))
      yield* startTask(call("second", "b"))
      yield* Deferred.succeed(started, undefined)
      yield* handle.waitForIdle
    }).pipe(Effect.provide(tools))
    assert.lengthOf(yield* handle.listCompleted, 3)
  }).pipe(Effect.provide(live({ concurrency: 1 }))))

// each went past all those before it: a minute for a hundred thousand
it.effect("a large batch is put back in order", () =>
  Effect.gen(function*() {
    const { consumePendingLoopUpdates, startTask, takePendingLoopUpdates } = yield* TaskManager
    const { request } = call("many")
    for (let started = 0; started < 50; started++) yield* startTask(TaskLaunchRequest.plain({ request }))
    yield* Effect.flip(consumePendingLoopUpdates(sessionId, () => Effect.fail("not now")))
    const { resolutions } = yield* takePendingLoopUpdates(sessionId)
    assert.deepStrictEqual(
      resolutions.map((resolution) => resolution._tag === "Item" ? resolution.taskId : undefined),
      Array.from({ length: 50 }, (_, index) => TaskId.make(`task-${index + 1}`))
    )
  }).pipe(Effect.provide(Layer.merge(
    TaskManagerLive.pipe(Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Background()))),
    executor(() => done)
  ))))

// at concurrency 1 the detached task took a place of its own while it waited, and what it waited for never ran
it.effect("a waiting task that stops sharing its place does not keep one", () =>
  Effect.gen(function*() {
    const { handle, startTask } = yield* TaskManager
    const othersQueued = yield* Deferred.make<void>()
    const childDetached = yield* Deferred.make<void>()
    const tools: Layer.Layer<ToolExecutor> = executor(({ toolName }) => {
      switch (toolName) {
        case "parent":
          return Effect.zipRight(Effect.orDie(Effect.provide(startTask(call("child")), tools)), done)
        case "child":
          return Effect.zipRight(Deferred.await(othersQueued), Effect.zipRight(handle.waitForIdle, done))
        default:
          return Effect.zipRight(Deferred.await(childDetached), done)
      }
    })
    const settled = yield* Effect.forEach(["parent", "first", "second"], (tool) =>
      Effect.tap(
        Effect.fork(Effect.provide(startTask(call(tool)), tools)),
        () => TestClock.adjust(1)
      ))
    yield* Deferred.succeed(othersQueued, undefined)
    yield* TestClock.adjust(1)
    yield* handle.detach(TaskId.make("child"))
    yield* Deferred.succeed(childDetached, undefined)
    yield* Effect.forEach(settled, Fiber.join, { discard: true })
    yield* TestClock.adjust(1)
    assert.lengthOf(yield* handle.listCompleted, 4)
  }).pipe(Effect.provide(TaskManagerSimple.pipe(Layer.provide(TaskManagerConfig.layer({ concurrency: 1 }))))))

// the deadline was of the wall clock, and the tool was abandoned an hour late
it.effect("a wall clock that is set back does not stretch a grace period", () =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    let setBack = 0
    let fired = false
    const wall: Clock.Clock = {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() - setBack,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis - setBack),
      unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
      currentTimeNanos: clock.currentTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    }
    const timers = Timers.make(wall, yield* Effect.runtime<never>())
    timers.start(5_000, () => {
      fired = true
    })
    setBack = 3_600_000
    yield* TestClock.adjust("5 seconds")
    assert.isTrue(fired)
  }))

describe("an approval", () => {
  it.effect("answers one question: sent again, it does not approve the next one under the same id", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      let ran = 0
      const tools = ToolExecutor.fromHandlers({
        ask: () => {
          ran++
          const approval = {
            id: ApprovalId.make("same"),
            requestKind: "shell",
            reason: "why",
            summary: `question ${ran}`,
            metadata: {}
          }
          return Effect.fail(new ApprovalRequired({ approval }))
        }
      })
      const request = {
        sessionId: SessionId.make("s"),
        turnId: TurnId.make("t"),
        callId: ToolCallId.make("c"),
        toolName: "ask",
        input: {},
        metadata: {}
      }
      yield* Effect.gen(function*() {
        yield* manager.startTask(TaskLaunchRequest.plain({ request }))
        const [first] = yield* manager.handle.listSuspended
        assert(first !== undefined)
        const answer = TaskLaunchRequest.approved({ ...first, request })
        yield* manager.startTask(answer)
        const refused = yield* Effect.flip(manager.startTask(answer))
        assert(refused instanceof ApprovalMismatch)
        assert.strictEqual(refused.field, "asking")
        const [second] = yield* manager.handle.listSuspended
        assert(second !== undefined)
        assert.strictEqual(second.approval.summary, "question 2")
        assert.strictEqual(ran, 2)
        yield* manager.startTask(TaskLaunchRequest.approved({ ...second, request }))
        assert.strictEqual(ran, 3)
      }).pipe(Effect.provide(tools))
    }).pipe(Effect.provide(TaskManagerLive)))
})
