import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startPostgres } from "../../test/support/postgres.js"
import { sqliteLayer } from "../../test/support/sqlite.js"
import { floorJobs } from "../durable/floor.js"
import { durableJobs, inMemoryJobs } from "../durable/lifecycles.js"
import { inFlight, type RunJobs } from "../durable/parallel.js"
import { pgBossJobs } from "../durable/pgBoss.js"
import { dbosJobs, graphileJobs } from "../durable/queues.js"
import { alternate } from "../measuring.js"
import { spread } from "../stats.js"
import { atMost, type Target, type TargetResult } from "./Target.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "etm-bench-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** How many jobs a second: what waits for a disk or a server takes time, and none of the processor's. */
const rate = (count: number, millis: number): number => Math.round(count / millis * 1_000)

const compare = (
  what: string,
  options: { readonly base: RunJobs; readonly contender: RunJobs; readonly target: number | undefined },
  { count, rounds }: { readonly count: number; readonly rounds: number }
): Effect.Effect<TargetResult> =>
  Effect.map(
    alternate({ rounds, warmups: 1 }, options.base(count), options.contender(count)),
    (times) => ({
      what,
      measured: spread(times.map(({ base, contender }) => contender.wall / base.wall)),
      unit: "ratio",
      target: options.target === undefined ? undefined : atMost(options.target),
      note: `${rate(count, spread(times.map(({ contender }) => contender.wall)).median)} and ${
        rate(count, spread(times.map(({ base }) => base.wall)).median)
      } a second`
    })
  )

/** Beside three grouped writes of a row, on SQLite that outlives a loss of power. */
const onSqlite = (quick: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const path = yield* folder
    const contender = yield* durableJobs(sqliteLayer({ filename: join(path, "tasks.db") }))
    const floor = yield* Layer.build(sqliteLayer({ filename: join(path, "floor.db") }))
    const base = yield* Effect.provide(floorJobs, floor)
    const inMemory = yield* inMemoryJobs
    const size = quick ? { count: 4_096, rounds: 3 } : { count: 8_192, rounds: 9 }
    const floorOf = (what: string) => `${what}, ${inFlight} in flight / three grouped writes of its row`
    return [
      yield* compare(floorOf("durable lifecycle on SQLite"), { base, contender, target: 2 }, size),
      // what a lifecycle costs before anything is written
      yield* compare(floorOf("the same lifecycle in memory"), { base, contender: inMemory, target: undefined }, size)
    ]
  }))

const queues = [
  { name: "pg-boss, a job sent and completed", make: pgBossJobs, target: 1 / 5 },
  { name: "graphile-worker, a job added and completed", make: graphileJobs, target: 1 / 5 },
  { name: "DBOS, a workflow of one step", make: dbosJobs, target: 1 / 10 }
]

/** Beside what runs jobs on the same Postgres, one after the other, so that nobody polls while another one is timed. */
const onPostgres = (quick: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.promise(startPostgres),
      ({ stop }) => Effect.promise(stop)
    )
    const url = server.url()
    const contender = yield* durableJobs(Layer.orDie(PgClient.layer({ url, maxConnections: 20 })))
    return yield* Effect.forEach(queues, ({ make, name, target }) =>
      Effect.scoped(Effect.flatMap(make(url), (base) =>
        compare(
          `durable lifecycle on Postgres, ${inFlight} in flight / ${name}`,
          { base, contender, target },
          quick ? { count: 1_024, rounds: 3 } : { count: 4_096, rounds: 5 }
        ))))
  }))

/** What it costs that a task outlives its process. */
export const durable: Target = {
  name: "durable",
  measure: (quick) =>
    Effect.gen(function*() {
      return [...yield* onSqlite(quick), ...yield* onPostgres(quick)]
    })
}
