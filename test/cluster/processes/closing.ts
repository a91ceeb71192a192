/** A client as a process of its own: it runs one task, closes its layer, and has nothing left to do. */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Queue, Redacted } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { clusterShardingConfig, TaskManagerCluster } from "effect-task-manager/cluster"

const [, , url = "", groups = ""] = process.argv
const sql = PgClient.layer({ url: Redacted.make(url) })
const Client = TaskManagerCluster.layer({ groups: Number(groups) }).pipe(
  Layer.provide(NodeClusterSocket.layer({
    clientOnly: true,
    storage: "sql",
    shardingConfig: clusterShardingConfig()
  })),
  Layer.provide(sql)
)

const turn = { sessionId: SessionId.make("session"), turnId: TurnId.make("turn") }

await Effect.runPromise(
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const events = yield* manager.handle.subscribe
    yield* manager.startTask(TaskLaunchRequest.plain({
      request: { ...turn, callId: ToolCallId.make("call"), toolName: "echo", input: "x", metadata: {} }
    }))
    if (Option.isNone(yield* manager.waitForTurn(turn))) return yield* Effect.dieMessage("no result")
    yield* Queue.take(events)
  }).pipe(Effect.provide([Client, ToolExecutor.fromHandlers({})]), Effect.scoped)
)
// no exit: it has nothing left to do
