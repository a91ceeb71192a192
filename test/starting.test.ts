/** What lies between `startTask` and acceptance, as the programs of users see it, in Effect and in promises. */
import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  TaskManagerShutdown,
  ToolExecutor
} from "effect-task-manager"
import { createTaskManager } from "effect-task-manager/promise"
import { assert, describe } from "vitest"
import { makeEngine, makeManager } from "../src/runtime/make.js"
import { startConcurrently } from "../src/runtime/starting/startTask.js"
import { request, sessionId, turnRef } from "./support/world.js"

const call = { sessionId: "s", turnId: "t", callId: "c", toolName: "t", input: null }

const settledOf = (promise: Promise<unknown>) => promise.then(() => "resolved", (error: unknown) => error)

/** A manager whose routing takes until it is let go, and whose tool counts its runs. */
const slow = () => {
  let ran = 0
  let letGo = () => {}
  const routed = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const manager = createTaskManager({
    tools: {
      t: () => {
        ran++
        return "x"
      }
    },
    routing: async () => {
      await routed
      return RoutingDecision.Foreground()
    }
  })
  return { manager, letGo, runs: () => ran }
}

describe("a promise call that is still being routed", () => {
  it("never runs when its session is closed", async () => {
    const { letGo, manager, runs } = slow()
    const starting = settledOf(manager.startTask({ request: call }))
    await manager.closeSession("s")
    assert.instanceOf(await starting, TaskManagerShutdown)
    letGo()
    await manager.waitForIdle()
    assert.strictEqual(runs(), 0)
    await manager.close()
  })

  it("settles as cancelled when its turn is interrupted and drained", async () => {
    const { letGo, manager, runs } = slow()
    const starting = manager.startTask({ request: call })
    const { cancelled } = await manager.onTurnInterrupted(call)
    assert.lengthOf(cancelled, 1)
    assert.strictEqual((await starting)._tag, "Pending")
    const update = await manager.waitForTurn(call)
    assert(update?._tag === "Resolution" && update.resolution._tag === "Item")
    assert.strictEqual(await manager.waitForTurn(call), undefined)
    letGo()
    await manager.waitForIdle()
    assert.strictEqual(runs(), 0)
    await manager.close()
  })

  it("is refused when the manager is closed, also if routing never answers", async () => {
    const { manager, runs } = slow()
    const starting = settledOf(manager.startTask({ request: call }))
    await manager.close()
    assert.instanceOf(await starting, TaskManagerShutdown)
    assert.strictEqual(runs(), 0)
  })
})

const tools = ToolExecutor.fromHandlers({ tool: () => Effect.succeed("done") })

describe("an effect that routes", () => {
  it.effect("runs in the context of the caller, and is interrupted once nobody waits for it", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const begun = yield* Deferred.make<void>()
      const policy = RoutingPolicy.layer(() =>
        Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never).pipe(
          Effect.onInterrupt(() => Effect.sync(() => log.push("interrupted")))
        )
      )
      yield* Effect.gen(function*() {
        const { closeSession, startTask } = yield* TaskManager
        const starting = yield* Effect.fork(startTask(TaskLaunchRequest.plain({ request: request("a") })))
        yield* Deferred.await(begun)
        yield* closeSession(sessionId("s"))
        const exit = yield* Fiber.await(starting)
        assert.isTrue(Exit.isFailure(exit))
        yield* Effect.yieldNow()
        assert.deepStrictEqual(log, ["interrupted"])
      }).pipe(Effect.provide(Layer.merge(tools, TaskManagerLive.pipe(Layer.provide(policy)))))
    }))

  for (const [name, wrong] of [["fails", Effect.fail("no")], ["dies", Effect.die("no")]] as const) {
    it.effect(`and ${name} is a defect of startTask, at once or later, and leaves no turn and no session`, () =>
      Effect.gen(function*() {
        for (const routing of [wrong, Effect.zipRight(Effect.yieldNow(), wrong)]) {
          const exit = yield* Effect.gen(function*() {
            const engine = yield* makeEngine
            const { startTask } = makeManager(engine, startConcurrently)
            const exit = yield* Effect.exit(startTask(TaskLaunchRequest.plain({ request: request("a") })))
            assert.strictEqual(engine.state.table.sessions.size, 0)
            return exit
          }).pipe(
            Effect.scoped,
            Effect.provide(tools),
            // what no type allows, and a program without types may do
            Effect.provideService(RoutingPolicy, () => routing as Effect.Effect<never>)
          )
          assert.isTrue(exit._tag === "Failure" && exit.cause._tag === "Die" && exit.cause.defect === "no")
        }
      }))
  }

  it.effect("and another call of the same id hold up a call that runs with what it was given", () =>
    Effect.gen(function*() {
      const inputs: Array<string> = []
      const executor = ToolExecutor.fromHandlers({
        tool: ({ input }) => Effect.sync(() => `${inputs.push(JSON.stringify(input))}`)
      })
      const goOn = yield* Deferred.make<void>()
      let routed = 0
      const policy = RoutingPolicy.layer(() =>
        ++routed === 1 ? Effect.as(Deferred.await(goOn), RoutingDecision.Foreground()) : RoutingDecision.Foreground()
      )
      const config = TaskManagerConfig.layer({ duplicateCallIds: "join" })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        const input = { path: "as it was" }
        const start = (name: string) => startTask(TaskLaunchRequest.plain({ request: request(name, { input }) }))
        const first = yield* Effect.fork(start("a"))
        yield* Effect.yieldNow()
        const second = yield* Effect.fork(start("a"))
        yield* Effect.yieldNow()
        input.path = "changed"
        // the other one goes on with its own
        yield* Fiber.interrupt(first)
        yield* Fiber.join(second)
        routed = 0
        input.path = "as it was"
        const third = yield* Effect.fork(start("b"))
        yield* Effect.yieldNow()
        input.path = "changed"
        yield* Deferred.succeed(goOn, undefined)
        yield* Fiber.join(third)
        yield* handle.waitForIdle
        assert.deepStrictEqual(inputs, [`{"path":"as it was"}`, `{"path":"as it was"}`])
      }).pipe(Effect.provide(Layer.merge(executor, TaskManagerLive.pipe(Layer.provide([policy, config])))))
    }))

  it.effect("leaves no turn and no session when its caller is interrupted, whenever that is", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 20; steps++) {
        yield* Effect.gen(function*() {
          const engine = yield* makeEngine
          const { handle, startTask } = makeManager(engine, startConcurrently)
          const starting = yield* Effect.fork(startTask(TaskLaunchRequest.plain({ request: request("a") })))
          for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(starting)
          const [task] = yield* handle.list()
          if (task === undefined) assert.strictEqual(engine.state.table.sessions.size, 0)
        }).pipe(
          Effect.scoped,
          Effect.provide(tools),
          Effect.provideService(
            RoutingPolicy,
            () => Effect.repeatN(Effect.yieldNow(), 5).pipe(Effect.as(RoutingDecision.Foreground()))
          )
        )
      }
    }))

  it.effect("leaves nothing of a call that its turn's interrupt cancelled, once that is drained", () =>
    Effect.gen(function*() {
      const engine = yield* makeEngine
      const { onTurnInterrupted, startTask, waitForTurn } = makeManager(engine, startConcurrently)
      const starting = yield* Effect.fork(startTask(TaskLaunchRequest.plain({ request: request("a") })))
      yield* Effect.yieldNow()
      yield* onTurnInterrupted(turnRef())
      yield* Fiber.join(starting)
      assert.isTrue(Option.isSome(yield* waitForTurn(turnRef())))
      assert.isTrue(Option.isNone(yield* waitForTurn(turnRef())))
      assert.strictEqual(engine.state.table.sessions.size, 0)
    }).pipe(Effect.scoped, Effect.provide(tools), Effect.provideService(RoutingPolicy, () => Effect.never)))
})
