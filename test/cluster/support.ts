/** A cluster of one process: a runner and a client that talk to each other as if the wire were between them. */
import { MessageStorage, RunnerHealth, Runners, RunnerStorage, Sharding, ShardingConfig } from "@effect/cluster"
import type { SqlClient } from "@effect/sql"
import { Clock, Effect, Layer, Predicate } from "effect"
import { TaskManager } from "effect-task-manager"
import { type ClusterRunnerOptions, TaskManagerCluster } from "effect-task-manager/cluster"
import type { CallHeader, Exchange, Exchanged } from "../../src/cluster/internal/protocol.js"
import { quietness } from "../../src/cluster/internal/quietness.js"
import { pendingStatements } from "../support/postgres.js"
import { sqliteLayer } from "../support/sqlite.js"

const realClock = Clock.make()

/** What a call says that says nothing but its number. */
export const headerOf = (call: string): CallHeader => ({
  call,
  under: [],
  stopped: null,
  taken: [],
  putBack: [],
  dropped: [],
  readers: []
})

/** Its own timers are those of the machine, whatever clock the tasks run on. */
const onRealClock = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.fresh(Layer.scopedContext(Effect.withClock(Layer.build(layer), realClock)))

/** The engine of `@effect/cluster` in memory. What is sent is encoded and decoded as on a wire. */
export const memoryCluster = ({ shardsPerGroup = 300 }: { readonly shardsPerGroup?: number | undefined } = {}) =>
  onRealClock(
    Sharding.layer.pipe(
      Layer.provide(Runners.layerNoop),
      Layer.provideMerge(MessageStorage.layerMemory),
      Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
      Layer.provide(ShardingConfig.layer({
        shardsPerGroup,
        preemptiveShutdown: false,
        entityTerminationTimeout: "1 second",
        sendRetryInterval: 5
      }))
    )
  )

/** What a test makes of the exchanges of a client: it may hold them or their answers, change them, or let them fail. */
export interface Wire {
  pass: (exchange: Exchange, send: Effect.Effect<Exchanged, unknown>) => Effect.Effect<Exchanged, unknown>
}

export const straight: Wire["pass"] = (_exchange, send) => send

/** The engine for a client whose exchanges go through `wire`. */
export const wired = (wire: Wire) => {
  const around = <A extends object>(client: A): A =>
    new Proxy(client, {
      get: (target, name): unknown => {
        const call: unknown = Reflect.get(target, name)
        return name === "Exchange" && Predicate.isFunction(call)
          ? (exchange: Exchange) => Effect.suspend(() => wire.pass(exchange, call(exchange)))
          : call
      }
    })
  return Layer.effect(
    Sharding.Sharding,
    Effect.map(Sharding.Sharding, (sharding) =>
      Sharding.Sharding.of({
        ...sharding,
        makeClient: (entity) =>
          Effect.map(sharding.makeClient(entity), (clientOf) => (entityId) => around(clientOf(entityId)))
      }))
  )
}

const open = new Set<TaskManager["Type"]>()
const countOpen = Layer.scopedDiscard(
  Effect.flatMap(TaskManager, (manager) =>
    Effect.acquireRelease(
      Effect.sync(() => open.add(manager)),
      () => Effect.sync(() => open.delete(manager))
    ))
)

/** Lets every fiber run until it waits for something outside of this process. */
export const rested: Effect.Effect<void> = Effect.promise(async () => {
  for (let round = 0; round < 12; round++) await new Promise((resume) => void setImmediate(resume))
})

/** Lets every fiber run until it waits, and not for the wire or a database. */
export const settled: Effect.Effect<void> = Effect.zipRight(
  rested,
  Effect.suspend(() =>
    pendingStatements() === 0 && [...open].every((manager) => quietness.get(manager)?.() ?? true)
      ? Effect.void
      : Effect.zipRight(Effect.sleep(1), settled)
  )
)

/** A runner and a client on a database of their own. */
export const oneProcess = (
  options: ClusterRunnerOptions,
  sql: () => Layer.Layer<SqlClient.SqlClient> = sqliteLayer
) =>
  Layer.unwrapEffect(Effect.sync(() => {
    const { groups } = options
    // closed from the last to the first: the client hears how the runner ends
    const client = Layer.provideMerge(countOpen, TaskManagerCluster.layer({ groups, patience: "4 seconds" }))
    return TaskManagerCluster.runner({ lease: "1 day", shutdown: "cancel", maxIdleTime: "1 day", ...options }).pipe(
      Layer.provideMerge(client),
      Layer.provide(memoryCluster()),
      Layer.provide(sql())
    )
  }))
