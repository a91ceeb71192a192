import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  ScriptedOutcome,
  SessionId,
  TaskLaunchRequest,
  TaskLimitReached,
  TaskManager,
  TaskManagerConfig,
  type TaskManagerSettings,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolCallId,
  type ToolRequest,
  TurnId
} from "effect-task-manager"

const call = (toolName: string, number: number, session = "session-1"): ToolRequest => ({
  sessionId: SessionId.make(session),
  turnId: TurnId.make("turn-1"),
  callId: ToolCallId.make(`call-${number}`),
  toolName,
  input: {},
  metadata: {}
})

const start = (request: ToolRequest) =>
  Effect.flatMap(TaskManager, (manager) => manager.startTask(TaskLaunchRequest.plain({ request })))

const layer = (settings: Partial<TaskManagerSettings>) =>
  TaskManagerTest.pipe(
    Layer.provide(TaskManagerConfig.layer(settings)),
    Layer.provide(RoutingPolicy.layer(({ toolName }) =>
      toolName === "later" ? RoutingDecision.Background({ deliveryMode: "Manual" }) : RoutingDecision.Foreground()
    ))
  )

describe("maxLive", () => {
  it.effect("refuses a new task until one has settled, and loses nothing of what was accepted", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const control = yield* TaskManagerTestControl
      yield* control.script("hang", ScriptedOutcome.Hang)
      yield* start(call("hang", 1))
      const { taskId } = yield* control.awaitLaunch(ToolCallId.make("call-1"))
      yield* start(call("hang", 2))
      const refused = yield* Effect.flip(start(call("hang", 3)))
      assert(refused instanceof TaskLimitReached)
      assert.strictEqual(refused.message, "The manager already has 2 live tasks (maxLive)")
      assert.strictEqual((yield* manager.handle.list()).length, 2)
      yield* control.complete(taskId, "done")
      yield* manager.waitForTurn(call("hang", 1))
      yield* start(call("hang", 3))
    }).pipe(Effect.provide(layer({ maxLive: 2 }))))
})

describe("maxUndelivered", () => {
  it.effect("counts what nobody has taken of one session, in its turns and its queues", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const control = yield* TaskManagerTestControl
      for (const tool of ["now", "later"]) yield* control.script(tool, ScriptedOutcome.Succeed("done"))
      yield* start(call("now", 1))
      yield* start(call("later", 2))
      yield* manager.handle.waitForIdle
      const refused = yield* Effect.flip(start(call("now", 3)))
      assert(refused instanceof TaskLimitReached)
      assert.deepStrictEqual([refused.limit, refused.max], ["maxUndelivered", 2])
      // another session has its own count
      yield* start(call("now", 1, "session-2"))
      assert.strictEqual((yield* manager.handle.drainReadyItems).length, 1)
      yield* start(call("now", 3))
    }).pipe(Effect.provide(layer({ maxUndelivered: 2 }))))

  it.effect("counts again what a failed consumer puts back", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const control = yield* TaskManagerTestControl
      yield* control.script("now", ScriptedOutcome.Succeed("done"))
      yield* start(call("now", 1))
      yield* manager.handle.waitForIdle
      yield* manager.consumeTurnUpdate(call("now", 1), () => Effect.fail("disk full")).pipe(Effect.flip)
      assert.instanceOf(yield* Effect.flip(start(call("now", 2))), TaskLimitReached)
      yield* manager.consumeTurnUpdate(call("now", 1), () => Effect.void)
      yield* start(call("now", 2))
    }).pipe(Effect.provide(layer({ maxUndelivered: 1 }))))
})

describe("maxResultBytes", () => {
  it.effect("cuts what a tool answers before it is delivered", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const control = yield* TaskManagerTestControl
      yield* control.script("now", ScriptedOutcome.Succeed("x".repeat(100_000)))
      yield* start(call("now", 1))
      const update = yield* Effect.flatten(manager.waitForTurn(call("now", 1)))
      assert(update._tag === "Resolution" && update.resolution._tag === "Item")
      const [part] = update.resolution.item.parts
      assert(part?._tag === "ToolResult" && part.output._tag === "Text")
      assert.isAtMost(part.output.text.length, 2_048)
      assert.match(part.output.text, /bytes cut/)
    }).pipe(Effect.provide(layer({ maxResultBytes: 2_048 }))))
})
