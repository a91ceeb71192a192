/** Whole lives of durable tasks: accepted, run, settled and consumed, so many in flight at a time. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { Effect, Layer, type Scope } from "effect"
import {
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  ToolCallId,
  ToolExecutor,
  ToolOutput,
  type ToolRequest,
  TurnId
} from "effect-task-manager"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { inParallel, type RunJobs } from "./parallel.js"

const text = "what the tool has found ".repeat(4)

const executor = ToolExecutor.fromHandlers({ work: () => Effect.succeed(ToolOutput.Text({ text })) })

/** Each job is the one call of a turn, whose result is consumed by a caller that waits for it. */
const jobsOf = <E>(layer: Layer.Layer<TaskManager | ToolExecutor, E>): Effect.Effect<RunJobs, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.orDie(Layer.build(layer))
    const manager = yield* Effect.provide(TaskManager, context)
    let turns = 0
    const one = Effect.suspend(() => {
      const request: ToolRequest = {
        sessionId: SessionId.make("bench"),
        turnId: TurnId.make(`turn-${turns++}`),
        callId: ToolCallId.make("call"),
        toolName: "work",
        input: { path: "src/index.ts" },
        metadata: {}
      }
      return Effect.zipRight(
        manager.startTask(TaskLaunchRequest.plain({ request })),
        Effect.filterOrDieMessage(
          manager.consumeTurnUpdate(request, () => Effect.void),
          (consumed) => consumed._tag === "Some",
          "a result was lost"
        )
      )
    })
    return (count) => inParallel(count, () => one).pipe(Effect.provide(context), Effect.orDie)
  })

/** On a durable manager. */
export const durableJobs = (sql: Layer.Layer<SqlClient.SqlClient, SqlError>) =>
  jobsOf(TaskManagerDurable.layer({ name: "bench" }).pipe(Layer.provideMerge(executor), Layer.provide(sql)))

/** On a manager in memory. */
export const inMemoryJobs = jobsOf(Layer.provideMerge(TaskManagerLive, executor))
