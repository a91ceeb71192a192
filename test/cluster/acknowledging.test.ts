/** What clients acknowledge in transactions of their own: of several one counts, whoever has the group meanwhile. */
import * as SqlClient from "@effect/sql/SqlClient"
import { it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Scope, Stream } from "effect"
import {
  type JournalError,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { ClusterJournal, TaskManagerCluster } from "effect-task-manager/cluster"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { isFull } from "../support/fullMode.js"
import { type PostgresServer, startPostgres, watchedPgLayer } from "../support/postgres.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

const turn = { sessionId: SessionId.make("session"), turnId: TurnId.make("turn") }

const launchOf = (name: string, toolName = "echo") =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make(name),
    request: { ...turn, callId: ToolCallId.make(name), toolName, input: name, metadata: {} }
  })

const Tools = ToolExecutor.fromHandlers({
  echo: ({ input }) => Effect.succeed(String(input)),
  later: ({ input }) => Effect.succeed(String(input))
})
const Routing = RoutingPolicy.layer(({ toolName }) =>
  toolName === "later" ? RoutingDecision.Background() : RoutingDecision.Foreground()
)

/** A runner and a client on the database that is there. */
const OnDatabase = TaskManagerCluster.runner({ groups: 2 }).pipe(
  Layer.provideMerge(TaskManagerCluster.layer({ groups: 2, patience: "2 seconds" })),
  Layer.provide(memoryCluster()),
  Layer.provideMerge(Tools),
  Layer.provide(Routing)
)

const kept = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.map(sql<{ id: string }>`select id from kept order by id`, (rows) => rows.map(({ id }) => id))
)

/** Stores something together with the word that the updates were taken. */
const storing = (
  id: string,
  updates: Parameters<ClusterJournal["Type"]["acknowledge"]>[0],
  after: Effect.Effect<void, string> = Effect.void
) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { acknowledge } = yield* ClusterJournal
    yield* sql.withTransaction(
      Effect.zipRight(sql`insert into kept (id) values (${id})`, Effect.zipRight(acknowledge(updates), after))
    )
  })

const ofTurn = Effect.flatMap(TaskManager, ({ waitForTurn }) => waitForTurn(turn))

const failsFenced = (exit: Exit.Exit<unknown, unknown>): void => {
  const error = Exit.isFailure(exit) ? exit.cause : undefined
  // the only failure there is
  const failure = error?._tag === "Fail" ? error.error as JournalError : undefined
  assert.deepStrictEqual([failure?._tag, failure?.reason], ["JournalError", "Fenced"])
}

type Sql = () => Layer.Layer<SqlClient.SqlClient, unknown>

const databaseOf = (sqlLayer: Sql) =>
  Layer.orDie(Layer.tap(
    sqlLayer(),
    (context) => Context.get(context, SqlClient.SqlClient)`create table kept (id text)`
  ))

const suite = (sqlLayer: Sql): void => {
  const Database = databaseOf(sqlLayer)
  const Everything = Layer.provideMerge(OnDatabase, Database)

  it.live("a transaction that commits has taken the update", () =>
    Effect.gen(function*() {
      const { consumeTurnUpdate, startTask } = yield* TaskManager
      yield* startTask(launchOf("a"))
      yield* consumeTurnUpdate(turn, (update) => storing("a", update))
      assert.deepStrictEqual(yield* kept, ["a"])
      assert.isTrue(Option.isNone(yield* ofTurn))
    }).pipe(Effect.provide(Everything), Effect.scoped))

  it.live("one that rolls back has not: it comes again", () =>
    Effect.gen(function*() {
      const { consumeTurnUpdate, startTask } = yield* TaskManager
      yield* startTask(launchOf("a"))
      const exit = yield* Effect.exit(consumeTurnUpdate(turn, (update) => storing("a", update, Effect.fail("no"))))
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.deepStrictEqual(yield* kept, [])
      yield* consumeTurnUpdate(turn, (update) => storing("again", update))
      assert.deepStrictEqual(yield* kept, ["again"])
    }).pipe(Effect.provide(Everything), Effect.scoped))

  it.live("what fails after its transaction has committed is not put back", () =>
    Effect.gen(function*() {
      const { consumeTurnUpdate, startTask } = yield* TaskManager
      yield* startTask(launchOf("a"))
      const exit = yield* Effect.exit(
        consumeTurnUpdate(turn, (update) => Effect.zipRight(storing("a", update), Effect.fail("later")))
      )
      assert.deepStrictEqual(exit, Exit.fail("later"))
      assert.deepStrictEqual([yield* kept, yield* ofTurn], [["a"], Option.none()])
    }).pipe(Effect.provide(Everything), Effect.scoped))

  it.live("a second acknowledgement in a transaction fails, and nothing of it counts", () =>
    Effect.gen(function*() {
      const { consumeTurnUpdate, startTask } = yield* TaskManager
      const sql = yield* SqlClient.SqlClient
      yield* startTask(launchOf("a"))
      failsFenced(
        yield* Effect.exit(
          consumeTurnUpdate(turn, (update) =>
            sql.withTransaction(Effect.zipRight(storing("a", update), storing("b", update))))
        )
      )
      assert.deepStrictEqual(yield* kept, [])
      assert.isTrue(Option.isSome(yield* ofTurn))
    }).pipe(Effect.provide(Everything), Effect.scoped))

  const diesOf = (exit: Exit.Exit<unknown, unknown>): string =>
    Exit.isFailure(exit) ? String(Option.getOrUndefined(Cause.dieOption(exit.cause))) : "well"

  it.live("in a transaction around the consumer it dies: runner and consumer would wait for each other", () =>
    Effect.gen(function*() {
      const { consumeTurnUpdate, handle, startTask } = yield* TaskManager
      const sql = yield* SqlClient.SqlClient
      yield* startTask(launchOf("a"))
      yield* startTask(launchOf("b"))
      yield* handle.waitForIdle
      const around = yield* Effect.exit(
        sql.withTransaction(consumeTurnUpdate(turn, (update) => storing("around", update)))
      )
      assert.include(diesOf(around), "around the consumer")
      const stream = yield* handle.turnUpdates(turn).pipe(
        Stream.runForEach((update) => storing("stream", update)),
        sql.withTransaction,
        Effect.exit
      )
      assert.include(diesOf(stream), "around the consumer")
      assert.deepStrictEqual(yield* kept, [])
      yield* consumeTurnUpdate(turn, (update) => storing("again", update))
      yield* consumeTurnUpdate(turn, (update) => storing("again", update))
      assert.deepStrictEqual([yield* kept, yield* ofTurn], [["again", "again"], Option.none()])
    }).pipe(Effect.provide(Everything), Effect.scoped))

  it.live("behind it no runner can be asked in its transaction: both would wait for each other", () =>
    Effect.gen(function*() {
      const { closeSession, consumeTurnUpdate, startTask } = yield* TaskManager
      yield* startTask(launchOf("a"))
      const exit = yield* Effect.exit(
        consumeTurnUpdate(turn, (update) => storing("a", update, Effect.asVoid(closeSession(turn.sessionId))))
      )
      assert.include(diesOf(exit), "inside withTransaction")
      assert.deepStrictEqual(yield* kept, [])
      yield* consumeTurnUpdate(turn, (update) => storing("again", update))
      assert.deepStrictEqual(yield* kept, ["again"])
      yield* closeSession(turn.sessionId)
    }).pipe(Effect.provide(Everything), Effect.scoped))

  it.live("of a batch of which one was acknowledged elsewhere, the rest comes again", () =>
    Effect.gen(function*() {
      const { consumePendingLoopUpdates, handle, startTask } = yield* TaskManager
      const sql = yield* SqlClient.SqlClient
      yield* Effect.forEach(["a", "b"], (name) => startTask(launchOf(name, "later")))
      yield* handle.waitForIdle
      // as another client does that nobody hears of any more
      yield* sql`update etm_tasks set result = null where id = 'a'`
      failsFenced(yield* Effect.exit(consumePendingLoopUpdates(turn.sessionId, (updates) => storing("both", updates))))
      assert.deepStrictEqual(yield* kept, [])
      const ids = yield* consumePendingLoopUpdates(turn.sessionId, (updates) =>
        Effect.as(
          storing("rest", updates),
          updates.resolutions.map((one) => one._tag === "Item" ? one.taskId : "")
        ))
      assert.deepStrictEqual<unknown>([ids, yield* kept], [["b"], ["rest"]])
    }).pipe(Effect.provide(Everything), Effect.scoped))

  it.live("what a stream gave last is acknowledged, and does not come again where it fails afterwards", () =>
    Effect.gen(function*() {
      const { handle, startTask } = yield* TaskManager
      yield* startTask(launchOf("a"))
      const exit = yield* handle.turnUpdates(turn).pipe(
        Stream.runForEach((update) => Effect.zipRight(storing("a", update), Effect.fail("later"))),
        Effect.exit
      )
      assert.deepStrictEqual(exit, Exit.fail("later"))
      assert.deepStrictEqual([yield* kept, yield* ofTurn], [["a"], Option.none()])
    }).pipe(Effect.provide(Everything), Effect.scoped))

  for (const first of ["the one of before", "the one of after"]) {
    it.live(`of two readers, before and after a takeover, one counts: ${first}`, () =>
      Effect.gen(function*() {
        const before = yield* Scope.make()
        const one = yield* Scope.extend(Layer.build(OnDatabase), before)
        const has = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const told = yield* Deferred.make<Exit.Exit<void, unknown>>()
        const manager = Context.get(one, TaskManager)
        yield* Effect.provide(manager.startTask(launchOf("a")), one)
        const consuming = manager.consumeTurnUpdate(turn, (update) =>
          Deferred.succeed(has, undefined).pipe(
            Effect.zipRight(Deferred.await(goOn)),
            Effect.zipRight(Effect.exit(storing("before", update))),
            Effect.flatMap((exit) => Deferred.succeed(told, exit))
          ))
        const reading = yield* Effect.fork(Effect.provide(consuming, one))
        yield* Deferred.await(has)
        yield* Scope.close(before, Exit.void)

        const other = yield* Layer.build(OnDatabase)
        const after = Context.get(other, TaskManager).consumeTurnUpdate(turn, (update) =>
          Effect.zipRight(
            first === "the one of before"
              ? Effect.zipRight(Deferred.succeed(goOn, undefined), Deferred.await(told))
              : Effect.void,
            storing("after", update)
          ))
        const exit = yield* Effect.exit(Effect.provide(after, other))
        yield* Deferred.succeed(goOn, undefined)
        const exitBefore = yield* Deferred.await(told)
        if (first === "the one of before") {
          assert.isTrue(Exit.isSuccess(exitBefore))
          failsFenced(exit)
        } else {
          assert.isTrue(Exit.isSuccess(exit))
          failsFenced(exitBefore)
        }
        assert.deepStrictEqual(yield* kept, [first === "the one of before" ? "before" : "after"])
        assert.deepStrictEqual(yield* Effect.provide(ofTurn, other), Option.none())
        yield* Fiber.interrupt(reading)
        // a runner whose database is away first would wait for it
      }).pipe(Effect.scoped, Effect.provide(Database)))
  }
}

describe("ClusterJournal, on SQLite", () => suite(sqliteLayer))

if (isFull) {
  describe("ClusterJournal, on Postgres", () => {
    let server: PostgresServer
    let schemas = 0
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server.stop())
    const schema: Sql = () =>
      Layer.unwrapEffect(
        Effect.gen(function*() {
          const schema = `acknowledging_${++schemas}`
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe(`create schema ${schema}`)
          return watchedPgLayer(server.url(schema))
        }).pipe(Effect.provide(Layer.suspend(() => watchedPgLayer(server.url()))))
      )
    suite(schema)

    it.live("a client that stands still in its transaction holds up a runner for a moment, and not for ever", () =>
      Effect.gen(function*() {
        const { closeSession, consumeTurnUpdate, startTask } = yield* TaskManager
        yield* startTask(launchOf("a"))
        const has = yield* Deferred.make<void>()
        const standing = yield* Effect.fork(
          consumeTurnUpdate(
            turn,
            (update) => storing("a", update, Effect.zipRight(Deferred.succeed(has, undefined), Effect.never))
          )
        )
        yield* Deferred.await(has)
        // it writes the row that the transaction holds
        yield* closeSession(turn.sessionId)
        const other = { ...turn, sessionId: SessionId.make("other") }
        const { request } = launchOf("b")
        yield* startTask(TaskLaunchRequest.plain({ request: { ...request, ...other } }))
        yield* Fiber.interrupt(standing)
        assert.deepStrictEqual(yield* kept, [])
      }).pipe(Effect.provide(Layer.provideMerge(OnDatabase, databaseOf(schema))), Effect.scoped))
  })
}
