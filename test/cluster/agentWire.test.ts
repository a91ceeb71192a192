/** Conversations over real sockets: what a message there does to halves of characters, and how large it may be. */
import { Tool, Toolkit } from "@effect/ai"
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, Option, Queue, Schema, Stream } from "effect"
import { CurrentTask, SessionId } from "effect-task-manager"
import { AgentLoop, ToolAnnotations, ToolkitExecutor, type Transcript } from "effect-task-manager/ai"
import { AgentCluster } from "effect-task-manager/ai/cluster"
import { ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { ClusterError, clusterShardingConfig, clusterSqlClient } from "effect-task-manager/cluster"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { freePort } from "./processes/Cluster.js"

const { Text, ToolCall } = ScriptedStep

const toolkit = Toolkit.make(
  Tool.make("ask", { success: Schema.String }).annotate(ToolAnnotations.NeedsApproval, true),
  Tool.make("listen", { success: Schema.String, dependencies: [CurrentTask] })
)
const Handlers = toolkit.toLayer({
  ask: () => Effect.succeed("asked"),
  listen: () => Effect.flatMap(CurrentTask, ({ messages }) => Effect.map(Stream.runHead(messages), Option.getOrThrow))
})

const groups = 2

describe("over a real socket", () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  const sql = () => Layer.fresh(PgClient.layer({ url: server.url(), maxConnections: 4 }))
  const engine = (port?: number) =>
    NodeClusterSocket.layer({
      ...(port === undefined ? { clientOnly: true } : undefined),
      storage: "sql",
      shardingConfig: clusterShardingConfig(port === undefined ? undefined : { host: "127.0.0.1", port })
    }).pipe(Layer.provide(clusterSqlClient), Layer.provide(sql()), Layer.orDie)

  /** A runner, and the loop of a client. */
  const loopOf = (model: Parameters<typeof TestLanguageModel.layer>[0]) =>
    Effect.gen(function*() {
      const port = yield* Effect.promise(freePort)
      const runner = AgentCluster.runner(toolkit, { groups, shutdown: "cancel" }).pipe(
        Layer.provide([engine(port), sql()]),
        Layer.provide(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
        Layer.provide(TestLanguageModel.layer(model, { otherwise: [Text("ok")] }))
      )
      yield* Layer.build(runner)
      const client = AgentCluster.layer({ groups }).pipe(Layer.provide([engine(), sql()]))
      return Context.get(yield* Layer.build(client), AgentLoop)
    })

  const saidIn = ({ entries }: Transcript) =>
    entries.flatMap((entry) => entry._tag === "UserMessage" ? entry.content : [])

  it.scopedLive("one U+FFFD is in the place of each half of a character", () =>
    Effect.gen(function*() {
      const loop = yield* loopOf([[ToolCall("listen", {})], [ToolCall("ask", {})]])
      const session = yield* loop.open({ sessionId: SessionId.make("halves") })
      const events = yield* session.subscribe
      yield* session.submit([
        { _tag: "Text", text: "a\ud800b 😀" },
        { _tag: "File", mediaType: "text/plain", data: "x\udc00", fileName: "f\ud800" }
      ])
      const { taskId } = yield* Queue.take(events).pipe(
        Effect.map((event) => event._tag === "Task" && event.event._tag === "Started" ? event.event : undefined),
        Effect.repeat({ until: (started) => started !== undefined }),
        Effect.flatMap(Effect.fromNullable)
      )
      yield* session.steer(taskId, "lou\ud800der").pipe(
        Effect.retry({ while: ({ _tag }) => _tag === "TaskDoesNotListen" })
      )
      const asked = yield* Queue.take(events).pipe(
        Effect.map((event) => event._tag === "ApprovalRequested" ? event.approval : undefined),
        Effect.repeat({ until: (approval) => approval !== undefined }),
        Effect.flatMap(Effect.fromNullable)
      )
      yield* session.reject(asked, "not\udc00now")
      yield* session.waitForIdle
      const transcript = yield* session.transcript
      assert.deepStrictEqual(saidIn(transcript), [
        { _tag: "Text", text: "a\ufffdb 😀" },
        { _tag: "File", mediaType: "text/plain", data: "x\ufffd", fileName: "f\ufffd" }
      ])
      const text = JSON.stringify(transcript.entries)
      assert.include(text, "lou\ufffdder")
      assert.include(text, "not\ufffdnow")
    }), 60_000)

  it.scopedLive(
    "a conversation of more than a message takes is read, and a call of more is refused at once",
    () =>
      Effect.gen(function*() {
        const long = "r".repeat(6_000_000)
        const loop = yield* loopOf([[Text(long)]])
        const session = yield* loop.open({ sessionId: SessionId.make("large") })
        const events = yield* session.subscribe
        const said = ["a", "b", "c"].map((letter) => letter.repeat(6_000_000))
        yield* session.submit(said[0] ?? "")
        let streamed = ""
        yield* Queue.take(events).pipe(
          Effect.tap((event) =>
            Effect.sync(() => {
              if (event._tag === "TextDelta") streamed += event.delta
            })
          ),
          Effect.repeat({ until: ({ _tag }) => _tag === "TurnEnded" })
        )
        assert.isTrue(streamed === long, "what the model says is told")
        for (const text of said.slice(1)) yield* session.submit(text)
        yield* session.waitForIdle
        const transcript = yield* session.transcript
        assert.isTrue(
          JSON.stringify(saidIn(transcript)) === JSON.stringify(said.map((text) => ({ _tag: "Text", text }))),
          "what was said can be read"
        )
        const { sessions } = loop.store
        if (sessions === undefined) return assert.fail("a cluster keeps sessions")
        assert.isTrue(
          JSON.stringify((yield* sessions.read(session.sessionId)).entries) === JSON.stringify(transcript.entries)
        )
        const cause = yield* Effect.flip(Effect.sandbox(session.submit("y".repeat(17_000_000))))
        const died = Cause.squash(cause)
        if (!(died instanceof ClusterError)) return assert.fail(Cause.pretty(cause))
        assert.strictEqual(died.reason, "TooLarge")
        assert.include(
          died.detail,
          "A client sends at most 15728640 bytes to a runner in one call, and this one (Submit)"
        )
        yield* Stream.runDrain(session.run("it goes on"))
      }),
    60_000
  )
})
