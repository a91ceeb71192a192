/** Measures what the program goes by, on this machine: Linux, for the processor time is read from /proc. */
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Effect, Exit, Layer, Logger, LogLevel, Option, Scope } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { parentOf, processorMillis, serverProcesses } from "../../bench/processorTime.js"
import { spread } from "../../bench/stats.js"
import { Cluster } from "../../test/cluster/processes/Cluster.js"
import { type PostgresServer, startPostgres } from "../../test/support/postgres.js"
import type { Inputs } from "./inputs.js"

const ownMillis = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1_000
}

const Tools = ToolExecutor.fromHandlers({ echo: () => Effect.succeed("done"), park: () => Effect.never })

const start = (manager: TaskManager["Type"], name: string, toolName: string) =>
  manager.startTask(TaskLaunchRequest.plain({
    request: {
      sessionId: SessionId.make(`session-${name.length}-${name.at(-1)}`),
      turnId: TurnId.make(name),
      callId: ToolCallId.make(name),
      toolName,
      input: "x",
      metadata: {}
    }
  }))

const lifecycles = (manager: TaskManager["Type"], round: string, count: number, concurrency: number) =>
  Effect.forEach(Array.from({ length: count }, (_, index) => `${round}-${index}`), (name) =>
    Effect.gen(function*() {
      yield* start(manager, name, "echo")
      const turn = { sessionId: SessionId.make(`session-${name.length}-${name.at(-1)}`), turnId: TurnId.make(name) }
      if (Option.isNone(yield* manager.waitForTurn(turn))) return yield* Effect.dieMessage(`${name} has no result`)
    }), { concurrency, discard: true })

const run = <A>(effect: Effect.Effect<A, unknown, ToolExecutor | Scope.Scope>): Promise<A> =>
  Effect.runPromise(
    effect.pipe(Effect.provide(Tools), Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error), Effect.orDie)
  )

/** How long the disk takes for a page. */
const disk = (): number => {
  const folder = mkdtempSync(join(tmpdir(), "scale-"))
  const file = openSync(join(folder, "pages"), "w")
  const page = new Uint8Array(8_192)
  const times = Array.from({ length: 200 }, () => {
    const begun = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    return performance.now() - begun
  })
  closeSync(file)
  rmSync(folder, { recursive: true })
  return spread(times).median
}

/** The processor time of the database for a transaction and for a row: two runs, one with small groups and one with large ones. */
const writing = (server: PostgresServer, serverPids: () => ReadonlyArray<number>) =>
  run(Effect.gen(function*() {
    const context = yield* Layer.build(
      TaskManagerDurable.layer({ name: "writing" }).pipe(
        Layer.provide(Tools),
        Layer.provide(PgClient.layer({ url: server.url() }))
      )
    )
    const manager = Context.get(context, TaskManager)
    const journal = Context.get(context, TaskJournal)
    const measured = (count: number, concurrency: number) =>
      Effect.gen(function*() {
        const before = yield* journal.status
        const millis = processorMillis(serverPids())
        yield* lifecycles(manager, `at-${concurrency}`, count, concurrency)
        const after = yield* journal.status
        return {
          millis: processorMillis(serverPids()) - millis,
          groups: after.groups - before.groups,
          rows: after.rows - before.rows
        }
      })
    yield* lifecycles(manager, "warm", 500, 64)
    const small = yield* measured(1_500, 1)
    const large = yield* measured(8_000, 512)
    const perRow = (large.millis * small.groups - small.millis * large.groups) /
      (large.rows * small.groups - small.rows * large.groups)
    return { perRow, perGroup: (small.millis - perRow * small.rows) / small.groups }
  }))

/** What a group takes that is open and has nothing to do. */
const openGroups = (server: PostgresServer): Promise<number> => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  const count = 64
  return run(Effect.gen(function*() {
    const sql = yield* Layer.build(PgClient.layer({ url: server.url() }))
    const open = (name: string) =>
      Layer.build(Layer.provide(TaskManagerDurable.layer({ name }), [Layer.succeedContext(sql), Tools]))
    yield* open("first")
    collect()
    const before = process.memoryUsage().heapUsed
    yield* Effect.forEach(Array.from({ length: count }), (_, index) => open(`idle-${index}`))
    collect()
    return (process.memoryUsage().heapUsed - before) / count
  }))
}

/** How long a group with live tasks takes to be opened, for each of them. */
const opening = (server: PostgresServer): Promise<number> =>
  run(Effect.gen(function*() {
    const sql = yield* Layer.build(PgClient.layer({ url: server.url() }))
    const open = (scope: Scope.Scope, name: string) =>
      Layer.buildWithScope(
        Layer.provide(TaskManagerDurable.layer({ name, shutdown: "keep", onInterrupted: () => "Repeat" }), [
          Layer.succeedContext(sql),
          Tools
        ]),
        scope
      )
    const timed = (name: string, tasks: number) =>
      Effect.gen(function*() {
        const before = yield* Scope.make()
        const manager = Context.get(yield* open(before, name), TaskManager)
        yield* Effect.forEach(
          Array.from({ length: tasks }, (_, index) => `parked-${index}`),
          (id) => start(manager, id, "park"),
          { concurrency: 256, discard: true }
        )
        yield* Scope.close(before, Exit.void)
        const after = yield* Scope.make()
        const begun = performance.now()
        yield* open(after, name)
        const millis = performance.now() - begun
        yield* Scope.close(after, Exit.void)
        return millis
      })
    const tasks = 2_000
    const empty = yield* timed("empty", 0)
    return Math.max(0, (yield* timed("full", tasks)) - empty) / tasks
  }))

export const measure = async (): Promise<Inputs> => {
  const server = await startPostgres()
  const cluster = await Cluster.make(server.url())
  const ask = <Row extends object>(statement: string) =>
    run(
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<Row>(statement)).pipe(
        Effect.provide(PgClient.layer({ url: server.url() })),
        Effect.map(([row]) => row)
      )
    )
  try {
    // the server is the parent of the process of a connection
    const found = await run(
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<{ pid: number }>("select pg_backend_pid() as pid")).pipe(
        Effect.map(([row]) => parentOf(row?.pid ?? 0)),
        Effect.provide(PgClient.layer({ url: server.url() }))
      )
    )
    const serverPids = () => serverProcesses(found)
    const { perGroup, perRow } = await writing(server, serverPids)
    const bytesPerOpenGroup = await openGroups(server)
    const openingMillisPerRow = await opening(server)

    const first = await cluster.start("first")
    const second = await cluster.start("second")
    await cluster.shared(2)
    const committed = "select xact_commit as count from pg_stat_database where datname = 'postgres'"
    const commits = async () => Number((await ask<{ count: unknown }>(committed))?.count)
    const idleSeconds = 15
    const idleBefore = { commits: await commits(), millis: processorMillis(serverPids()) }
    await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1_000))
    const idle = {
      commits: (await commits()) - idleBefore.commits,
      millis: processorMillis(serverPids()) - idleBefore.millis
    }

    const runners = [first.process.pid ?? 0, second.process.pid ?? 0]
    const written = "select n_tup_ins + n_tup_upd as count from pg_stat_user_tables where relname = 'etm_tasks'"
    const rowsOf = async () => Number((await ask<{ count: unknown }>(written))?.count)
    const count = 1_500
    const spent = await run(
      Effect.gen(function*() {
        const manager = yield* TaskManager
        yield* lifecycles(manager, "warm", 200, 32)
        // the statistics of a connection come a second later
        yield* Effect.sleep("2 seconds")
        const before = { runners: processorMillis(runners), own: ownMillis(), rows: yield* Effect.promise(rowsOf) }
        yield* lifecycles(manager, "work", count, 32)
        const own = ownMillis() - before.own
        const ofRunners = processorMillis(runners) - before.runners
        yield* Effect.sleep("2 seconds")
        return { own, runners: ofRunners, rows: (yield* Effect.promise(rowsOf)) - before.rows }
      }).pipe(Effect.provide(cluster.client({ patience: 300_000 })))
    )
    const size = await ask<{ bytes: unknown }>(
      "select pg_total_relation_size('etm_tasks') / (select count(*) from etm_tasks) as bytes"
    )
    const [processor] = cpus()
    return {
      machine: `${processor?.model.trim() ?? "?"}, ${cpus().length} cores, load ${
        loadavg()[0]?.toFixed(0)
      }, Node ${process.versions.node}, Postgres 18, ${new Date().toISOString().slice(0, 10)}`,
      serverMillisPerTransaction: perGroup,
      serverMillisPerRow: perRow,
      diskMillis: disk(),
      rowsPerLifecycle: spent.rows / count,
      runnerMillisPerLifecycle: spent.runners / count,
      clientMillisPerLifecycle: spent.own / count,
      idleTransactionsPerRunner: idle.commits / idleSeconds / 2,
      idleServerMillisPerRunner: idle.millis / idleSeconds / 2,
      bytesPerTask: Number(size?.bytes),
      bytesPerOpenGroup,
      openingMillisPerRow
    }
  } finally {
    await cluster.remove()
    await server.stop()
  }
}
