/** Work on two real runners, one fault in the middle of it, and what came of it. */
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Option } from "effect"
import {
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId,
  TurnTaskUpdate
} from "effect-task-manager"
import type { PostgresServer } from "../../support/postgres.js"
import { Cluster } from "./Cluster.js"
import { type Fault, Struck } from "./Struck.js"

export interface Outcome {
  readonly started: number
  /** Tasks of which one result came, and more than one. */
  readonly results: number
  readonly doubled: number
  /** Results that say that it is not known whether the tool had effects. */
  readonly unknown: number
  /** Tools that must not run twice, and did. */
  readonly forbidden: number
  /** Tools that ran to their end after their group had been taken over, and whose result was told. */
  readonly zombiesTold: number
  /** From the fault to the first thing that the other runner did of it, in milliseconds; undefined if nothing had to move. */
  readonly takeover: number | undefined
}

let schemas = 0

/** A database of its own. */
export const inSchema = async (server: PostgresServer) => {
  const schema = `cluster_${process.pid}_${++schemas}`
  await Effect.runPromise(
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(`create schema ${schema}`)).pipe(
      Effect.provide(PgClient.layer({ url: server.url() })),
      Effect.scoped
    )
  )
  return server.url(schema)
}

export const runChaos = async (
  server: PostgresServer,
  fault: Fault,
  options: { readonly tasks?: number; readonly millis?: number; readonly patience?: number } = {}
): Promise<Outcome> => {
  const { millis = 3_000, patience = 60_000, tasks = 24 } = options
  const cluster = await Cluster.make(await inSchema(server))
  const struck = await Struck.start(cluster, server)
  try {
    const all = Array.from({ length: tasks }, (_, index) => index)
    const nameOf = (index: number) => TaskId.make(`task-${index}`)
    const turnOf = (index: number) => ({ sessionId: SessionId.make(`session-${index}`), turnId: TurnId.make("turn") })
    const got = new Map<string, number>()
    let unknown = 0
    const doneBy = new Map<string, string>()
    let firstUnknownAt = Infinity
    const count = (update: TurnTaskUpdate) => {
      const part = Option.getOrThrow(TurnTaskUpdate.resultOf(update))
      const id = update._tag === "Resolution" && update.resolution._tag === "Item" ? update.resolution.taskId : ""
      got.set(id, (got.get(id) ?? 0) + 1)
      const text = part.output._tag === "Text" ? part.output.text : ""
      if (part.isError) {
        unknown++
        firstUnknownAt = Math.min(firstUnknownAt, Date.now())
      } else doneBy.set(id, text)
    }

    const work = Effect.gen(function*() {
      const manager = yield* TaskManager
      const start = (index: number) =>
        manager.startTask(TaskLaunchRequest.plain({
          taskId: nameOf(index),
          request: {
            ...turnOf(index),
            callId: ToolCallId.make(`call-${index}`),
            toolName: index % 2 === 0 ? "once" : "again",
            input: { millis },
            metadata: {}
          }
        }))
      yield* Effect.forEach(all, start, { concurrency: "unbounded", discard: true })
      yield* Effect.sleep(500)
      const struckAt = Date.now()
      const striking = yield* Effect.fork(Effect.promise(() => struck.strike(fault, 20_000)))
      // while it strikes, calls are accepted as well
      const during = all.map((index) => tasks + index)
      yield* Effect.forEach(during, start, { concurrency: "unbounded", discard: true })
      yield* Effect.forEach([...all, ...during], (index) =>
        Effect.gen(function*() {
          for (;;) {
            const update = yield* manager.waitForTurn(turnOf(index))
            if (Option.isNone(update)) return
            count(update.value)
          }
        }), { concurrency: "unbounded", discard: true })
      yield* striking
      // what a zombie still says would be here
      for (const index of [...all, ...during]) {
        const late = yield* manager.waitForTurn(turnOf(index))
        if (Option.isSome(late)) count(late.value)
      }
      return struckAt
    })
    const struckAt = await Effect.runPromise(
      work.pipe(
        Effect.provide([cluster.client({ patience }), ToolExecutor.fromHandlers({})]),
        Effect.scoped
      )
    )
    const begun = cluster.lines().filter(({ what }) => what === "begin")
    const isOnce = (task: string) => Number(task.replace("task-", "")) % 2 === 0
    const onceRuns = new Map<string, number>()
    for (const { task } of begun) if (isOnce(task)) onceRuns.set(task, (onceRuns.get(task) ?? 0) + 1)
    const moved = Math.min(firstUnknownAt, ...begun.filter(({ launch }) => launch > 1).map(({ at }) => at))
    const lastLaunch = new Map<string, string>()
    for (const { runner, task } of begun) lastLaunch.set(task, runner)
    return {
      started: 2 * tasks,
      results: got.size,
      doubled: [...got.values()].filter((times) => times > 1).length,
      unknown,
      forbidden: [...onceRuns.values()].filter((times) => times > 1).length,
      zombiesTold: [...doneBy].filter(([task, text]) => text !== `done by ${lastLaunch.get(task)}`).length,
      takeover: moved === Infinity ? undefined : moved - struckAt
    }
  } finally {
    await cluster.remove()
    await struck.close()
  }
}
