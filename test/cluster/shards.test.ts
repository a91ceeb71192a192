/** A runner that loses the locks of its shards, with the real engine. */
import { MessageStorage, RunnerHealth, Runners, RunnerStorage, Sharding, ShardingConfig } from "@effect/cluster"
import * as EntityId from "@effect/cluster/EntityId"
import * as SqlClient from "@effect/sql/SqlClient"
import { it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, LogLevel } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { GroupEntity, protocolVersion } from "../../src/cluster/internal/protocol.js"
import { sqliteLayer } from "../support/sqlite.js"
import { rested } from "./support.js"

const groups = 8

/** The engine of one process, whose locks cannot be renewed while the database is away. */
const engineWith = (database: { isAway: boolean }) => {
  const storage = Layer.effect(
    RunnerStorage.RunnerStorage,
    Effect.map(RunnerStorage.makeMemory, (memory) =>
      RunnerStorage.RunnerStorage.of({
        ...memory,
        acquire: (_address, shards) => Effect.sync(() => [...shards]),
        refresh: (_address, shards) =>
          Effect.suspend(() => database.isAway ? Effect.never : Effect.succeed([...shards]))
      }))
  )
  return Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provideMerge(MessageStorage.layerMemory),
    Layer.provide([storage, RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer({
      shardsPerGroup: 300,
      preemptiveShutdown: false,
      entityTerminationTimeout: "1 second",
      shardLockRefreshInterval: 100,
      sendRetryInterval: 5
    }))
  )
}

describe("a runner that loses its shards", () => {
  it.live("lets go of every journal, also of groups whose first caller went away while they were opened", () => {
    const database = { isAway: false }
    return Effect.gen(function*() {
      const sharding = yield* Sharding.Sharding
      const sql = yield* SqlClient.SqlClient
      const one = yield* GroupEntity.client
      const numbers = Array.from({ length: groups }, (_, number) => number)
      const until = <E>(isSo: Effect.Effect<boolean, E>) =>
        Effect.repeat(Effect.zipRight(rested, isSo), { until: (is) => is })
      const isHere = Effect.sync(() =>
        numbers.every((number) => {
          const id = EntityId.make(String(number))
          return sharding.hasShardId(sharding.getShardId(id, GroupEntity.getShardGroup(id)))
        })
      )
      yield* until(isHere)
      // whichever step of it the interrupt meets
      for (const steps of numbers) {
        const asking = yield* Effect.fork(
          one(String(steps)).Exchange({
            version: protocolVersion,
            client: "client",
            number: steps,
            oldest: 0,
            runner: null,
            calls: [],
            told: [],
            ended: [],
            list: -1
          })
        )
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(asking)
      }
      const owned = sql<{ readonly name: string }>`select name from etm_managers where owner <> ''`
      yield* until(Effect.map(owned, (all) => all.length > 0))
      database.isAway = true
      yield* until(Effect.map(isHere, (is) => !is))
      yield* until(Effect.map(owned, (all) => all.length === 0))
      database.isAway = false
      yield* until(isHere)
      assert.deepStrictEqual(yield* owned, [])
    }).pipe(
      Effect.provide(
        TaskManagerCluster.runner({ groups }).pipe(
          Layer.provideMerge(Layer.mergeAll(engineWith(database), sqliteLayer(), ToolExecutor.fromHandlers({})))
        )
      ),
      Effect.scoped,
      Logger.withMinimumLogLevel(LogLevel.None)
    )
  }, 60_000)
})
