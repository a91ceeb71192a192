/** What a cluster refuses when it is set up. */
import { SqlClient } from "@effect/sql"
import { it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Logger, LogLevel, Option } from "effect"
import { ToolExecutor } from "effect-task-manager"
import {
  ClusterError,
  type ClusterRunnerOptions,
  clusterShardingConfig,
  TaskManagerCluster
} from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

const Tools = ToolExecutor.fromHandlers({})

/** What no type allows. */
const untyped = (value: unknown) => value as never

describe("the place of a runner", () => {
  for (
    const host of ["127.0.0.1", "::1", "localhost", "10.1.2.3", "172.31.0.1", "192.168.1.1", "fd00::1", "100.64.0.1"]
  ) {
    it(`${host} is private`, () => {
      const { runnerAddress = Option.none() } = clusterShardingConfig({ host, port: 34_431 })
      assert.strictEqual(Option.getOrThrow(runnerAddress).host, host)
    })
  }

  for (
    const host of [
      "0.0.0.0",
      "::",
      "8.8.8.8",
      "172.32.0.1",
      "192.169.0.1",
      "runner.example.com",
      "100.128.0.1",
      "010.0.0.1",
      "10.0.0.999",
      "10.0.1",
      "::ffff:10.0.0.256"
    ]
  ) {
    it(`${host} is refused unless it is allowed`, () => {
      assert.throws(
        () => clusterShardingConfig({ host, port: 34_431 }),
        /clusterShardingConfig: host .*allowPublic: true/
      )
      assert.throws(
        () => clusterShardingConfig({ host: "10.0.0.1", listenHost: host, port: 34_431 }),
        /clusterShardingConfig: listenHost/
      )
      clusterShardingConfig({ host, port: 34_431, allowPublic: true })
    })
  }

  it("a name that others use may listen on a private address", () => {
    const { runnerListenAddress = Option.none() } = clusterShardingConfig({
      host: "runner-1.internal",
      listenHost: "10.0.0.1",
      port: 34_431
    })
    assert.strictEqual(Option.getOrThrow(runnerListenAddress).host, "10.0.0.1")
  })

  it("a port out of range is refused by name", () => {
    assert.throws(
      () => clusterShardingConfig({ host: "127.0.0.1", port: 0 }),
      /clusterShardingConfig: (port|listenPort) takes/
    )
  })

  it("`clusterShardingConfig()` sets no runnerAddress", () => {
    assert.deepStrictEqual(clusterShardingConfig().runnerAddress, Option.none())
  })
})

describe("the layers", () => {
  const layers = { runner: TaskManagerCluster.runner, layer: TaskManagerCluster.layer }
  /** What a runner does not take. */
  const ofRunner = { lease: 99, retention: { settled: -1 }, onInterrupted: 5, executorOf: "x", shutdown: "never" }
  const exitOf = (
    sql: SqlClient.SqlClient,
    side: keyof typeof layers,
    options: ClusterRunnerOptions,
    shardsPerGroup?: number
  ) =>
    Layer.build(layers[side](options)).pipe(
      Effect.provide(Layer.mergeAll(
        memoryCluster({ shardsPerGroup }),
        Tools,
        Layer.succeed(SqlClient.SqlClient, sql)
      )),
      Effect.scoped,
      Effect.exit,
      // the engine says that no runner was there before
      Logger.withMinimumLogLevel(LogLevel.None)
    )
  const withDatabase = <A, E>(use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.flatMap(
      Layer.build(sqliteLayer()),
      (context) => use(Context.get(context, SqlClient.SqlClient))
    ))

  for (const side of ["runner", "layer"] as const) {
    it.live(`${side}: another number of groups is refused by name`, () =>
      withDatabase((sql) =>
        Effect.gen(function*() {
          assert.isTrue(Exit.isSuccess(yield* exitOf(sql, side, { groups: 8 })))
          assert.isTrue(Exit.isSuccess(yield* exitOf(sql, side, { groups: 8 })))
          const exit = yield* exitOf(sql, side, { groups: 9 })
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          assert.isTrue(error instanceof ClusterError && error.reason === "Layout")
          assert.match(String(error), /groups: 8, and this process 9/)
          assert.isTrue(Exit.isSuccess(yield* exitOf(sql, side, { groups: 9, name: "another" })))
        })
      ))

    it.live(`${side}: another shardsPerGroup is refused by name`, () =>
      withDatabase((sql) =>
        Effect.gen(function*() {
          assert.isTrue(Exit.isSuccess(yield* exitOf(sql, side, {}, 300)))
          const exit = yield* exitOf(sql, side, {}, 100)
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          assert.isTrue(error instanceof ClusterError && error.reason === "Layout")
          assert.match(String(error), /shardsPerGroup/)
        })
      ))

    it.live(`${side}: a later version is refused by name`, () =>
      withDatabase((sql) =>
        Effect.gen(function*() {
          assert.isTrue(Exit.isSuccess(yield* exitOf(sql, side, {})))
          yield* sql`update etm_clusters set version = 99`
          const exit = yield* exitOf(sql, side, {})
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          assert.isTrue(error instanceof ClusterError && error.reason === "Version")
        })
      ))

    it.live(`${side}: options out of range name the field`, () =>
      withDatabase((sql) =>
        Effect.gen(function*() {
          for (const groups of [0, 1.5, 4_097, NaN]) {
            const exit = yield* exitOf(sql, side, { groups })
            assert.match(
              Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
              /TaskManagerCluster: groups takes an integer/
            )
          }
          const options = { codec: {}, ...(side === "runner" ? ofRunner : undefined) }
          for (const [field, value] of Object.entries(options)) {
            const exit = yield* exitOf(sql, side, { [field]: value })
            assert.match(
              Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
              new RegExp(`TaskManagerCluster(.runner)?: ${field}.* takes `)
            )
          }
          // with the number of a group behind it, it is the name of a journal
          assert.isTrue(Exit.isSuccess(yield* exitOf(sql, side, { name: "é".repeat(250) })))
          for (const name of ["", "x".repeat(501), "é".repeat(251), "\0", "\ud800"]) {
            const exit = yield* exitOf(sql, side, { name })
            assert.match(
              Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
              /TaskManagerCluster takes a name of 1 to 500 bytes/
            )
          }
        })
      ))
  }

  it.live("runner: what would keep its groups from opening is refused by name", () =>
    withDatabase((sql) =>
      Effect.gen(function*() {
        const wrong: ReadonlyArray<readonly [ClusterRunnerOptions, RegExp]> = [
          [{ lease: 50 }, /lease takes 100 milliseconds to a day/],
          [{ lease: "2 days" }, /lease takes 100 milliseconds to a day/],
          [{ lease: -1 }, /: lease takes a duration/],
          [{ retention: { settled: -1 } }, /: retention.settled takes a duration/],
          [{ retention: { undelivered: untyped("x") } }, /: retention.undelivered takes a duration/],
          [{ onInterrupted: untyped("Repeat") }, /: onInterrupted takes a function/],
          [{ executorOf: untyped({}) }, /: executorOf takes a function/],
          [{ output: untyped("keeps") }, /: output takes one of/]
        ]
        for (const [options, message] of wrong) {
          const exit = yield* exitOf(sql, "runner", options)
          const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
          assert.match(text, message)
          assert.include(text, "TaskManagerCluster.runner")
        }
      })
    ))
})
