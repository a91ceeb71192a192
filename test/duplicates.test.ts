/** The same call twice, where thousands of them, limits and questions come together. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import {
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskManagerSettings,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"

const started: Array<string> = []

const Tools = ToolExecutor.fromHandlers({
  hang: () =>
    Effect.flatMap(CurrentTask, ({ taskId }) => Effect.zipRight(Effect.sync(() => started.push(taskId)), Effect.never)),
  pay: () => Effect.flatMap(CurrentTask, ({ taskId }) => Effect.sync(() => started.push(taskId)))
})

const run = <A, E>(
  settings: Partial<TaskManagerSettings>,
  duplicates: "join" | "reject",
  program: Effect.Effect<A, E, TaskManager | ToolExecutor>
) =>
  Effect.suspend(() => {
    started.length = 0
    const manager = TaskManagerLive.pipe(
      Layer.provide(TaskManagerConfig.layer(settings)),
      Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Foreground({ duplicates })))
    )
    return Effect.provide(program, Layer.merge(manager, Tools))
  })

const start = (name: string, toolName: string) =>
  Effect.flatMap(TaskManager, (manager) =>
    manager.startTask(TaskLaunchRequest.plain({
      request: {
        sessionId: SessionId.make("s"),
        turnId: TurnId.make(`turn of ${name}`),
        callId: ToolCallId.make(name),
        toolName,
        input: { to: 1 },
        metadata: {}
      }
    })))

const approveAll = Effect.flatMap(
  TaskManager,
  (manager) =>
    Effect.flatMap(
      manager.handle.listSuspended,
      (asked) => Effect.forEach(asked, (one) => manager.answerApproval(one, "approve"))
    )
)

describe("the same call", () => {
  it.live("thousands join one, which is cancelled: the next runs and the others join that", () =>
    run(
      {},
      "join",
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        for (let at = 0; at < 2_500; at++) yield* start(`call-${at}`, "hang")
        const [first] = yield* handle.list()
        yield* handle.cancel(first!.id)
        assert.strictEqual(started.length, 2)
        const live = (yield* handle.list()).filter(({ joinedTaskId }) => joinedTaskId === started[1])
        assert.strictEqual(live.length, 2_498)
      })
    ))

  it.live("that a limit holds is refused while the first one is held", () =>
    run(
      { limits: { session: { launches: 0, onLimit: "ask" } } },
      "reject",
      Effect.gen(function*() {
        yield* start("a", "pay")
        const second = yield* Effect.exit(start("b", "pay"))
        assert.isTrue(
          Exit.isFailure(second) && second.cause._tag === "Fail" && second.cause.error._tag === "DuplicateCall"
        )
        yield* approveAll
        assert.strictEqual(started.length, 1)
      })
    ))

  it.live("that a limit holds joins the first one when both may run", () =>
    run(
      { limits: { session: { launches: 0, onLimit: "ask" } } },
      "join",
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        yield* start("a", "hang")
        yield* start("b", "hang")
        yield* approveAll
        assert.deepStrictEqual(started, ["task-1"])
        assert.strictEqual((yield* handle.get("task-2" as never)).joinedTaskId, "task-1")
        yield* handle.cancel("task-1" as never)
        assert.deepStrictEqual(started, ["task-1", "task-2"])
      })
    ))
})
