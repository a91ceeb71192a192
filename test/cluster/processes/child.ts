/** A runner of a cluster as a process of its own: what its tools do is in its log, one line each. */
import { NodeClusterSocket, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Logger, LogLevel, Redacted } from "effect"
import { CurrentTask, RoutingDecision, RoutingPolicy, ToolExecutor } from "effect-task-manager"
import { clusterShardingConfig, clusterSqlClient, TaskManagerCluster } from "effect-task-manager/cluster"
import { appendFileSync } from "node:fs"

export interface RunnerJob {
  readonly name: string
  readonly url: string
  /** Where others reach it, and where it listens: a proxy may be between the two. */
  readonly port: number
  readonly listenPort: number
  readonly groups: number
  readonly log: string
  /** Whether it is taken for dead after a minute only: where it shares the processor with much else. */
  readonly isPatient?: boolean
  /** How many times as long the tools of conversations take. */
  readonly slowness?: number
}

// given by the test that starts it
const job = JSON.parse(process.argv[2] ?? "") as RunnerJob
const realNow = Date.now
const say = (line: string) => appendFileSync(job.log, `${realNow()} ${job.name} ${line}\n`)

// the clock of this process goes ten minutes forward, and two seconds later twenty back
let shift = 0
Date.now = () => realNow() + shift
process.on("SIGUSR2", () => {
  shift = 600_000
  setTimeout(() => {
    shift = -600_000
  }, 2_000)
})

const millisOf = (input: unknown): number => Number(Reflect.get(Object(input), "millis"))

const tool = Effect.flatMap(CurrentTask, ({ epoch, launch, request, taskId }) => {
  const of = `${taskId} ${launch} ${epoch}`
  return Effect.sync(() => say(`begin ${of}`)).pipe(
    Effect.zipRight(Effect.sleep(millisOf(request.input))),
    Effect.zipRight(Effect.sync(() => say(`end ${of}`))),
    Effect.as(`done by ${job.name}`)
  )
})

const Tools = ToolExecutor.fromHandlers({
  echo: ({ input }) => Effect.succeed(String(input)),
  once: () => tool,
  again: () => tool
})

const sqlOf = (maxConnections: number) => PgClient.layer({ url: Redacted.make(job.url), maxConnections })

const patient = {
  shardLockRefreshInterval: "10 seconds",
  shardLockExpiration: "1 minute",
  runnerHealthCheckInterval: "1 minute"
} as const

// with connections of its own: it must not wait behind the work of tasks to keep its shards
const Cluster = NodeClusterSocket.layer({
  storage: "sql",
  shardingConfig: {
    ...clusterShardingConfig({ host: "127.0.0.1", port: job.port, listenPort: job.listenPort }),
    ...(job.isPatient === true ? patient : undefined)
  }
}).pipe(Layer.provide(clusterSqlClient), Layer.provide(sqlOf(3)))

const Runner = TaskManagerCluster.runner({
  groups: job.groups,
  ...(job.isPatient === true ? { lease: "1 minute" } : undefined),
  onInterrupted: ({ toolName }) => toolName === "again" ? "Repeat" : "Fail"
}).pipe(
  Layer.provide(Tools),
  Layer.provide(
    RoutingPolicy.layer(({ metadata }) =>
      metadata["how"] === "background" ? RoutingDecision.Background() : RoutingDecision.Foreground()
    )
  ),
  Layer.provide(Cluster),
  Layer.provide(sqlOf(8))
)

NodeRuntime.runMain(
  Layer.build(Runner).pipe(
    Effect.zipRight(Effect.sync(() => say("ready"))),
    Effect.zipRight(Effect.never),
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Warning),
    Effect.orDie
  )
)
