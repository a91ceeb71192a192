/** Reads that callers wait for: made again while the database fails, as writes are. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { JournalWriter } from "../../runtime/journal/JournalWriter.js"
import type { AcceptedBefore } from "../../runtime/starting/startTask.js"
import { attemptMillisOf, toItsEnd, withinAttempt } from "./attempts.js"
import { isStorable } from "./checks.js"
import type { SettledRows } from "./settledRows.js"
import type { Tables } from "./tables.js"

const betweenTries = "100 millis"

/** Again and again for a lease, and then the caller dies with it. */
export const patientReads = (journal: JournalWriter, fail: Tables["fail"]) => {
  const { leaseMillis } = journal.journal
  const attemptMillis = attemptMillisOf(leaseMillis)
  return <A>(read: Effect.Effect<A, SqlError>): Effect.Effect<A> =>
    withinAttempt(attemptMillis, toItsEnd(read)).pipe(
      Effect.retry({
        schedule: Schedule.upTo(Schedule.spaced(betweenTries), leaseMillis),
        while: () => !journal.isGone
      }),
      Effect.catchAll((cause) => Effect.die(fail("Unavailable", "could not be read", cause)))
    )
}

/**
 * An id that its caller has given says whether the task was accepted, for as long as its row stays. What is accepted is written, so
 * the rows know of whatever memory has forgotten.
 */
export const acceptedBefore = (
  journal: JournalWriter,
  rows: Pick<SettledRows, "isThere">,
  fail: Tables["fail"]
): AcceptedBefore => {
  const patiently = patientReads(journal, fail)
  return (taskId, sessionId) =>
    journal.isClosed || !journal.hasForgotten || !isStorable(taskId)
      ? undefined
      : patiently(rows.isThere(taskId, sessionId))
}
