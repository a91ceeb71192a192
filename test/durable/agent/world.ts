/** Processes of an agent on one database, one after the other: each can be killed before any of its statements. */
import { Tool, Toolkit } from "@effect/ai"
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Deferred, Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import { CurrentTask, SessionId, TaskManager, TaskManagerConfig, type TaskManagerSettings } from "effect-task-manager"
import {
  AgentLoop,
  type AgentSession,
  type AgentSessionDefaults,
  type AgentSessionOptions,
  ToolAnnotations,
  ToolkitExecutor,
  TranscriptStore
} from "effect-task-manager/ai"
import { TranscriptStoreSql, type TranscriptStoreSqlOptions } from "effect-task-manager/ai/durable"
import {
  type ScriptedReply,
  ScriptedStep,
  TestLanguageModel,
  TestLanguageModelControl
} from "effect-task-manager/ai/testing"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type PostgresServer, watchedPgLayer } from "../../support/postgres.js"
import { sqliteLayer } from "../../support/sqlite.js"
import { settled } from "../support.js"

interface ConnectOptions {
  readonly before?: (text: string) => void
  readonly holds?: (text: string) => boolean
}

/** A connection of one process. */
interface Connection {
  readonly layer: Layer.Layer<SqlClient.SqlClient, unknown>
  /** Ends it as the end of its process would: what it has begun is undone. */
  readonly kill: Effect.Effect<void>
}

/** A database that every process opens for itself. */
export type Connect = (options?: ConnectOptions) => Connection

export interface AgentDatabases {
  readonly dialect: "sqlite" | "pg"
  readonly make: Effect.Effect<Connect, never, Scope.Scope>
}

export const sqliteFiles: AgentDatabases = {
  dialect: "sqlite",
  make: Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "agent-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) => (options = {}) => ({
      layer: sqliteLayer({ filename: join(folder, "agent.db"), synchronous: "NORMAL", ...options }),
      kill: Effect.void
    })
  )
}

let schemas = 0
let connections = 0

/** Each in a schema of its own on one server. */
export const postgresSchemas = (server: () => PostgresServer): AgentDatabases => ({
  dialect: "pg",
  make: Effect.suspend(() => {
    const schema = `agent_${++schemas}`
    const connect: Connect = (options = {}) => {
      const name = `connection_${++connections}`
      const url = Redacted.make(`${Redacted.value(server().url(schema))}&application_name=${name}`)
      return {
        layer: watchedPgLayer(url, options),
        kill: Effect.suspend(() =>
          withSql(connect, (sql) => {
            const left = sql<{ left: unknown }>`select count(pg_terminate_backend(pid)) as left from pg_stat_activity
            where application_name = ${name}`
            return Effect.repeat(left, { until: ([found]) => Number(found?.left) === 0 })
          })
        )
      }
    }
    return withSql(connect, (sql) => sql.unsafe(`create schema ${schema}`)).pipe(Effect.as(connect))
  })
})

/** Looks at the database, or changes it, between two processes. */
export const withSql = <A>(
  connect: Connect,
  use: (sql: SqlClient.SqlClient) => Effect.Effect<A, unknown>
): Effect.Effect<A> =>
  Effect.flatMap(Layer.build(connect().layer), (context) => use(Context.get(context, SqlClient.SqlClient))).pipe(
    Effect.scoped,
    Effect.orDie
  )

const tool = (name: string) => Tool.make(name, { success: Schema.String, dependencies: [CurrentTask] })

/**
 * `read` may run twice, `write` may not, `ask` asks first, `later` runs in the background and wakes the model. `park` and `parkSafely`
 * (which may run twice) never end.
 */
const toolkit = Toolkit.make(
  tool("read").annotate(Tool.Readonly, true),
  tool("write"),
  tool("ask").annotate(ToolAnnotations.NeedsApproval, true),
  tool("later").annotate(ToolAnnotations.Background, true),
  tool("park"),
  tool("parkSafely").annotate(Tool.Idempotent, true)
)

export const { Hold, Text, ToolCall } = ScriptedStep

/** One run of a tool, in any process. */
export interface Run {
  readonly tool: string
  readonly callId: string
  readonly launch: number
}

/** A model that knows nothing but what it is shown: a process that starts again asks it the same. */
const plan: ScriptedReply = ({ prompt }) => {
  const shown = JSON.stringify(prompt.content)
  if (!shown.includes("c-read")) {
    return [
      Text("I begin."),
      ToolCall("read", {}, { id: "c-read" }),
      ToolCall("write", {}, { id: "c-write" }),
      ToolCall("ask", {}, { id: "c-ask" }),
      ToolCall("later", {}, { id: "c-later" })
    ]
  }
  return shown.includes("c-second") ? [Text("Done.")] : [ToolCall("write", {}, { id: "c-second" })]
}

export interface AgentProcess {
  readonly loop: AgentLoop["Type"]
  readonly manager: TaskManager["Type"]
  readonly store: TranscriptStore["Type"]
  readonly model: TestLanguageModelControl["Type"]
  /** How many statements it has made. */
  readonly statements: () => number
  /** From now on it can write nothing, and what it has begun to write is undone. */
  readonly kill: Effect.Effect<void>
  /** Ends it as a deployment does. */
  readonly stop: Effect.Effect<void>
  readonly open: (sessionId: SessionId, options?: Partial<AgentSessionOptions>) => Effect.Effect<AgentSession, unknown>
  readonly reopen: Effect.Effect<
    Effect.Effect.Success<ReturnType<AgentLoop["Type"]["reopen"]>>,
    unknown
  >
}

export interface ProcessOptions {
  /** Is given what ends the connection of the process, before anything else. */
  readonly onStart?: ((kill: Effect.Effect<void>) => void) | undefined
  /** Is run when a statement has killed it. */
  readonly onDeath?: (() => void) | undefined
  /** Killed before this statement, the first of which is 1. */
  readonly dieBefore?: number | undefined
  readonly model?: ScriptedReply | undefined
  readonly store?: TranscriptStoreSqlOptions | undefined
  readonly settings?: Partial<TaskManagerSettings> | undefined
  readonly shutdown?: "cancel" | "keep" | undefined
  readonly onDamaged?: "fail" | "setAside" | undefined
  /** What `later` waits for. */
  readonly later?: Effect.Effect<void> | undefined
  readonly defaults?: AgentSessionDefaults | undefined
}

/** Starts a process, whose tools tell `runs` that they begin. Building it may be what kills it: then it never returns. */
export const startProcess = (connect: Connect, runs: Array<Run>, options: ProcessOptions = {}) =>
  Effect.gen(function*() {
    const { dieBefore = Infinity, model = plan } = options
    const sqlScope = yield* Scope.make()
    const scope = yield* Scope.make()
    let count = 0
    let isDead = false
    const connection = connect({
      holds: () => {
        count++
        if (count >= dieBefore) isDead = true
        if (isDead) options.onDeath?.()
        return isDead
      }
    })
    const sql = Context.get(yield* Layer.buildWithScope(connection.layer, sqlScope), SqlClient.SqlClient)
    const kill = Effect.suspend(() => {
      isDead = true
      // a pool may wait for what never ends
      return Effect.zipRight(connection.kill, Effect.forkDaemon(Scope.close(sqlScope, Exit.void)))
    })
    const body = (name: string, then: Effect.Effect<string>) => () =>
      Effect.flatMap(CurrentTask, (task) => {
        runs.push({ tool: name, callId: task.request.callId, launch: task.launch })
        return then
      })
    const quick = (name: string) => body(name, Effect.succeed(`${name} is done`))
    const slowly = Effect.forEach(Array.from({ length: 300 }), () => Effect.yieldNow(), { discard: true })
    const Handlers = toolkit.toLayer({
      read: quick("read"),
      write: quick("write"),
      ask: quick("ask"),
      later: body("later", Effect.as(options.later ?? slowly, "later is done")),
      park: body("park", Effect.never),
      parkSafely: body("parkSafely", Effect.never)
    })
    const Sql = Layer.succeed(SqlClient.SqlClient, sql)
    options.onStart?.(kill)
    const building = AgentLoop.layer(toolkit, options.defaults).pipe(
      Layer.provideMerge(TranscriptStoreSql.layer(options.store)),
      Layer.provideMerge(TaskManagerDurable.layer({
        onOwned: "take",
        shutdown: options.shutdown ?? "keep",
        onDamaged: options.onDamaged
      })),
      Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
      Layer.provide(TaskManagerConfig.layer(options.settings ?? {})),
      Layer.provideMerge(TestLanguageModel.layer([], { otherwise: model })),
      Layer.provide(Sql),
      Layer.buildWithScope(scope)
    )
    const context = yield* building
    const loop = Context.get(context, AgentLoop)
    const process: AgentProcess = {
      loop,
      manager: Context.get(context, TaskManager),
      store: Context.get(context, TranscriptStore),
      model: Context.get(context, TestLanguageModelControl),
      statements: () => count,
      kill,
      stop: Effect.zipRight(Scope.close(scope, Exit.void), Scope.close(sqlScope, Exit.void)),
      open: (sessionId, given) => Scope.extend(loop.open({ ...given, sessionId }), scope),
      reopen: Scope.extend(loop.reopen(), scope)
    }
    return process
  })

export const sessionId = SessionId.make("s")

/** Answers what is asked, until nothing runs and nothing is about to. */
export const playOn = (session: AgentSession, { manager }: AgentProcess) =>
  Effect.gen(function*() {
    for (let round = 0; round < 500; round++) {
      yield* settled
      for (const asked of yield* session.approvals) yield* Effect.ignore(session.approve(asked))
      yield* settled
      const { live, phase } = yield* Effect.scoped(session.watch)
      const isPending = yield* Effect.isSuccess(manager.waitForLoopUpdate(session.sessionId, { timeout: 0 }))
      if (phase === "Idle" && live.length === 0 && !isPending) return
    }
    return yield* Effect.dieMessage("the session does not come to its end")
  })

/**
 * Runs a program in one process after the other, which are killed before these of their statements, until one comes to its end.
 * Says how many statements the last one made.
 */
export const killed = (
  connect: Connect,
  runs: Array<Run>,
  dieBefore: ReadonlyArray<number>,
  program: (process: AgentProcess) => Effect.Effect<void, unknown>,
  options: ProcessOptions = {},
  onKilled: Effect.Effect<void> = Effect.void
) =>
  Effect.gen(function*() {
    for (const at of [...dieBefore, Infinity]) {
      const ended = yield* Deferred.make<number | undefined, unknown>()
      let kill: Effect.Effect<void> = Effect.void
      const life = Effect.gen(function*() {
        const process = yield* startProcess(connect, runs, {
          ...options,
          dieBefore: at,
          onStart: (one) => {
            kill = one
          },
          onDeath: () => Deferred.unsafeDone(ended, Exit.succeed(undefined))
        })
        yield* program(process)
        const statements = process.statements()
        yield* process.stop
        return statements
      })
      // what was killed hangs for ever
      yield* Effect.forkDaemon(Effect.intoDeferred(life, ended))
      const statements = yield* Deferred.await(ended)
      if (statements !== undefined) return statements
      yield* kill
      yield* onKilled
    }
    return yield* Effect.dieMessage("the last process was killed")
  })
