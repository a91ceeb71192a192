/** What a host without types gives to a client: it must not reach a row, for a row that nobody can read ends its whole group. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { assert, describe } from "vitest"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

const turn = { sessionId: SessionId.make("session"), turnId: TurnId.make("turn") }
const id = (name: string) => TaskId.make(name)

const launchOf = (name: string) =>
  TaskLaunchRequest.plain({
    taskId: id(name),
    request: { ...turn, callId: ToolCallId.make(name), toolName: name, input: name, metadata: {} }
  })

const Tools = ToolExecutor.fromHandlers({
  park: () => Effect.never,
  ask: () =>
    new ApprovalRequired({
      approval: { id: ApprovalId.make("ask"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
    })
})

/** A runner and a client on the database that is there. */
const Cluster = TaskManagerCluster.runner({ groups: 1 }).pipe(
  Layer.provideMerge(TaskManagerCluster.layer({ groups: 1, patience: "2 seconds" })),
  Layer.provide(memoryCluster()),
  Layer.provideMerge(Tools)
)
const Durable = Layer.provideMerge(TaskManagerDurable.layer({ shutdown: "keep", onOwned: "take" }), Tools)

const managers: Readonly<Record<string, Layer.Layer<TaskManager | ToolExecutor, unknown, SqlClient.SqlClient>>> = {
  cluster: Cluster,
  durable: Durable
}

/** What no type allows. */
const untyped = (value: unknown) => value as never

const calls: Readonly<Record<string, (manager: TaskManager["Type"]) => Effect.Effect<unknown, unknown>>> = {
  setContinuePolicy: ({ handle }) => handle.setContinuePolicy(id("park"), untyped("nonsense")),
  setDeliveryMode: ({ handle }) => handle.setDeliveryMode(id("park"), untyped(5)),
  "startTask: an id with half of a character": ({ startTask }) => Effect.provide(startTask(launchOf("\ud800")), Tools),
  "rejectApproval: reason": ({ rejectApproval }) => rejectApproval({ taskId: id("ask"), reason: untyped(5) })
}

describe("what a client cannot send", () => {
  it.live("is a defect of the effect, and names what is wrong", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(Cluster)
      const manager = Context.get(context, TaskManager)
      const { handle } = manager
      const cyclic: Record<string, unknown> = {}
      cyclic["own"] = cyclic
      let deep: unknown = 1
      for (let depth = 0; depth < 600; depth++) deep = { a: deep }
      const start = (input: unknown) => {
        const { request, ...launch } = launchOf("park")
        return Effect.provide(manager.startTask({ ...launch, request: { ...request, input } }), context)
      }
      const wrong: ReadonlyArray<readonly [Effect.Effect<unknown, unknown>, RegExp]> = [
        [start(cyclic), /startTask takes a JSON value: request.input.own is a cycle/],
        [start(deep), /startTask takes a JSON value: request.input.a.a/],
        [manager.waitForTurn(untyped({})), /sessionId takes the id of a session/],
        [manager.waitForTurn(untyped(undefined)), /sessionId/],
        [manager.consumeTurnUpdate(untyped({}), () => Effect.void), /sessionId takes/],
        [manager.takePendingLoopUpdates(untyped(undefined)), /sessionId takes/],
        [manager.consumePendingLoopUpdates(untyped(undefined), () => Effect.void), /sessionId takes/],
        [manager.onTurnInterrupted(untyped({})), /sessionId takes/],
        [manager.closeSession(untyped(undefined)), /sessionId takes/],
        [manager.waitForLoopUpdate(untyped(5)), /sessionId takes/],
        [handle.drainReadyItemsOf(untyped(undefined)), /sessionId takes/],
        [handle.setConcurrency(untyped(5), 1), /setConcurrency takes the name of a lane/]
      ]
      for (const [call, message] of wrong) {
        const exit = yield* Effect.exit(call)
        assert.match(exit._tag === "Failure" && exit.cause._tag === "Die" ? String(exit.cause.defect) : "", message)
      }
      assert.strictEqual((yield* start("x"))._tag, "Pending")
    }).pipe(Effect.provide(Layer.orDie(sqliteLayer())), Effect.scoped))
})

describe("what a host without types gives", () => {
  for (const [name, Manager] of Object.entries(managers)) {
    for (const [what, call] of Object.entries(calls)) {
      it.live(`${name}, ${what}: its caller dies of it, and the tasks can be read again`, () =>
        Effect.gen(function*() {
          const before = yield* Scope.make()
          const first = yield* Scope.extend(Layer.build(Manager), before)
          const manager = Context.get(first, TaskManager)
          yield* Effect.provide(Effect.forEach(["park", "ask"], (one) => manager.startTask(launchOf(one))), first)
          yield* Effect.repeat(manager.handle.get(id("ask")), { until: ({ status }) => status === "Suspended" })
          const exit = yield* Effect.exit(call(manager))
          yield* Scope.close(before, Exit.void)
          const again = Context.get(yield* Layer.build(Manager), TaskManager)
          const found = yield* again.handle.list()
          assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die", String(exit))
          assert.deepStrictEqual(found.map(({ id }) => id), [id("park"), id("ask")])
        }).pipe(Effect.provide(Layer.orDie(sqliteLayer())), Effect.scoped))
    }
  }
})
