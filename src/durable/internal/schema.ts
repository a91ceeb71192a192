/** The tables of the journal, and how they came to be: one list of migrations for SQLite and Postgres. */
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type Dialect, dialectOf } from "./dialect.js"
import { transactionsOf } from "./transactions.js"

const integerOf = (sql: SqlClient.SqlClient): string => dialectOf(sql) === "pg" ? "bigint" : "integer"

/** The clock of a Postgres server: several machines share it. */
export const serverMillis = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"

/** The clock by which rows are dated, in epoch milliseconds; that of a file can be replaced by a test. */
export const nowOf = (sql: SqlClient.SqlClient): Effect.Effect<number, SqlError> =>
  dialectOf(sql) === "pg"
    ? Effect.map(sql.unsafe<{ readonly now: unknown }>(`select ${serverMillis} as now`), ([row]) => Number(row?.now))
    : Clock.currentTimeMillis

/** Rows of tasks that are live, or of which somebody is owed something. A partial index has them. */
export const isOpen = "(settled is null or result is not null or detached is not null)"

/** Where the open rows of a journal are read: SQLite does not know how few they are, and would read all of its rows. */
export const openTasks = (dialect: Dialect): string =>
  dialect === "pg" ? "etm_tasks" : "etm_tasks indexed by etm_tasks_open"

const createTables = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const integer = integerOf(sql)
  yield* sql.unsafe(`create table etm_managers (
    name text primary key,
    epoch ${integer} not null,
    owner text not null,
    lease_until ${integer} not null,
    seq ${integer} not null,
    last_task ${integer} not null,
    last_delivery ${integer} not null
  )`)
  yield* sql.unsafe(`create table etm_tasks (
    manager text not null,
    number ${integer} not null,
    id text not null,
    session_id text not null,
    turn_id text not null,
    status text not null,
    settled ${integer},
    result ${integer},
    approval ${integer},
    detached ${integer},
    request text not null,
    doc text not null,
    version ${integer} not null,
    primary key (manager, number)
  )`)
  yield* sql.unsafe("create index etm_tasks_session on etm_tasks (manager, session_id)")
})

/**
 * Settled tasks stay until they are too old: pages of them, and what one opening reads, are found by indexes. Each index of settled
 * rows is written once in the life of a task; that of open ones has few rows.
 */
const keepHistory = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const isPostgres = dialectOf(sql) === "pg"
  const integer = integerOf(sql)
  yield* sql.unsafe(`alter table etm_tasks add column settled_at ${integer}`)
  yield* sql.unsafe("alter table etm_tasks add column damaged text")
  // when they settled stands in what may be encrypted: their time begins now
  yield* isPostgres
    ? sql.unsafe(`update etm_tasks set settled_at = ${serverMillis} where settled is not null`)
    : sql.unsafe("update etm_tasks set settled_at = ? where settled is not null", [yield* Clock.currentTimeMillis])
  yield* sql.unsafe("drop index etm_tasks_session")
  yield* sql.unsafe(`create index etm_tasks_open on etm_tasks (manager, session_id) where ${isOpen}`)
  yield* sql.unsafe(
    `create index etm_tasks_settled on etm_tasks (manager, status, settled, number, settled_at) where settled is not null`
  )
  yield* sql.unsafe(
    `create index etm_tasks_settled_session on etm_tasks (manager, session_id, status, settled, number)
      where settled is not null`
  )
  yield* sql.unsafe("create index etm_tasks_settled_id on etm_tasks (manager, id, number) where settled is not null")
  yield* sql.unsafe(`create table etm_output (
    manager text not null,
    number ${integer} not null,
    start ${integer} not null,
    bytes ${integer} not null,
    text text not null,
    primary key (manager, number, start)
  )`)
})

/** What an agent keeps beside its tasks: src/ai/durable reads and writes it. */
const createSessions = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  yield* sql.unsafe(`create table etm_sessions (
    manager text not null,
    session_id text not null,
    opened_as integer,
    is_resting integer not null,
    primary key (manager, session_id)
  )`)
  yield* sql.unsafe(`create table etm_entries (
    manager text not null,
    session_id text not null,
    number integer not null,
    entry text not null,
    version integer not null,
    primary key (manager, session_id, number)
  )`)
  yield* sql.unsafe(`create table etm_messages (
    manager text not null,
    session_id text not null,
    message_id text not null,
    number integer not null,
    message text not null,
    version integer not null,
    primary key (manager, session_id, message_id)
  )`)
  yield* sql.unsafe(`create table etm_results (
    manager text not null,
    task_id text not null,
    number integer not null,
    first_byte ${integerOf(sql)} not null,
    size ${integerOf(sql)} not null,
    result text not null,
    primary key (manager, task_id)
  )`)
})

/** Where sweeps read what is owed to somebody in pages: in the order of the index of open rows, which never changes for a row. */
const orderOpenRows = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  yield* sql.unsafe("drop index etm_tasks_open")
  yield* sql.unsafe(`create index etm_tasks_open on etm_tasks (manager, session_id, number) where ${isOpen}`)
})

/** When a session was closed, for their retention. The time of those that are closed by now begins now. */
const timeSessions = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  yield* sql.unsafe(`alter table etm_sessions add column closed_at ${integerOf(sql)}`)
  yield* dialectOf(sql) === "pg"
    ? sql.unsafe(`update etm_sessions set closed_at = ${serverMillis} where opened_as is null`)
    : sql.unsafe("update etm_sessions set closed_at = ? where opened_as is null", [yield* Clock.currentTimeMillis])
  yield* sql.unsafe("create index etm_sessions_closed on etm_sessions (manager, closed_at) where closed_at is not null")
})

/** What a takeover reads of the sessions: those that are open, and those that go on by themselves, however many are closed. */
const findOpenSessions = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const isOpenSession = "opened_as is not null"
  yield* sql.unsafe(
    `create index etm_sessions_open on etm_sessions (manager, opened_as, session_id) where ${isOpenSession}`
  )
  yield* sql.unsafe(
    `create index etm_sessions_awake on etm_sessions (manager, session_id) where ${isOpenSession} and is_resting = 0`
  )
})

/** Which group of its epoch a journal has written last: a group that arrives again, late, is recognised by its number. */
const countGroups = Effect.gen(function*() {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  yield* sql.unsafe(`alter table etm_managers add column last_group ${integerOf(sql)} not null default 0`)
})

const migrations: ReadonlyArray<Migrator.ResolvedMigration> = [
  [1, "create_tables", Effect.succeed(createTables)],
  [2, "keep_history", Effect.succeed(keepHistory)],
  [3, "create_sessions", Effect.succeed(createSessions)],
  [4, "order_open_rows", Effect.succeed(orderOpenRows)],
  [5, "time_sessions", Effect.succeed(timeSessions)],
  [6, "find_open_sessions", Effect.succeed(findOpenSessions)],
  [7, "count_groups", Effect.succeed(countGroups)]
]

/** The newest form of the tables that this version knows. */
export const latestMigration = migrations.length

/** How long a process may stand still while it makes tables, in milliseconds: others cannot write meanwhile, and are not to lose their leases. */
export const setUpMillis = 3_000

/** How long a migration waits for what others have locked, in milliseconds, before it lets them on and tries again. */
const lockMillis = 1_000

// any number that no other program locks
const migrationLock = 718_281_828

/** The newest migration that the tables have seen. */
export const newestMigration = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql.unsafe<{ readonly id: unknown }>("select max(migration_id) as id from etm_migrations"),
    ([last]) => Number(last?.id)
  )

const isUpToDate = (sql: SqlClient.SqlClient) =>
  Effect.gen(function*() {
    const [found] = yield* sql<
      { readonly is_there: boolean }
    >`select to_regclass('etm_migrations') is not null as is_there`
    if (found?.is_there !== true) return false
    return (yield* newestMigration(sql)) >= latestMigration
  })

/** Creates the tables, or brings them to the form of this version. Several processes may do it at once. */
export const migrate: Effect.Effect<void, Migrator.MigrationError | SqlError, SqlClient.SqlClient> = Effect.gen(
  function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const isPostgres = dialectOf(sql) === "pg"
    // the migrator locks its table: a user who may read and write and no more opens what was migrated in a step of its own
    if (isPostgres && (yield* isUpToDate(sql))) return
    // Postgres: one process at a time, and the migrator must not look for a table that is not there, which would end the transaction
    const prepare = !isPostgres ? Effect.void : Effect.gen(function*() {
      yield* sql.unsafe(`select pg_advisory_xact_lock(${migrationLock})`)
      // first what whoever takes a journal locks first; while it is waited for, every group waits behind it
      yield* sql.unsafe(`set local lock_timeout = ${lockMillis}`)
      yield* sql.unsafe(
        `do $$ begin if to_regclass('etm_managers') is not null then lock table etm_managers in access exclusive mode; end if; end $$`
      )
      yield* sql.unsafe(`create table if not exists etm_migrations (
        migration_id integer primary key,
        created_at timestamp with time zone not null default now(),
        name text not null
      )`)
    })
    const run = Migrator.make({})({ loader: Effect.succeed(migrations), table: "etm_migrations" })
    yield* Effect.retry(transactionsOf(sql)(setUpMillis)(Effect.zipRight(prepare, run)), {
      // another process was faster to write
      while: (error) => error._tag === "SqlError",
      times: 5,
      schedule: Schedule.spaced(50)
    })
  }
)
