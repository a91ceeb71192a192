/** Answers of a runner that are lost on the wire: the call is made again, and counts once. */
import { Sharding } from "@effect/cluster"
import { it } from "@effect/vitest"
import { Effect, Exit, Layer, Option } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { GroupNotReady } from "../../src/cluster/internal/protocol.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

type Send = Effect.Effect<{ readonly answers: ReadonlyArray<unknown> }, unknown>

/** A client loses what this makes of each of its exchanges. */
interface Wire {
  pass: (tags: ReadonlyArray<string>, send: Send) => Send
}

/** The engine of a client whose exchanges go over the wire. */
const over = (wire: Wire) =>
  Layer.effect(
    Sharding.Sharding,
    Effect.map(Sharding.Sharding, (sharding) => {
      const replaced = <A extends object>(target: A, name: string, change: (value: never) => unknown): A =>
        new Proxy(target, {
          get: (of, key) => key === name ? change(Reflect.get(of, key) as never) : Reflect.get(of, key)
        })
      type Exchange = (exchange: { readonly calls: ReadonlyArray<{ readonly tag: string }> }) => Send
      return replaced(sharding, "makeClient", (makeClient: typeof sharding.makeClient) => (entity: never) =>
        Effect.map(makeClient(entity), (of) =>
        (id: string) =>
          replaced(of(id), "Exchange", (send: Exchange): Exchange =>
          (exchange) =>
            wire.pass(
              exchange.calls.map(({ tag }) => tag),
              send(exchange)
            ))))
    })
  )

const runs: Array<string> = []
const Tools = ToolExecutor.fromHandlers({
  note: ({ input }) => Effect.as(Effect.sync(() => runs.push(String(input))), "noted"),
  ask: () =>
    Effect.flatMap(CurrentTask, ({ approval }) => {
      runs.push(Option.isSome(approval) ? "approved" : "asks")
      return Option.isSome(approval) ? Effect.never : new ApprovalRequired({
        approval: { id: ApprovalId.make("ask"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
      })
    })
})

const turn = { sessionId: SessionId.make("s"), turnId: TurnId.make("t") }
const launchOf = (name: string, toolName: string, input: unknown) =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make(name),
    request: { ...turn, callId: ToolCallId.make("c"), toolName, input, metadata: {} }
  })

const world = (wire: Wire) =>
  TaskManagerCluster.layer({ groups: 2, patience: "4 seconds" }).pipe(
    Layer.provide(over(wire)),
    Layer.merge(TaskManagerCluster.runner({ groups: 2, lease: "1 day", shutdown: "cancel" })),
    Layer.provide(memoryCluster()),
    Layer.provide(sqliteLayer()),
    Layer.provideMerge(Tools)
  )

describe("a call whose answer is lost", () => {
  const straight: Wire["pass"] = (_, send) => send
  const wire: Wire = { pass: straight }
  /** The next call that starts something: whether the runner gets it, and then loses its answer. */
  const lose = (arrives: boolean): void => {
    wire.pass = (tags, send) => {
      if (!tags.includes("Start")) return send
      wire.pass = straight
      return Effect.zipRight(arrives ? send : Effect.void, Effect.fail(new GroupNotReady()))
    }
  }

  it.live("approves once", () =>
    Effect.gen(function*() {
      runs.length = 0
      const manager = yield* TaskManager
      yield* manager.startTask(launchOf("a", "ask", 0))
      yield* manager.handle.waitForIdle
      const [asked] = yield* manager.handle.listSuspended
      assert(asked !== undefined)
      lose(true)
      const outcome = yield* manager.answerApproval(asked, "approve")
      assert.strictEqual(outcome?._tag, "Pending")
      assert.deepStrictEqual(runs, ["asks", "approved"])
    }).pipe(Effect.provide(world(wire)), Effect.orDie))

  it.live("is not taken for another one with the same id and another input", () =>
    Effect.gen(function*() {
      runs.length = 0
      const { startTask } = yield* TaskManager
      lose(false)
      const exits = yield* Effect.all(
        [Effect.exit(startTask(launchOf("b", "note", "one"))), Effect.exit(startTask(launchOf("b", "note", "two")))],
        { concurrency: "unbounded" }
      )
      assert.lengthOf(exits.filter(Exit.isSuccess), 1)
      assert.lengthOf(runs, 1)
    }).pipe(Effect.provide(world(wire)), Effect.orDie))
})
