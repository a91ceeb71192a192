/** Tables beside those of a manager's journal, in the same database and under the same fence. */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { attemptMillisOf, toItsEnd, withinAttempt } from "../../../durable/internal/attempts.js"
import { nowOf } from "../../../durable/internal/schema.js"
import { transactionsOf } from "../../../durable/internal/transactions.js"
import { TaskJournal } from "../../../durable/TaskJournal.js"
import type { JournalError } from "../../../errors.js"
import type { PendingLoopUpdates, TurnTaskUpdate } from "../../../model/TaskResolution.js"

const nothingTaken: PendingLoopUpdates = { resolutions: [] }

// for about five seconds: a database that is started again, or busy
const whileAway = Schedule.exponential(20).pipe(
  Schedule.union(Schedule.spaced(500)),
  Schedule.upTo("5 seconds")
)

export interface JournalTables {
  readonly sql: SqlClient.SqlClient
  /** Of the journal: the first column of every table. */
  readonly name: string
  /**
   * Runs statements, of which the first one writes, in one transaction, and acknowledges the updates in it. If another manager has
   * taken the journal, nothing of it counts. What the database refuses, or does not answer within a third of the lease, is done again
   * for a while.
   */
  readonly together: <A, E>(
    statements: Effect.Effect<A, E | SqlError>,
    taken?: ReadonlyArray<TurnTaskUpdate | PendingLoopUpdates>
  ) => Effect.Effect<A, E | SqlError | JournalError>
  /** The clock by which rows are dated, in epoch milliseconds. */
  readonly now: Effect.Effect<number, SqlError>
  /** Reads, again for a while if the database refuses or does not answer. */
  readonly read: <A, E>(statements: Effect.Effect<A, E | SqlError>) => Effect.Effect<A, E | SqlError>
}

export const journalTables: Effect.Effect<JournalTables, never, SqlClient.SqlClient | TaskJournal> = Effect.gen(
  function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const journal = yield* TaskJournal
    const attemptMillis = attemptMillisOf(journal.leaseMillis)
    // a process that stands still in one has its rows for less than the lease: the next owner of the journal finds them free
    const inTransaction = transactionsOf(sql)(attemptMillis)

    const again = <A, E>(statements: Effect.Effect<A, E | SqlError>): Effect.Effect<A, E | SqlError> =>
      Effect.retry(withinAttempt(attemptMillis, statements), {
        while: (error) => error instanceof SqlError,
        schedule: whileAway
      })

    return {
      sql,
      name: journal.name,
      now: nowOf(sql),
      read: (statements) => again(toItsEnd(statements)),
      together: (statements, taken = []) =>
        again(inTransaction(
          Effect.zipLeft(
            statements,
            Effect.forEach(taken.length === 0 ? [nothingTaken] : taken, journal.acknowledge, { discard: true })
          )
        ))
    }
  }
)
