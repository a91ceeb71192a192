/** The two kinds of databases, and what a statement says on one of them alone. */
import type * as SqlClient from "@effect/sql/SqlClient"

export type Dialect = "pg" | "sqlite"

/** Which of the two it is. Anything else is a defect: the statements below are not meant for it. */
export const dialectOf = (sql: SqlClient.SqlClient): Dialect =>
  sql.onDialectOrElse({
    pg: () => "pg" as const,
    sqlite: () => "sqlite" as const,
    orElse: () => {
      throw new TypeError("TaskManagerDurable takes an SqlClient of SQLite or Postgres")
    }
  })

/**
 * Postgres keeps the locks of a process that was stopped or cut off, and whoever needs them would wait for ever: the server ends a
 * transaction in which nothing happens for so long. A column of a statement before anything is locked, or of the one that locks; the
 * setting ends with the transaction.
 */
export const endsIdleAfter = (dialect: Dialect, millis: number): string =>
  dialect === "pg" ? `, set_config('idle_in_transaction_session_timeout', '${millis}', true) as timeout` : ""

/**
 * The same for an `update`, as what follows its first table of `from`. Not as a column that it returns: one that has waited for a row, and
 * finds that it is not meant any more, returns nothing, and has the lock.
 */
export const endsIdleBeside = (dialect: Dialect, millis: number): string =>
  dialect === "pg" ? `, (select true${endsIdleAfter(dialect, millis)}) as ends_idle` : ""
