/** A runner with conversations as a process of its own: what its tools do is in its log, one line each. */
import { Tool, Toolkit } from "@effect/ai"
import { NodeClusterSocket, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Logger, LogLevel, Redacted, Schema } from "effect"
import { CurrentTask } from "effect-task-manager"
import { ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { AgentCluster } from "effect-task-manager/ai/cluster"
import { type ScriptedReply, ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { clusterShardingConfig, clusterSqlClient } from "effect-task-manager/cluster"
import { appendFileSync } from "node:fs"
import type { RunnerJob } from "./child.js"

// given by the test that starts it
const job = JSON.parse(process.argv[2] ?? "") as RunnerJob
const say = (line: string) => appendFileSync(job.log, `${Date.now()} ${job.name} ${line}\n`)

const { Text, ToolCall } = ScriptedStep

const tool = (name: string) => Tool.make(name, { success: Schema.String, dependencies: [CurrentTask] })

/** `read` may run twice, `write` may not, `later` runs in the background and wakes the model. */
const toolkit = Toolkit.make(
  tool("read").annotate(Tool.Readonly, true),
  tool("write"),
  tool("later").annotate(ToolAnnotations.Background, true)
)

const run = (millis: number) =>
  Effect.flatMap(CurrentTask, ({ epoch, launch, taskId }) => {
    const of = `${taskId} ${launch} ${epoch}`
    return Effect.sync(() => say(`begin ${of}`)).pipe(
      Effect.zipRight(Effect.sleep(millis * (job.slowness ?? 1))),
      Effect.zipRight(Effect.sync(() => say(`end ${of}`))),
      Effect.as(`done by ${job.name}`)
    )
  })

/** Knows nothing but what it is shown: a runner that goes on with a conversation asks it the same. */
const plan: ScriptedReply = ({ prompt }) => {
  switch (prompt.content.filter(({ role }) => role === "assistant").length) {
    case 0:
      return [ToolCall("read", {}), ToolCall("write", {}), ToolCall("later", {})]
    case 1:
      return [ToolCall("write", {}), ToolCall("read", {})]
    default:
      return [Text("Done.")]
  }
}

const sqlOf = (maxConnections: number) => PgClient.layer({ url: Redacted.make(job.url), maxConnections })

const Cluster = NodeClusterSocket.layer({
  storage: "sql",
  shardingConfig: clusterShardingConfig({ host: "127.0.0.1", port: job.port, listenPort: job.listenPort })
}).pipe(Layer.provide(clusterSqlClient), Layer.provide(sqlOf(3)))

const Runner = AgentCluster.runner(toolkit, { groups: job.groups }).pipe(
  Layer.provide(ToolkitExecutor.layer(toolkit)),
  Layer.provide(toolkit.toLayer({ read: () => run(1_500), write: () => run(1_500), later: () => run(2_500) })),
  Layer.provide(TestLanguageModel.layer([], { otherwise: plan })),
  Layer.provide(Cluster),
  Layer.provide(sqlOf(8))
)

NodeRuntime.runMain(
  Layer.build(Runner).pipe(
    Effect.zipRight(Effect.sync(() => say("ready"))),
    Effect.zipRight(Effect.never),
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Error),
    Effect.orDie
  )
)
