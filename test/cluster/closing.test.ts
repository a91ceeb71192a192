/** What a runner hears of a client that closes: what has become of what it gave, and that nobody waits any more. */
import { SqlClient } from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import {
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert } from "vitest"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster, rested, straight, type Wire, wired } from "./support.js"

const turn = { sessionId: SessionId.make("session"), turnId: TurnId.make("turn") }
const taskId = TaskId.make("task")
const launch = TaskLaunchRequest.plain({
  taskId,
  request: { ...turn, callId: ToolCallId.make("call"), toolName: "gated", input: {}, metadata: {} }
})

class Gate extends Context.Tag("Gate")<Gate, Deferred.Deferred<string>>() {}

const Tools = Layer.unwrapEffect(
  Effect.map(Gate, (gate) => ToolExecutor.fromHandlers({ gated: () => Deferred.await(gate) }))
)
const Runner = TaskManagerCluster.runner({ groups: 3, lease: "1 day", shutdown: "keep" }).pipe(
  Layer.provideMerge(Layer.mergeAll(memoryCluster(), sqliteLayer(), Tools)),
  Layer.provideMerge(Layer.effect(Gate, Deferred.make()))
)

const client = (wire: Wire = { pass: straight }) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const layer = TaskManagerCluster.layer({ groups: 3, patience: "1 day" }).pipe(Layer.provide(wired(wire)))
    const manager = Context.get(yield* Layer.buildWithScope(layer, scope), TaskManager)
    return { manager, close: Scope.close(scope, Exit.void) }
  })

/** Is done once a call has been sent. */
const sending = (tag: string) =>
  Effect.map(Deferred.make<void>(), (sent) => {
    const wire: Wire = {
      pass: (exchange, send) =>
        exchange.calls.some((call) => call.tag === tag)
          ? Effect.zipRight(Deferred.succeed(sent, undefined), send)
          : send
    }
    return { wire, sent: Effect.zipRight(Deferred.await(sent), rested) }
  })

const finish = Effect.flatMap(Gate, (gate) => Deferred.succeed(gate, "done"))

describe("a client that closes", () => {
  it.live("a result goes to whoever waits next, not to the wait of a client that has closed", () =>
    Effect.gen(function*() {
      const { sent, wire } = yield* sending("TakeUpdate")
      const first = yield* client(wire)
      const second = yield* client()
      yield* first.manager.startTask(launch)
      const waiting = yield* Effect.fork(first.manager.waitForTurn(turn))
      yield* sent
      yield* first.close
      assert.isTrue(Option.isNone(yield* Fiber.join(waiting)))
      yield* finish
      assert.isTrue(Option.isSome(yield* second.manager.waitForTurn(turn)))
      yield* second.close
    }).pipe(Effect.provide(Runner), Effect.orDie))

  it.live("what it has taken is written by then: it does not come again", () =>
    Effect.gen(function*() {
      const { close, manager } = yield* client()
      yield* manager.startTask(launch)
      yield* finish
      assert.isTrue(Option.isSome(yield* manager.waitForTurn(turn)))
      yield* close
      const sql = yield* SqlClient
      const rows = yield* sql<{ readonly result: unknown }>`select result from etm_tasks where id = ${taskId}`
      assert.deepStrictEqual(rows.map(({ result }) => result), [null])
    }).pipe(Effect.provide(Runner), Effect.orDie))

  it.live("what its consumers gave back is there for another one", () =>
    Effect.gen(function*() {
      const first = yield* client()
      const second = yield* client()
      yield* first.manager.startTask(launch)
      yield* finish
      const isUsed = yield* Deferred.make<void>()
      const consuming = yield* Effect.fork(
        first.manager.consumeTurnUpdate(turn, () => Effect.zipRight(Deferred.succeed(isUsed, undefined), Effect.never))
      )
      yield* Deferred.await(isUsed)
      yield* Fiber.interrupt(consuming)
      yield* first.close
      assert.isTrue(Option.isSome(yield* second.manager.waitForTurn(turn)))
      yield* second.close
    }).pipe(Effect.provide(Runner), Effect.orDie))

  it.live("its readers of events are closed at their group", () =>
    Effect.gen(function*() {
      const { sent, wire } = yield* sending("Unwatch")
      const { close, manager } = yield* client(wire)
      const scope = yield* Scope.make()
      yield* Scope.extend(manager.handle.watchOf({ sessionId: turn.sessionId }), scope)
      yield* close
      yield* sent
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(Runner), Effect.orDie))

  it.live("it waits for no runner that does not answer", () =>
    Effect.gen(function*() {
      const wire: Wire = { pass: straight }
      const { close, manager } = yield* client(wire)
      yield* manager.startTask(launch)
      yield* finish
      yield* Effect.repeat(manager.waitForTurn(turn), { until: Option.isNone })
      wire.pass = () => Effect.never
      const waiting = yield* Effect.fork(manager.startTask(launch))
      yield* rested
      yield* close
      assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
    }).pipe(Effect.provide(Runner), Effect.orDie))
})
