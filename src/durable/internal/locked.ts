/**
 * What keeps an opening from going on: a SQLite file that another process has locked for longer than the client waits for it, and a
 * server that does not answer.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import { JournalError } from "../../errors.js"
import { monotonicNow } from "../../shared/monotonic.js"
import { UnansweredError } from "./attempts.js"

const betweenTries = "100 millis"

const isLockedCause = (cause: unknown, depth: number): boolean =>
  depth > 0 && Predicate.isObject(cause) && (
    Predicate.hasProperty(cause, "code") && /^SQLITE_(BUSY|LOCKED)/.test(String(cause.code)) ||
    Predicate.hasProperty(cause, "message") && /database (table )?is locked/.test(String(cause.message)) ||
    Predicate.hasProperty(cause, "cause") && isLockedCause(cause.cause, depth - 1)
  )

// clients wrap what SQLite says in a few errors of their own, and a cause may be its own
const isLocked = (error: unknown): boolean => Predicate.isTagged(error, "SqlError") && isLockedCause(error, 8)

/** Reads or writes while an opening goes on. */
export interface WhenUnlocked {
  <A, E, R>(self: Effect.Effect<A, E | SqlError, R>): Effect.Effect<A, E | SqlError | JournalError, R>
}

/**
 * Tries again for as long as the file is locked, for a lease from now on over all that it runs; then fails with `Unavailable`, as it does
 * at once where a try was not answered in time.
 */
export const whenUnlocked = (journal: string, leaseMillis: number): Effect.Effect<WhenUnlocked> =>
  Effect.map(monotonicNow, (begunAt): WhenUnlocked => {
    const isInTime = Effect.map(monotonicNow, (now) => now - begunAt < leaseMillis)
    return (self) =>
      self.pipe(
        Effect.retry({
          schedule: Schedule.spaced(betweenTries),
          while: (error) => isLocked(error) ? isInTime : Effect.succeed(false)
        }),
        Effect.mapError((error) => {
          const why = isLocked(error)
            ? "another process has locked its database"
            : error instanceof UnansweredError
            ? "its database has not answered"
            : undefined
          return why === undefined ? error : new JournalError({
            journal,
            reason: "Unavailable",
            detail: `could not be opened: ${why} for ${leaseMillis} ms`,
            cause: error
          })
        })
      )
  })
