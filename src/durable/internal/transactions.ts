/** Transactions of the statements that a manager writes. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { dialectOf, endsIdleAfter } from "./dialect.js"
import { transactionOf } from "./transactionSet.js"

/** Runs statements in one transaction. */
export interface InTransaction {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R>
}

/**
 * Transactions that fail with what was wrong first: where the disk is full, rolling back fails too, as a defect. Postgres ends one in
 * which nothing happens for `idleMillis`: that is said before anything is locked.
 */
export const transactionsOf = (sql: SqlClient.SqlClient): (idleMillis: number) => InTransaction => {
  const dialect = dialectOf(sql)
  // a commit that fails leaves the one connection of SQLite in its transaction; without one the statement fails, and that is all.
  // Within a transaction of the caller nothing was to be committed, and it is the caller's to end
  const rollBack = dialect === "sqlite"
    ? Effect.withFiberRuntime<void>(({ currentContext }) =>
      transactionOf(currentContext) === undefined ? Effect.ignore(Effect.sandbox(sql.unsafe("rollback"))) : Effect.void
    )
    : Effect.void
  return (idleMillis) => {
    const limit = dialect === "sqlite"
      ? Effect.void
      : Effect.asVoid(sql.unsafe(`select true${endsIdleAfter(dialect, idleMillis)}`))
    return <A, E, R>(self: Effect.Effect<A, E, R>) =>
      Effect.suspend(() => {
        let first = Option.none<E | SqlError>()
        return sql.withTransaction(Effect.tapError(Effect.zipRight(limit, self), (error) =>
          Effect.sync(() => {
            first = Option.some(error)
          }))).pipe(
            Effect.catchAllDefect((defect): Effect.Effect<never, E | SqlError> =>
              Option.isSome(first)
                ? Effect.fail(first.value)
                : defect instanceof SqlError
                ? Effect.fail(defect)
                : Effect.die(defect)
            ),
            Effect.onError(() => rollBack)
          )
      })
  }
}
