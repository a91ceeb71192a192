/**
 * What is too old goes: rows of settled tasks that are owed to nobody, and results that nobody takes. A sweep goes over what has
 * settled since where the one before the last had come to, and over what is owed, some rows at a time; what is removed goes with a
 * group, so in one transaction, and only as long as the epoch is ours.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { expire } from "../../machine/delivery.js"
import { forgetThrough } from "../../machine/history.js"
import type { Engine } from "../../runtime/Engine.js"
import type { JournalWriter } from "../../runtime/journal/JournalWriter.js"
import { withCause } from "../../shared/logging.js"
import type { RetentionMillis } from "./checks.js"
import { type AgedRow, firstPlace, type SettledRows } from "./settledRows.js"

/** How many rows one group removes. */
const rowsAtOnce = 500
const longestPause = 60_000
const shortestPause = 1_000

/** How long it is from one sweep to the next, of what stays for so long. */
export const pauseOf = (millis: number): number => Math.max(shortestPause, Math.min(longestPause, millis / 10))

export interface Sweeper {
  readonly engine: Engine
  readonly journal: JournalWriter
  readonly rows: Pick<SettledRows, "since" | "owed" | "untaken">
  /** On the clock of the rows. */
  readonly now: Effect.Effect<number, SqlError>
  readonly retention: RetentionMillis
  readonly pauseMillis: number
}

const makeSweep = ({ engine: { state }, journal, now, retention, rows }: Sweeper) => {
  const { keepsSettled, name } = journal.journal
  // a result that was being taken while its row was looked at is seen by the next sweep
  let removedFrom = 0
  let removedTo = 0

  /** Drops what nobody has taken in time. */
  const dropUntaken = Effect.gen(function*() {
    for (let after = firstPlace;;) {
      // what was taken by now is written
      yield* journal.synced
      const untaken = yield* rows.untaken({ after, limit: rowsAtOnce, settledBy: (yield* now) - retention.undelivered })
      const last = untaken.at(-1)
      if (last === undefined) return
      after = last
      const sent = journal.undeliveredOf(untaken)
      const dropped = sent.length === 0 ?
        0 :
        yield* state.modify((table) => sent.filter(({ delivery, entry }) => expire(table, entry.task, delivery)).length)
      if (dropped > 0) {
        yield* Effect.logWarning(
          `Nobody has taken ${dropped} results of the journal "${name}" in time: they were dropped`
        )
      }
      if (untaken.length < rowsAtOnce) return
    }
  })

  const remove = (old: ReadonlyArray<AgedRow>, owed: ReadonlySet<number>, through: number) =>
    Effect.suspend(() => {
      const oldest = state.table.history.at(0)?.seq ?? Infinity
      const removable = old.filter(({ number, settled }) => !owed.has(number) && (keepsSettled || settled < oldest))
      journal.remove(removable.map(({ number }) => number), keepsSettled ? through : 0)
      return keepsSettled ? state.modify((table) => forgetThrough(table, through)) : Effect.void
    })

  /**
   * Removes what is old and owed to nobody, of all that has settled after an event; returns how far it has come. What settled at a time that
   * has not come yet was dated by a clock that was wrong: it goes with what settled after it, and holds up none of that.
   */
  const removeOld = (after: number) =>
    Effect.gen(function*() {
      for (let through = after, at = after;;) {
        // what was taken by now is written, and what was removed has gone
        yield* journal.synced
        const page = yield* rows.since(at, rowsAtOnce)
        const today = yield* now
        const oldest = today - retention.settled
        const tooYoung = page.findIndex(({ settledAt }) => settledAt > oldest && settledAt <= today)
        const looked = tooYoung < 0 ? page : page.slice(0, tooYoung)
        const last = looked.filter(({ settledAt }) => settledAt <= oldest).at(-1)
        if (last !== undefined) {
          const old = looked.slice(0, looked.indexOf(last) + 1)
          through = last.settled
          yield* remove(old, yield* rows.owed(old.map(({ number }) => number)), through)
        }
        if (looked.length < rowsAtOnce) return through
        // a whole page of wrong times is passed over
        at = last?.settled ?? looked.at(-1)?.settled ?? through
      }
    })

  const removeNext = Effect.suspend(() => {
    const from = removedFrom
    removedFrom = removedTo
    return Effect.map(removeOld(from), (through) => {
      removedTo = through
    })
  })

  /** What goes wrong is told, and holds up nothing else. */
  const orWarn = (what: string, part: Effect.Effect<void, SqlError>): Effect.Effect<void> =>
    Effect.catchAllCause(part, (cause) =>
      // the manager tells of its own end
      journal.isGone
        ? Effect.void
        : Effect.logWarning(`${what} of the journal "${name}" could not be removed`).pipe(withCause(cause)))

  return Effect.gen(function*() {
    if (retention.undelivered < Infinity) yield* orWarn("Results that nobody takes", dropUntaken)
    if (retention.settled < Infinity) yield* orWarn("Old rows", removeNext)
  })
}

/** Sweeps again and again, until the scope closes. What goes wrong is tried again by the next sweep. */
export const sweepAgain = (sweeper: Sweeper): Effect.Effect<void, never, Scope.Scope> => {
  const { journal, pauseMillis, retention: { settled, undelivered } } = sweeper
  if (settled === Infinity && undelivered === Infinity) return Effect.void
  return Effect.sleep(pauseMillis).pipe(
    Effect.zipRight(makeSweep(sweeper)),
    Effect.repeat({ while: () => !journal.isGone && !journal.isClosed }),
    Effect.forkDaemon,
    // not waited for: the shutdown of the manager must begin in the step in which its scope closes
    Effect.flatMap((fiber) => Effect.addFinalizer(() => Fiber.interruptFork(fiber)))
  )
}
