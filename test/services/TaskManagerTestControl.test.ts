/** The test layer: the engine with tools that do what the test says. */
import { it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  ScriptedOutcome,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolExecutor,
  ToolOutput
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { approvalRequest, request, toolError, turnRef } from "../support/world.js"

const task = (id: string) => TaskId.make(id)

const setup = Effect.gen(function*() {
  const control = yield* TaskManagerTestControl
  const manager = yield* TaskManager
  const start = (id: string, toolName = "tool") =>
    manager.startTask(TaskLaunchRequest.plain({ request: request(id, { toolName }), taskId: task(id) }))
  const resultOf = (id: string) =>
    Effect.map(
      manager.handle.result(task(id)),
      Option.match({
        onNone: () => "none",
        onSome: ({ isError, output }) =>
          `${isError ? "error" : "ok"}: ${output._tag === "Text" ? output.text : JSON.stringify(output)}`
      })
    )
  return { control, manager, start, resultOf, handle: manager.handle }
})

describe("script", () => {
  it.effect("decides what a tool does, and can be changed", () =>
    Effect.gen(function*() {
      const { control, handle, resultOf, start } = yield* setup
      const outcomes: ReadonlyArray<readonly [string, ScriptedOutcome, string]> = [
        ["text", ScriptedOutcome.Succeed("42"), "ok: 42"],
        [
          "output",
          ScriptedOutcome.Succeed(ToolOutput.Structured({ value: 1 })),
          `ok: {"_tag":"Structured","value":1}`
        ],
        ["fail", ScriptedOutcome.Fail(toolError("no luck")), "error: no luck"],
        ["die", ScriptedOutcome.Die("secret"), "error: The tool failed because of an internal error."]
      ]
      for (const [id, outcome, expected] of outcomes) {
        yield* control.script("tool", outcome)
        yield* start(id)
        yield* handle.waitForIdle
        assert.strictEqual(yield* resultOf(id), expected)
      }
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("a tool without a script is NotFound", () =>
    Effect.gen(function*() {
      const { handle, resultOf, start } = yield* setup
      yield* start("a")
      yield* handle.waitForIdle
      assert.include(yield* resultOf("a"), "no tool of this name")
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("names are what specs shows", () =>
    Effect.gen(function*() {
      const { control } = yield* setup
      yield* control.script("one", ScriptedOutcome.Hang)
      yield* control.script("two", ScriptedOutcome.Hang)
      const { specs } = yield* ToolExecutor
      assert.deepStrictEqual((yield* specs).map(({ name }) => name), ["one", "two"])
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("RequireApproval asks first, and then does what it was told to", () =>
    Effect.gen(function*() {
      const { control, handle, manager, resultOf, start } = yield* setup
      const approve = Effect.gen(function*() {
        const [asked] = yield* handle.listSuspended
        if (asked === undefined) return assert.fail("nothing is suspended")
        yield* manager.startTask(
          TaskLaunchRequest.approved({ taskId: asked.taskId, request: asked.toolRequest, approval: asked.approval })
        )
        yield* handle.waitForIdle
      })
      yield* control.script("tool", ScriptedOutcome.RequireApproval(approvalRequest()))
      yield* start("a")
      yield* approve
      assert.strictEqual(yield* resultOf("a"), "ok: approved")
      yield* control.script(
        "tool",
        ScriptedOutcome.RequireApproval(approvalRequest(), ScriptedOutcome.Fail(toolError("refused")))
      )
      yield* start("b")
      yield* approve
      assert.strictEqual(yield* resultOf("b"), "error: refused")
    }).pipe(Effect.provide(TaskManagerTest)))
})

describe("a hanging tool", () => {
  const hanging = Effect.tap(setup, ({ control }) => control.script("tool", ScriptedOutcome.Hang))

  it.effect("succeeds or fails when the test says so", () =>
    Effect.gen(function*() {
      const { control, handle, resultOf, start } = yield* hanging
      yield* start("a")
      yield* start("b")
      assert.lengthOf(yield* handle.listRunning, 2)
      yield* control.complete(task("a"), "42")
      yield* control.fail(task("b"), toolError("no luck"))
      yield* handle.waitForIdle
      assert.strictEqual(yield* resultOf("a"), "ok: 42")
      assert.strictEqual(yield* resultOf("b"), "error: no luck")
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("may be told before it is let in", () =>
    Effect.gen(function*() {
      const { control, handle, resultOf, start } = yield* hanging
      yield* start("a")
      yield* start("b")
      assert.strictEqual((yield* handle.get(task("b"))).status, "Queued")
      yield* control.complete(task("b"), "early")
      yield* control.complete(task("a"), "first")
      yield* handle.waitForIdle
      assert.strictEqual(yield* resultOf("b"), "ok: early")
    }).pipe(
      Effect.provide(TaskManagerTest.pipe(Layer.provide(TaskManagerConfig.layer({ concurrency: 1 }))))
    ))

  it.effect("reports progress in its name", () =>
    Effect.gen(function*() {
      const { control, handle, start } = yield* hanging
      const events = yield* handle.subscribe
      yield* start("a")
      yield* control.progress(task("a"), { message: "half" })
      const told = [...(yield* events.takeAll)].flatMap((event) => event._tag === "Progress" ? [event.progress] : [])
      assert.deepStrictEqual(told, [{ message: "half" }])
    }).pipe(Effect.scoped, Effect.provide(TaskManagerTest)))

  it.effect("writes what the test writes in its name", () =>
    Effect.gen(function*() {
      const { control, handle, start } = yield* hanging
      yield* start("a")
      yield* control.write(task("a"), "half of it")
      assert.strictEqual((yield* handle.output(task("a"))).text, "half of it")
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("can be cancelled", () =>
    Effect.gen(function*() {
      const { handle, start } = yield* hanging
      yield* start("a")
      yield* handle.cancel(task("a"))
      assert.strictEqual((yield* handle.get(task("a"))).status, "Cancelled")
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("hangs again in its second launch", () =>
    Effect.gen(function*() {
      const { control, handle, manager, resultOf, start } = yield* hanging
      yield* control.script("asks", ScriptedOutcome.RequireApproval(approvalRequest(), ScriptedOutcome.Hang))
      yield* start("a", "asks")
      const [asked] = yield* handle.listSuspended
      if (asked === undefined) return assert.fail("nothing is suspended")
      yield* manager.startTask(
        TaskLaunchRequest.approved({ taskId: asked.taskId, request: asked.toolRequest, approval: asked.approval })
      )
      assert.strictEqual((yield* handle.get(task("a"))).status, "Running")
      yield* control.complete(task("a"), "at last")
      yield* handle.waitForIdle
      assert.strictEqual(yield* resultOf("a"), "ok: at last")
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("that is no longer there refuses", () =>
    Effect.gen(function*() {
      const { control, handle, start } = yield* hanging
      yield* start("a")
      yield* handle.cancel(task("a"))
      const acts = (id: string) => [
        control.complete(task(id), "x"),
        control.fail(task(id), toolError()),
        control.progress(task(id), {}),
        control.write(task(id), "x")
      ]
      for (const act of acts("a")) {
        const error = yield* Effect.flip(act)
        assert.strictEqual(error._tag, "TaskNotRunning")
      }
      for (const act of acts("nobody")) {
        const error = yield* Effect.flip(act)
        assert.strictEqual(error._tag, "TaskNotFound")
      }
    }).pipe(Effect.provide(TaskManagerTest)))
})

describe("launches", () => {
  it.effect("are recorded in order, with call, launch and approval", () =>
    Effect.gen(function*() {
      const { control, handle, manager, start } = yield* setup
      yield* control.script("tool", ScriptedOutcome.Succeed("x"))
      yield* control.script("asks", ScriptedOutcome.RequireApproval(approvalRequest("ask-1")))
      yield* start("a")
      yield* start("b", "asks")
      yield* handle.waitForIdle
      const [asked] = yield* handle.listSuspended
      if (asked === undefined) return assert.fail("nothing is suspended")
      yield* manager.startTask(
        TaskLaunchRequest.approved({ taskId: asked.taskId, request: asked.toolRequest, approval: asked.approval })
      )
      yield* handle.waitForIdle
      const launches = yield* control.launches
      assert.deepStrictEqual(
        launches.map(({ approval, launch, request: asked_, taskId }) =>
          `${taskId} ${asked_.callId} #${launch} ${
            Option.match(approval, { onNone: () => "-", onSome: ({ id }) => id })
          }`
        ),
        ["a call-a #1 -", "b call-b #1 -", "b call-b #2 ask-1"]
      )
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("can be waited for, before and after they happen", () =>
    Effect.gen(function*() {
      const { control, manager, start } = yield* setup
      yield* control.script("asks", ScriptedOutcome.RequireApproval(approvalRequest(), ScriptedOutcome.Hang))
      const first = yield* Effect.fork(control.awaitLaunch(request("a").callId))
      const second = yield* Effect.fork(control.awaitLaunch(request("a").callId, { launch: 2 }))
      yield* Effect.yieldNow()
      yield* start("a", "asks")
      assert.strictEqual((yield* Fiber.join(first)).launch, 1)
      assert.isTrue(Option.isNone(yield* Fiber.poll(second)))
      const [asked] = yield* manager.handle.listSuspended
      if (asked === undefined) return assert.fail("nothing is suspended")
      yield* manager.startTask(
        TaskLaunchRequest.approved({ taskId: asked.taskId, request: asked.toolRequest, approval: asked.approval })
      )
      assert.strictEqual((yield* Fiber.join(second)).launch, 2)
      assert.strictEqual((yield* control.awaitLaunch(request("a").callId, { launch: 1 })).taskId, "a")
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("have ids in the order of the starts", () =>
    Effect.gen(function*() {
      const { manager } = yield* setup
      for (const name of ["x", "y", "z"]) {
        yield* manager.startTask(TaskLaunchRequest.plain({ request: request(name) }))
      }
      assert.deepStrictEqual((yield* manager.handle.list()).map(({ id }) => id).sort(), ["task-1", "task-2", "task-3"])
    }).pipe(Effect.provide(TaskManagerTest)))
})

describe("the layer", () => {
  it.effect("takes routing and settings like the live one", () =>
    Effect.gen(function*() {
      const { control, handle, start } = yield* setup
      yield* control.script("tool", ScriptedOutcome.Hang)
      yield* start("a")
      assert.strictEqual((yield* handle.get(task("a"))).kind, "Background")
    }).pipe(
      Effect.provide(TaskManagerTest.pipe(Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Background()))))
    ))

  it.effect("is a new manager each time it is built", () =>
    Effect.gen(function*() {
      const count = Effect.gen(function*() {
        const { handle, start } = yield* setup
        yield* start("a")
        return (yield* handle.list()).length
      }).pipe(Effect.provide(TaskManagerTest))
      assert.deepStrictEqual([yield* count, yield* count], [1, 1])
    }))

  it.effect("cancels what hangs when it is closed", () =>
    Effect.gen(function*() {
      const manager = yield* Effect.gen(function*() {
        const { control, manager, start } = yield* setup
        yield* control.script("tool", ScriptedOutcome.Hang)
        yield* start("a")
        return manager
      }).pipe(Effect.provide(TaskManagerTest))
      assert.strictEqual((yield* manager.handle.get(task("a"))).status, "Cancelled")
      assert.isTrue(Option.isSome(yield* manager.waitForTurn(turnRef())))
      const exit = yield* Effect.exit(
        manager.startTask(TaskLaunchRequest.plain({ request: request("b") })).pipe(
          Effect.provide(ToolExecutor.fromHandlers({}))
        )
      )
      assert.isTrue(
        Exit.isFailure(exit) && exit.cause._tag === "Fail" && exit.cause.error._tag === "TaskManagerShutdown"
      )
    }))
})
