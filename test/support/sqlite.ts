/**
 * An `SqlClient` on SQLite for tests and the demo. `@effect/sql-sqlite-node` is what programs use; it needs better-sqlite3, which
 * compiles for minutes where its prebuilt binary cannot be downloaded. This package brings its binaries along.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import { DatabaseSync } from "@photostructure/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

type Value = string | number | bigint | null | Uint8Array

export interface SqliteOptions {
  /** `:memory:` unless it is given. */
  readonly filename?: string
  /** `FULL` unless it is given, which outlives a loss of power; `NORMAL` outlives the end of the process. */
  readonly synchronous?: "FULL" | "NORMAL"
  /** Whether what is written stays in the WAL, where it can be counted. */
  readonly keepsWal?: boolean
  /** How long a statement waits for another process that writes, in milliseconds; 5 seconds unless it is given. */
  readonly busyTimeout?: number
  /** The file may be read only. */
  readonly readOnly?: boolean
  /** Is asked before every statement: what it throws is the failure of the statement. */
  readonly before?: (text: string) => void
  /** Is asked once a statement was run: what it throws is its failure, as where its answer is lost. */
  readonly after?: (text: string) => void
  /** Is asked before every statement: one that is held is never run. */
  readonly holds?: (text: string) => boolean
}

const connect = (
  {
    after,
    before,
    busyTimeout = 5_000,
    filename = ":memory:",
    holds,
    keepsWal = false,
    readOnly = false,
    synchronous = "FULL"
  }: SqliteOptions
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const database = new DatabaseSync(filename, { readOnly })
        if (!readOnly) database.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}`)
        database.exec(`pragma busy_timeout = ${busyTimeout}`)
        if (keepsWal) database.exec("pragma wal_autocheckpoint = 0")
        return database
      }),
      (database) => Effect.sync(() => database.close())
    ),
    (database) => {
      const prepared = new Map<string, ReturnType<InstanceType<typeof DatabaseSync>["prepare"]>>()
      const statementOf = (text: string) => {
        const known = prepared.get(text)
        if (known !== undefined) return known
        const statement = database.prepare(text)
        // texts of fixed sizes are few; a program that makes its own must not fill the memory
        if (prepared.size > 200) prepared.clear()
        prepared.set(text, statement)
        return statement
      }
      const attempt = <A>(text: string, run: () => A) =>
        Effect.suspend(() =>
          holds?.(text) === true ? Effect.never : Effect.try({
            try: () => {
              before?.(text)
              const answer = run()
              after?.(text)
              return answer
            },
            catch: (cause) => new SqlError({ cause, message: `Failed to execute: ${text.slice(0, 80)}` })
          })
        )
      const run = (text: string, params: ReadonlyArray<unknown>) =>
        // the compiler gives what SQLite takes
        attempt(text, () => statementOf(text).all(...params as Array<Value>) as Array<Record<string, unknown>>)
      const execute: Connection["execute"] = (text, params, transform) =>
        Effect.map(run(text, params), (rows) => transform === undefined ? rows : transform(rows))
      const connection: Connection = {
        execute,
        executeRaw: run,
        executeStream: () => Stream.dieMessage("not needed here"),
        executeValues: (text, params) => Effect.map(run(text, params), (rows) => rows.map((row) => Object.values(row))),
        executeUnprepared: (text) => Effect.as(attempt(text, () => database.exec(text)), [])
      }
      return connection
    }
  )

const make = (options: SqliteOptions) =>
  Effect.gen(function*() {
    const connection = yield* connect(options)
    const semaphore = yield* Effect.makeSemaphore(1)
    return yield* SqlClient.make({
      acquirer: semaphore.withPermits(1)(Effect.succeed(connection)),
      transactionAcquirer: Effect.uninterruptibleMask((restore) =>
        Effect.as(
          Effect.zipRight(
            restore(semaphore.take(1)),
            Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, semaphore.release(1)))
          ),
          connection
        )
      ),
      compiler: Statement.makeCompilerSqlite(),
      spanAttributes: []
    })
  })

export const sqliteLayer = (options: SqliteOptions = {}): Layer.Layer<SqlClient.SqlClient> =>
  Layer.scoped(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))
