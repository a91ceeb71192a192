/**
 * Every statement that a manager, an agent, a cluster and its clients make, whatever it is: none reads a table through. They are made,
 * written down, and explained on a database with 100 000 tasks of the past and as many entries of conversations.
 */
import { Tool, Toolkit } from "@effect/ai"
import { SqlClient } from "@effect/sql"
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Option, Schema, Stream } from "effect"
import {
  CurrentTask,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  ToolCallId,
  TurnId
} from "effect-task-manager"
import { AgentLoop, ResultStore, ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { AgentCluster } from "effect-task-manager/ai/cluster"
import { ResultStoreSql, TranscriptStoreSql } from "effect-task-manager/ai/durable"
import { type ScriptedReply, ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { assert } from "vitest"
import { memoryCluster } from "../../cluster/support.js"
import type { AgentDatabases, Connect } from "../agent/world.js"

const { Text, ToolCall } = ScriptedStep

const toolkit = Toolkit.make(
  Tool.make("quick", { success: Schema.String, dependencies: [CurrentTask] }),
  Tool.make("later", { success: Schema.String }).annotate(ToolAnnotations.Background, true),
  Tool.make("ask", { success: Schema.String }).annotate(ToolAnnotations.NeedsApproval, true),
  Tool.make("park", { success: Schema.String })
)
const Tools = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({
  quick: () => Effect.flatMap(CurrentTask, (task) => Effect.as(task.write("some output"), "quick is done")),
  later: () => Effect.succeed("later is done"),
  ask: () => Effect.succeed("asked and done"),
  park: () => Effect.never
})))

const plan: ScriptedReply = ({ prompt }) =>
  prompt.content.filter(({ role }) => role === "assistant").length % 3 === 0
    ? [ToolCall("quick", {}), ToolCall("later", {}), ToolCall("ask", {})]
    : [Text("done")]
const Model = TestLanguageModel.layer([], { otherwise: plan })

const sessionId = SessionId.make("conversation")
const turn = { sessionId, turnId: TurnId.make("turn-of-a-host") }
const launch = (id: string, toolName: string) =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make(id),
    request: { ...turn, callId: ToolCallId.make(id), toolName, input: {}, metadata: {} }
  })

/** A conversation with everything that a host may do in it. */
const converse = (loop: AgentLoop["Type"]) =>
  Effect.gen(function*() {
    const session = yield* loop.open({ sessionId })
    yield* Stream.runForEach(
      session.run("go"),
      (event) => event._tag === "ApprovalRequested" ? Effect.orDie(session.approve(event.approval)) : Effect.void
    )
    yield* session.waitForIdle
    yield* session.rewrite((transcript) => ({ ...transcript, entries: transcript.entries.slice(0, 1) }))
    const messageId = yield* session.submit("more")
    yield* session.withdraw(messageId)
    yield* session.interrupt
    yield* session.close
    yield* (yield* loop.open({ sessionId })).close
    const { sessions } = loop.store
    if (sessions === undefined) return assert.fail("a durable loop keeps sessions")
    yield* sessions.listOpen
    yield* sessions.read(sessionId)
    yield* sessions.remove(sessionId)
  }).pipe(Effect.scoped)

/** What a host asks of its tasks. */
const look = Effect.gen(function*() {
  const manager = yield* TaskManager
  const { handle } = manager
  for (const name of ["one", "two", "three"]) {
    yield* manager.startTask(launch(name, "quick"))
    yield* Effect.repeat(manager.waitForTurn(turn), { until: Option.isNone })
  }
  yield* manager.startTask(launch("parked", "park"))
  yield* handle.list({ sessionId })
  yield* handle.list({ status: "Running" })
  const { next } = yield* handle.history({ limit: 1 })
  yield* handle.history({ limit: 1, before: next, filter: { sessionId } })
  for (const name of ["one", "two"]) {
    const id = TaskId.make(name)
    // a sweep may have been there before: what counts is what is asked
    yield* Effect.ignore(handle.get(id))
    yield* Effect.ignore(handle.result(id))
    yield* Effect.ignore(handle.output(id))
    yield* Effect.ignore(manager.takeResult(id))
  }
  yield* Effect.flip(handle.get(TaskId.make("nobody")))
  yield* handle.listSuspended
  yield* handle.cancel(TaskId.make("parked"))
  yield* handle.waitForIdle
  yield* manager.closeSession(sessionId)
})

const settings = TaskManagerConfig.layer({ historyLimit: 2 })

/** The last statements of a sweep over rows, and of one over conversations. */
const ofSweeps = [/delete from etm_output where/, /closed_at <=/]

/** One process on its own, whose rows and conversations grow old at once. */
const onOneMachine = (connect: Connect, swept: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const results = yield* ResultStore
    const journal = yield* TaskJournal
    const sql = yield* SqlClient.SqlClient
    const manager = yield* TaskManager
    yield* look
    yield* manager.startTask(launch("consumed", "quick"))
    yield* Effect.repeat(
      manager.consumeTurnUpdate(turn, (update) => sql.withTransaction(journal.acknowledge(update))),
      { until: Option.isNone }
    )
    yield* converse(yield* AgentLoop)
    yield* results.save(TaskId.make("one"), "x".repeat(60))
    yield* results.save(TaskId.make("two"), "x".repeat(60))
    yield* results.read(TaskId.make("two"), {})
    yield* results.remove(TaskId.make("two"))
    yield* swept
  }).pipe(
    Effect.provide(
      Layer.mergeAll(AgentLoop.layer(toolkit), ResultStoreSql.layer({ maxBytes: 100 })).pipe(
        Layer.provideMerge(TranscriptStoreSql.layer({ retention: "1 millis" })),
        Layer.provideMerge(TaskManagerDurable.layer({
          output: "keep",
          shutdown: "keep",
          lease: "1 second",
          retention: { settled: "1 millis", undelivered: "1 millis" }
        })),
        Layer.provideMerge(Tools),
        Layer.provide([settings, Model]),
        Layer.provideMerge(connect().layer)
      )
    ),
    Effect.scoped
  )

/** A runner and its clients. */
const onACluster = (connect: Connect) =>
  Effect.gen(function*() {
    yield* look
    yield* converse(yield* AgentLoop)
  }).pipe(
    Effect.provide(
      AgentCluster.runner(toolkit, { groups: 2, lease: "1 second", maxIdleTime: "100 millis", output: "keep" }).pipe(
        Layer.provideMerge(Layer.mergeAll(AgentCluster.layer({ groups: 2 }), TaskManagerCluster.layer({ groups: 2 }))),
        Layer.provide(memoryCluster()),
        Layer.provideMerge(Tools),
        Layer.provide([settings, Model]),
        Layer.provideMerge(connect().layer)
      )
    ),
    Effect.scoped
  )

const many = 100_000

/** A long past, of several managers. */
const fill = (sql: SqlClient.SqlClient, dialect: "pg" | "sqlite") => {
  const numbers = (count: number) =>
    dialect === "pg"
      ? `generate_series(1, ${count}) as numbers(number)`
      : `(with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < ${count})
          select number from numbers)`
  return Effect.forEach(
    [
      `insert into etm_tasks (manager, number, id, session_id, turn_id, status, settled, settled_at, result, request, doc, version)
      select 'past/' || (number % 4), number, 'past ' || number, 'session ' || (number % 1000), 'turn', 'Completed', number, number,
        null, '{}', '{}', 1 from ${numbers(many)}`,
      `insert into etm_sessions (manager, session_id, opened_as, is_resting, closed_at)
      select 'past/' || (number % 4), 'session ' || number, case when number % 100 = 0 then number end, number % 2,
        case when number % 100 = 0 then null else number end from ${numbers(20_000)}`,
      `insert into etm_entries (manager, session_id, number, entry, version)
      select 'past/' || (number % 4), 'session ' || (number % 1000), number, '{}', 1 from ${numbers(many)}`,
      `insert into etm_messages (manager, session_id, message_id, number, message, version)
      select 'past/' || (number % 4), 'session ' || (number % 1000), 'm' || number, number, '[]', 1 from ${
        numbers(20_000)
      }`,
      `insert into etm_results (manager, task_id, number, first_byte, size, result)
      select 'past/' || (number % 400), 'past ' || number, number, 0, 1, 'x' from ${numbers(20_000)}`,
      `insert into etm_output (manager, number, start, bytes, text)
      select 'past/' || (number % 4), number, 0, 1, 'x' from ${numbers(20_000)}`,
      // nobody tells SQLite to, so it plans without
      ...dialect === "pg" ? ["analyze"] : []
    ],
    (statement) => sql.unsafe(statement),
    { discard: true }
  )
}

const grows = /etm_(tasks|sessions|entries|messages|results|output)\b/
// the last one of a journal is found at the end of its index, which covers it
const readsThrough = /^(SCAN etm_|SEARCH etm_\w+ USING INDEX sqlite_autoindex_etm_tasks_1 \(manager=\?\))/
const isPlanned = /^\s*(select|insert|update|delete|with)\b/i

interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Cond"?: string
  readonly Plans?: ReadonlyArray<Node>
}

/** Where a plan reads a table through, or an index from its beginning to its end. */
const readThrough = (node: Node): ReadonlyArray<string> => {
  const { Plans = [] } = node
  const type = node["Node Type"]
  const relation = node["Relation Name"] ?? ""
  const isWhole = grows.test(relation) && type === "Seq Scan" ||
    /^(Index|Index Only|Bitmap Index) Scan$/.test(type) && node["Index Cond"] === undefined
  return [...isWhole ? [`${type} ${relation}`] : [], ...Plans.flatMap(readThrough)]
}

const explained = (sql: SqlClient.SqlClient, dialect: "pg" | "sqlite", text: string) =>
  dialect === "pg"
    ? Effect.map(
      sql.unsafe<{ readonly "QUERY PLAN": ReadonlyArray<{ readonly Plan: Node }> }>(
        `explain (generic_plan, format json) ${text}`
      ),
      (rows) => rows.flatMap((row) => row["QUERY PLAN"].flatMap(({ Plan }) => readThrough(Plan)))
    )
    : Effect.map(
      sql.unsafe<{ readonly detail: string }>(`explain query plan ${text}`),
      (rows) => rows.map(({ detail }) => detail).filter((detail) => readsThrough.test(detail) && grows.test(detail))
    )

export const statementsSuite = (databases: AgentDatabases): void => {
  describe("every statement that is made", () => {
    it.live(`is found by an index, with ${many} rows of history`, () =>
      Effect.gen(function*() {
        const { dialect } = databases
        const texts = new Set<string>()
        const connect = yield* databases.make
        const swept = yield* Deferred.make<void>()
        const watched: Connect = () =>
          connect({
            before: (text) => {
              texts.add(text)
              if (ofSweeps.every((last) => [...texts].some((one) => last.test(one)))) {
                Deferred.unsafeDone(swept, Effect.void)
              }
            }
          })
        // those that bring old rows into their form are made once
        yield* Effect.provide(TaskManagerDurable.migrate, connect().layer)
        yield* onOneMachine(watched, Deferred.await(swept))
        yield* onACluster(watched)
        const planned = [...texts].filter((text) => isPlanned.test(text) && grows.test(text))
        // the workload makes them all: what is new is in it
        assert.isAtLeast(planned.length, 40)
        const through = Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const found = yield* Effect.forEach(planned, (text) =>
            Effect.map(explained(sql, dialect, text), (plans) => plans.map((what) => `${what}: ${text}`)))
          return found.flat()
        })
        const prepare = Effect.flatMap(SqlClient.SqlClient, (sql) =>
          fill(sql, dialect))
        assert.deepStrictEqual(yield* Effect.zipRight(prepare, through).pipe(Effect.provide(connect().layer)), [])
        // one that needs an index that is not there is found; by another connection, for one explains a statement once
        const drop = Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe("drop index etm_tasks_id"))
        const found = yield* Effect.zipRight(drop, through).pipe(Effect.provide(connect().layer))
        assert.match(found.join("\n"), /etm_tasks: select .* where id =/)
      }).pipe(Effect.scoped), 120_000)
  })
}
