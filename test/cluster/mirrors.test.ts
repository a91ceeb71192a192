/** What a client knows of a session that it watches, where its readers at the group lose events or have to be opened again. */
import { SqlClient } from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Chunk, Context, Deferred, Effect, Layer, Queue } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert } from "vitest"
import { GroupNotReady } from "../../src/cluster/internal/protocol.js"
import { unheld } from "../../src/services/internal/unheld.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster, straight, type Wire, wired } from "./support.js"

const sessionId = SessionId.make("session")

const launch = (name: string, toolName: string) =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make(name),
    request: {
      sessionId,
      turnId: TurnId.make("turn"),
      callId: ToolCallId.make(name),
      toolName,
      input: {},
      metadata: {}
    }
  })

const Tools = ToolExecutor.fromHandlers({
  ask: () =>
    new ApprovalRequired({
      approval: { id: ApprovalId.make("ask"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
    }),
  chatty: () =>
    Effect.flatMap(
      CurrentTask,
      ({ reportProgress }) =>
        Effect.forEach(Array.from({ length: 100 }), () => reportProgress({ message: "one more" }), { discard: true })
    ),
  park: () => Effect.never
})
const Runner = TaskManagerCluster.runner({ groups: 2, lease: "1 day", shutdown: "keep" })
const Engine = Layer.mergeAll(memoryCluster(), sqliteLayer(), Tools).pipe(
  Layer.provideMerge(TaskManagerConfig.layer({ eventBuffer: 16 })),
  Layer.provideMerge(RoutingPolicy.layer(() => RoutingDecision.Background({})))
)
const clientOn = (wire: Wire, patience: "4 seconds" | "10 millis" = "4 seconds") =>
  Effect.map(
    Layer.build(TaskManagerCluster.layer({ groups: 2, patience }).pipe(Layer.provide(wired(wire)))),
    Context.get(TaskManager)
  )

describe("a session that a client watches", () => {
  it.scopedLive("is known whole after a Reset: what its tasks ask, and which have settled", () =>
    Effect.gen(function*() {
      yield* Layer.build(Runner)
      const wire: Wire = { pass: straight }
      const watching = yield* clientOn(wire)
      const other = yield* clientOn({ pass: straight })
      const { events } = yield* watching.handle.watchOf({ sessionId })
      yield* other.startTask(launch("asks before", "ask"))
      assert.strictEqual((yield* Queue.takeBetween(events, 2, 2)).length, 2)
      // nothing is heard for a while, in which more happens than its reader at the group holds
      const open = yield* Deferred.make<void>()
      wire.pass = (_exchange, send) => Effect.zipRight(Deferred.await(open), send)
      const names = ["talks before", "asks meanwhile", "talks after"]
      for (const name of names) yield* other.startTask(launch(name, name.startsWith("asks") ? "ask" : "chatty"))
      yield* other.handle.waitForIdle
      wire.pass = straight
      yield* Deferred.succeed(open, undefined)
      // its answer brings what was missed
      yield* watching.handle.setDeliveryMode(TaskId.make("asks before"), "Manual")
      assert.isTrue(Chunk.some(yield* Queue.takeAll(events), ({ _tag }) => _tag === "Reset"))
      const known = unheld(watching.handle)
      assert.deepStrictEqual(
        (yield* known.listSuspended).map(({ taskId }) => String(taskId)),
        ["asks before", "asks meanwhile"]
      )
      assert.deepStrictEqual(
        (yield* known.list({ sessionId })).map(({ id, status }) => `${id}: ${status}`),
        [
          "talks before: Completed",
          "talks after: Completed",
          "asks before: Suspended",
          "asks meanwhile: Suspended"
        ]
      )
      // and is told from there on
      yield* other.handle.cancel(TaskId.make("asks before"))
      yield* Effect.repeat(Queue.take(events), { until: ({ _tag }) => _tag === "Cancelled" })
      assert.deepStrictEqual((yield* known.listSuspended).map(({ taskId }) => String(taskId)), ["asks meanwhile"])
    }).pipe(Effect.provide(Engine), Effect.orDie))

  it.scopedLive("is told on after nobody has answered for longer than the patience, just as its readers were opened again", () =>
    Effect.gen(function*() {
      yield* Layer.build(Runner)
      const wire: Wire = { pass: straight }
      const { handle, startTask } = yield* clientOn(wire, "10 millis")
      const { events: mirrored } = yield* handle.watchOf({ sessionId })
      const queues = [mirrored, yield* handle.subscribeTo({}), yield* handle.subscribeTo({ sessionId, after: 0 })]
      yield* startTask(launch("a", "park"))
      for (const queue of queues) assert.strictEqual((yield* Queue.take(queue))._tag, "Started")
      // the group begins anew, and does not know its readers; whoever opens them again dies
      const died = yield* Deferred.make<void>()
      const refused = new Set<number>()
      wire.pass = (exchange, send) => {
        for (const { id, tag } of exchange.calls) if (tag === "Watch") refused.add(id)
        if (refused.size < 10) return exchange.calls.some(({ tag }) => tag === "Watch") ? new GroupNotReady() : send
        wire.pass = straight
        return Effect.zipRight(Deferred.succeed(died, undefined), send)
      }
      const sql = yield* SqlClient
      yield* sql`update etm_managers set epoch = epoch + 1, owner = 'nobody', lease_until = 0`
      yield* Effect.fork(Effect.exit(startTask(launch("lost", "park"))))
      yield* Deferred.await(died)
      yield* startTask(launch("b", "park"))
      for (const queue of queues) {
        yield* Effect.repeat(Queue.take(queue), {
          until: (event) => event._tag === "Reset" ? event.live.some(({ id }) => id === "b") : event.taskId === "b"
        })
      }
    }).pipe(Effect.provide(Engine), Effect.orDie))
})
