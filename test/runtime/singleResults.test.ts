/** Waiting for single tasks and taking single results: what an interrupt or another reader may not spoil. */
import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId, Option } from "effect"
import {
  ApprovalRequired,
  CurrentTask,
  TaskId,
  TaskLaunchRequest,
  TaskManagerConfig,
  type TaskManagerSettings,
  type TaskResolution,
  ToolExecutor
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { makeEngine, makeManager } from "../../src/runtime/make.js"
import { startConcurrently } from "../../src/runtime/starting/startTask.js"
import { approvalRequest, checkTable, request, sessionId, turnRef } from "../support/world.js"

const settle = Effect.forEach(Array.from({ length: 10 }), () => Effect.yieldNow(), { discard: true })

const id = (name: string): TaskId => TaskId.make(name)

type Body = Effect.Effect<string, ApprovalRequired, CurrentTask>

/** A manager whose table can be looked into; a tool hangs until it is told, or does what it is given. */
const setup = (settings: Partial<TaskManagerSettings> = {}) =>
  Effect.gen(function*() {
    const engine = yield* makeEngine.pipe(Effect.provide(TaskManagerConfig.layer(settings)))
    const manager = makeManager(engine, startConcurrently)
    const gates = new Map<string, Deferred.Deferred<string, ApprovalRequired>>()
    const bodies = new Map<string, Body>()
    const gateOf = (name: string) => {
      const gate = gates.get(name) ?? Deferred.unsafeMake<string, ApprovalRequired>(FiberId.none)
      gates.set(name, gate)
      return gate
    }
    const tools = ToolExecutor.fromHandlers({
      tool: () => Effect.flatMap(CurrentTask, ({ taskId }) => bodies.get(taskId) ?? Deferred.await(gateOf(taskId)))
    })
    const start = (name: string, options: { readonly turn?: string; readonly body?: Body } = {}) =>
      Effect.suspend(() => {
        if (options.body !== undefined) bodies.set(name, options.body)
        const { turn = "t" } = options
        return manager.startTask(TaskLaunchRequest.plain({ request: request(name, { turn }), taskId: id(name) }))
      }).pipe(Effect.provide(tools))
    const tell = (name: string, gate: (gate: Deferred.Deferred<string, ApprovalRequired>) => Effect.Effect<boolean>) =>
      Effect.suspend(() => gate(gateOf(name))).pipe(
        Effect.zipRight(settle),
        Effect.zipRight(Effect.sync(() => checkTable(engine.state.table)))
      )
    return {
      ...manager,
      table: engine.state.table,
      start,
      complete: (name: string) => tell(name, Deferred.succeed("done")),
      ask: (name: string) => tell(name, Deferred.fail(new ApprovalRequired({ approval: approvalRequest() })))
    }
  })

const idOf = (item: TaskResolution.Item): string => item.taskId

describe("takeResult", () => {
  it.scoped("a waitForTurn that was woken for nothing finds that the turn has drained", () =>
    Effect.gen(function*() {
      const { complete, start, table, takeResult, waitForTask, waitForTurn } = yield* setup()
      yield* start("a")
      // woken first, so it takes first
      const taking = yield* Effect.fork(Effect.zipRight(waitForTask([id("a")]), takeResult(id("a"))))
      yield* settle
      const waiting = yield* Effect.fork(waitForTurn(turnRef()))
      yield* settle
      yield* complete("a")
      const [taken, update] = [yield* Fiber.join(taking), yield* Fiber.join(waiting)]
      assert.strictEqual(Number(Option.isSome(taken)) + Number(Option.isSome(update)), 1)
      assert.strictEqual(table.sessions.size, 0)
    }))

  it.scoped("fails for unknown tasks, and is none for live ones", () =>
    Effect.gen(function*() {
      const { consumeResult, start, takeResult } = yield* setup()
      yield* start("a")
      assert.isTrue(Option.isNone(yield* takeResult(id("a"))))
      assert.isTrue(Option.isNone(yield* consumeResult(id("a"), () => Effect.die("called"))))
      assert.strictEqual((yield* Effect.flip(takeResult(id("b"))))._tag, "TaskNotFound")
      assert.strictEqual((yield* Effect.flip(consumeResult(id("b"), () => Effect.void)))._tag, "TaskNotFound")
    }))
})

describe("consumeResult", () => {
  it.scoped("gives the result to use for good, and nothing is left", () =>
    Effect.gen(function*() {
      const { complete, consumeResult, start, table, takeResult } = yield* setup()
      yield* start("a")
      yield* complete("a")
      const used = yield* consumeResult(id("a"), (item) =>
        Effect.zipWith(Effect.succeed(idOf(item)), takeResult(id("a")), (name, other) => [name, Option.isNone(other)]))
      assert.deepStrictEqual(used, Option.some(["a", true]))
      assert.isTrue(Option.isNone(
        yield* consumeResult(id("a"), () =>
          Effect.die("called"))
      ))
      assert.strictEqual(table.sessions.size, 0)
    }))

  for (
    const [what, use] of [
      ["fails", Effect.fail("broken")],
      ["dies", Effect.die("broken")],
      ["is interrupted", Effect.interrupt]
    ] as const
  ) {
    it.scoped(`puts the result back at its place when use ${what}, and wakes who waits for it`, () =>
      Effect.gen(function*() {
        const { complete, consumeResult, start, table, waitForTurn } = yield* setup()
        for (const name of ["a", "b", "c"]) yield* start(name)
        for (const name of ["a", "b"]) yield* complete(name)
        const exit = yield* Effect.exit(consumeResult(id("a"), () => use))
        assert.isTrue(Exit.isFailure(exit))
        checkTable(table)
        const updates = [yield* waitForTurn(turnRef()), yield* waitForTurn(turnRef())].flatMap(Option.toArray)
        assert.deepStrictEqual(
          updates.map((update) =>
            update._tag === "Resolution" && update.resolution._tag === "Item"
              ? idOf(update.resolution)
              : "?"
          ),
          ["a", "b"]
        )
      }))
  }

  it.scoped("puts back when its caller is interrupted, and a parked waitForTurn gets it", () =>
    Effect.gen(function*() {
      const { complete, consumeResult, start, table, waitForTurn } = yield* setup()
      yield* start("a")
      yield* start("b")
      yield* complete("a")
      const consuming = yield* Effect.fork(consumeResult(id("a"), () => Effect.never))
      yield* settle
      const waiting = yield* Effect.fork(waitForTurn(turnRef()))
      yield* settle
      assert.isNull(waiting.unsafePoll())
      yield* Fiber.interrupt(consuming)
      assert.isTrue(Option.isSome(yield* Fiber.join(waiting)))
      checkTable(table)
    }))

  it.scoped("drops the result when its session is closed meanwhile", () =>
    Effect.gen(function*() {
      const { closeSession, complete, consumeResult, start, table, takeResult } = yield* setup()
      yield* start("a")
      yield* complete("a")
      yield* Effect.exit(
        consumeResult(id("a"), () => Effect.zipRight(closeSession(sessionId("s")), Effect.fail("broken")))
      )
      assert.isTrue(Option.isNone(yield* takeResult(id("a"))))
      assert.strictEqual(table.sessions.size, 0)
    }))
})

describe("waitForTask", () => {
  it.scoped("returns once one of the tasks is settled, and leaves nothing at the others", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForTask } = yield* setup()
      for (const name of ["a", "b"]) yield* start(name, { turn: name })
      const waiting = yield* Effect.fork(waitForTask([id("a"), id("b"), id("a")]))
      yield* settle
      assert.isNull(waiting.unsafePoll())
      yield* complete("b")
      yield* Fiber.join(waiting)
      const a = table.tasks.get(id("a"))
      assert.isTrue(a?.isLive === true && a.taskWaits?.isEmpty === true)
    }))

  it.scoped("returns when one is suspended, and at once when it already is", () =>
    Effect.gen(function*() {
      const { ask, start, waitForTask } = yield* setup()
      yield* start("a")
      const waiting = yield* Effect.fork(waitForTask([id("a")]))
      yield* settle
      yield* ask("a")
      yield* Fiber.join(waiting)
      yield* waitForTask([id("a")])
    }))

  it.scoped("returns at once for no task and for a settled one; fails if one is unknown", () =>
    Effect.gen(function*() {
      const { complete, start, waitForTask } = yield* setup()
      yield* start("a")
      yield* start("b")
      yield* complete("a")
      yield* waitForTask([])
      yield* waitForTask([id("b"), id("a")])
      const error = yield* Effect.flip(waitForTask([id("a"), id("nobody")]))
      assert.deepStrictEqual([error._tag, error.taskId], ["TaskNotFound", id("nobody")])
    }))

  it.scoped("leaves no trace when it is interrupted", () =>
    Effect.gen(function*() {
      const { start, table, waitForTask } = yield* setup()
      yield* start("a")
      yield* start("b")
      const waiting = yield* Effect.fork(waitForTask([id("a"), id("b")]))
      yield* settle
      const waits = () => [...table.live].map(({ taskWaits }) => taskWaits?.size ?? 0)
      assert.deepStrictEqual(waits(), [1, 1])
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(waits(), [0, 0])
    }))

  it.scoped("a tool that waits lends its place, gets it back, and stays counted", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForTask } = yield* setup({ concurrency: 1 })
      const done = Effect.as(Effect.orDie(Effect.suspend(() => waitForTask([id("b")]))), "waited")
      yield* start("a", { body: Effect.zipRight(settle, done) })
      yield* start("b")
      assert.strictEqual(table.tasks.get(id("b"))?.snapshot.status, "Queued")
      yield* settle
      yield* settle
      assert.strictEqual(table.tasks.get(id("b"))?.snapshot.status, "Running")
      checkTable(table)
      assert.strictEqual(table.idle.active, 2)
      yield* complete("b")
      yield* settle
      assert.strictEqual(table.tasks.get(id("a"))?.snapshot.status, "Completed")
      assert.strictEqual(table.places, 0)
    }))

  it.scoped("a tool's wait for itself, or for a task that it runs under, returns at once", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForTask } = yield* setup()
      const child = Effect.as(Effect.orDie(Effect.suspend(() => waitForTask([id("parent")]))), "returned")
      const self = Effect.orDie(Effect.suspend(() => waitForTask([id("parent")])))
      yield* start("other")
      yield* start("parent", {
        body: Effect.zipRight(self, Effect.zipRight(Effect.orDie(start("child", { body: child })), Effect.never))
      })
      yield* settle
      assert.strictEqual(table.tasks.get(id("child"))?.snapshot.status, "Completed")
      yield* complete("other")
    }))

  it.scoped("returns when the manager shuts down", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.scoped(Effect.gen(function*() {
        const { start, waitForTask } = yield* setup()
        yield* start("a")
        const fiber = yield* Effect.forkDaemon(waitForTask([id("a")]))
        yield* settle
        return fiber
      }))
      yield* Fiber.join(waiting)
    }))
})
