/** Versions that meet on one database: what a runner can read it goes on with, and what it cannot it refuses by name. */
import { Tool, Toolkit } from "@effect/ai"
import { SqlClient } from "@effect/sql"
import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, LogLevel, Option, Schema, Stream } from "effect"
import {
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { AgentLoop, ToolkitExecutor } from "effect-task-manager/ai"
import { AgentCluster } from "effect-task-manager/ai/cluster"
import { ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { ClusterError, TaskManagerCluster } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { hashOf } from "../../src/cluster/internal/Connection.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

const toolkit = Toolkit.make(Tool.make("quick", { success: Schema.String }))

const turnOf = (session: string) => ({ sessionId: SessionId.make(session), turnId: TurnId.make("turn") })

const start = (name: string, toolName: string, session = "session") =>
  Effect.flatMap(TaskManager, ({ startTask }) =>
    startTask(TaskLaunchRequest.plain({
      taskId: TaskId.make(name),
      request: { ...turnOf(session), callId: ToolCallId.make(name), toolName, input: {}, metadata: {} }
    })))

/** Whoever has the journals is fenced, and opens them again. */
const openAgain = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`update etm_managers set epoch = epoch + 1, owner = 'nobody', lease_until = 0`
)

const worldOf = (groups: number) =>
  TaskManagerCluster.runner({ groups, lease: "300 millis", maxIdleTime: "1 day" }).pipe(
    Layer.provideMerge(TaskManagerCluster.layer({ groups, patience: "2 seconds" })),
    Layer.provide(memoryCluster()),
    Layer.provideMerge(sqliteLayer()),
    Layer.provideMerge(ToolExecutor.fromHandlers({ park: () => Effect.never, quick: () => Effect.succeed("done") }))
  )

/** The error that a caller dies with. */
const diesWith = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<ClusterError, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
    return defect instanceof ClusterError ? defect : assert.fail(String(exit))
  })

describe("a row that a later version has written", () => {
  const faults = {
    "a task": ["update etm_tasks set version = 99 where settled is null", "update etm_tasks set version = 1"],
    "the tables": [
      "insert into etm_migrations (migration_id, name) values (99, 'of_a_later_version')",
      "delete from etm_migrations where migration_id = 99"
    ]
  } as const
  for (const [what, [breaks, mends]] of Object.entries(faults)) {
    it.live(
      `${what}: a call to its group says so by name, and is answered once a runner can read it`,
      () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* start("parked", "park")
          yield* sql.unsafe(breaks)
          yield* openAgain
          let count = 0
          // answered until the journal is lost, by one that has read the row before
          const error = yield* diesWith(Effect.forever(Effect.suspend(() => start(`task-${++count}`, "quick"))))
          assert.strictEqual(error.reason, "Version", error.detail)
          assert.match(
            error.detail,
            what === "a task" ? /version 99 of a row is not known \(task "parked"/ : /database of a later version/
          )
          yield* sql.unsafe(mends)
          yield* start("after", "quick")
          const { handle } = yield* TaskManager
          assert.strictEqual((yield* handle.get(TaskId.make("parked"))).status, "Failed")
        }).pipe(
          Effect.scoped,
          Effect.provide(worldOf(1)),
          Logger.withMinimumLogLevel(LogLevel.None)
        ),
      20_000
    )
  }

  it.live(
    "of one group: whoever asks it is told so by name, and the other groups of its runner answer",
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const groupOf = (session: string) => hashOf(session) % 2
        const other = Array.from({ length: 16 }, (_, index) => `session-${index}`)
          .find((name) => groupOf(name) !== groupOf("session")) ?? assert.fail("all of them are in one group")
        yield* start("parked", "park")
        yield* start("parked-too", "park", other)
        yield* sql`update etm_tasks set version = 99 where id = 'parked'`
        yield* openAgain
        let count = 0
        const refused = Effect.forever(Effect.suspend(() => start(`task-${++count}`, "quick")))
        let answered = 0
        const others = Effect.suspend(() => start(`other-${answered}`, "quick", other)).pipe(
          Effect.zipRight(Effect.sync(() => answered++)),
          Effect.zipRight(Effect.sleep("5 millis")),
          Effect.forever
        )
        const error = yield* diesWith(Effect.raceFirst(refused, others))
        assert.strictEqual(error.reason, "Version", error.detail)
        const before = answered
        yield* Effect.raceFirst(
          others,
          Effect.repeat(Effect.sleep("5 millis"), { until: () => answered > before })
        )
      }).pipe(
        Effect.scoped,
        Effect.provide(worldOf(2)),
        Logger.withMinimumLogLevel(LogLevel.None)
      ),
    20_000
  )

  it.live("of a conversation: its host is told, and every other one goes on", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const loop = yield* AgentLoop
      const idOf = (name: string) => ({ sessionId: SessionId.make(name) })
      yield* Effect.scoped(Effect.flatMap(loop.open(idOf("one")), (session) => Stream.runDrain(session.run("go"))))
      yield* Effect.scoped(Effect.flatMap(loop.open(idOf("two")), (session) => Stream.runDrain(session.run("go"))))
      yield* sql`update etm_entries set version = 99 where session_id = 'one'`
      yield* openAgain
      // open until the journal is lost
      const refused = yield* Effect.flip(
        Effect.forever(Effect.zipRight(Effect.scoped(loop.open(idOf("one"))), Effect.sleep("10 millis")))
      )
      assert.deepInclude(refused, { _tag: "TranscriptStoreError", reason: "Version" })
      const two = yield* loop.open(idOf("two"))
      yield* Stream.runDrain(two.run("more"))
      yield* sql`update etm_entries set version = 1`
      const one = yield* loop.open(idOf("one"))
      assert.lengthOf((yield* one.transcript).entries, 2)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        AgentCluster.runner(toolkit, { groups: 1, lease: "300 millis", maxIdleTime: "1 day" }).pipe(
          Layer.provideMerge(AgentCluster.layer({ groups: 1, patience: "2 seconds" })),
          Layer.provide(memoryCluster()),
          Layer.provideMerge(sqliteLayer()),
          Layer.provide(ToolkitExecutor.layer(toolkit)),
          Layer.provide([
            toolkit.toLayer({ quick: () => Effect.succeed("done") }),
            TestLanguageModel.layer([], { otherwise: [ScriptedStep.Text("yes")] })
          ])
        )
      ),
      Logger.withMinimumLogLevel(LogLevel.None)
    ))
})
