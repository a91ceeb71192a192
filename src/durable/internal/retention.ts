/**
 * What is too old goes: rows of settled tasks that are owed to nobody, and results that nobody takes. A sweep goes over what has
 * settled since where the one before the last had come to, some rows at a time; what is removed goes with a group, so in one
 * transaction, and only as long as the epoch is ours.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { expire } from "../../machine/delivery.js"
import { forgetThrough } from "../../machine/history.js"
import type { Engine } from "../../runtime/Engine.js"
import type { JournalWriter } from "../../runtime/journal/JournalWriter.js"
import type { AgedRow, OwedRow, SettledRows } from "./settledRows.js"
import type { Tables } from "./tables.js"

interface RetentionMillis {
  readonly settled: number
  readonly undelivered: number
}

/** How many rows one group removes. */
const rowsAtOnce = 500
const longestPause = 60_000
const shortestPause = 1_000

interface Sweeper {
  readonly engine: Engine
  readonly journal: JournalWriter
  readonly rows: SettledRows
  readonly tables: Tables
  readonly retention: RetentionMillis
}

/** Visits what has settled after an event and is older than this; returns how far it has come. */
const visitOld = <E>(
  { journal, rows, tables }: Sweeper,
  after: number,
  millis: number,
  visit: (rows: ReadonlyArray<AgedRow>, owed: ReadonlyArray<OwedRow>, through: number) => Effect.Effect<void, E>
) =>
  Effect.gen(function*() {
    let through = after
    for (;;) {
      // what was taken by now is written, and what was removed has gone
      yield* journal.synced
      const page = yield* rows.since(through, rowsAtOnce)
      const oldest = (yield* tables.now) - millis
      const tooYoung = page.findIndex(({ settledAt }) => settledAt > oldest)
      const old = tooYoung < 0 ? page : page.slice(0, tooYoung)
      const last = old.at(-1)
      if (last === undefined) return through
      through = last.settled
      yield* visit(old, yield* rows.owed(old.map(({ number }) => number)), through)
      if (old.length < rowsAtOnce) return through
    }
  })

const makeSweep = (sweeper: Sweeper) => {
  const { engine: { state }, journal, retention } = sweeper
  const { keepsSettled, name } = journal.journal
  // a result that was being taken while its row was looked at is seen by the next sweep
  let removedFrom = 0
  let removedTo = 0
  let expiredFrom = 0
  let expiredTo = 0

  const dropUntaken = (_rows: ReadonlyArray<AgedRow>, owed: ReadonlyArray<OwedRow>) =>
    Effect.gen(function*() {
      const sent = journal.undeliveredOf(owed)
      if (sent.length === 0) return
      const dropped = yield* state.modify((table) =>
        sent.filter(({ delivery, entry }) => expire(table, entry.task, delivery)).length
      )
      if (dropped === 0) return
      yield* Effect.logWarning(
        `Nobody has taken ${dropped} results of the journal "${name}" in time: they were dropped`
      )
    })

  const remove = (rows: ReadonlyArray<AgedRow>, owed: ReadonlyArray<OwedRow>, through: number) =>
    Effect.gen(function*() {
      const isOwed = new Set(owed.map(({ number }) => number))
      const oldest = state.table.history.at(0)?.seq ?? Infinity
      const removable = rows.filter(({ number, settled }) => !isOwed.has(number) && (keepsSettled || settled < oldest))
      journal.remove(removable.map(({ number }) => number), keepsSettled ? through : 0)
      if (keepsSettled) yield* state.modify((table) => forgetThrough(table, through))
    })

  return Effect.gen(function*() {
    if (retention.undelivered < Infinity) {
      const from = expiredFrom
      expiredFrom = expiredTo
      expiredTo = yield* visitOld(sweeper, from, retention.undelivered, dropUntaken)
    }
    if (retention.settled < Infinity) {
      const from = removedFrom
      removedFrom = removedTo
      removedTo = yield* visitOld(sweeper, from, retention.settled, remove)
    }
  })
}

/** Sweeps again and again, until the scope closes. What goes wrong is tried again by the next sweep. */
export const sweepAgain = (sweeper: Sweeper): Effect.Effect<void, never, Scope.Scope> => {
  const { settled, undelivered } = sweeper.retention
  const shortest = Math.min(settled, undelivered)
  if (shortest === Infinity) return Effect.void
  const pause = Math.max(shortestPause, Math.min(longestPause, shortest / 10))
  const sweep = makeSweep(sweeper)
  return Effect.sleep(pause).pipe(
    Effect.zipRight(Effect.catchAllCause(sweep, () => Effect.void)),
    Effect.repeat({ while: () => !sweeper.journal.isGone && !sweeper.journal.isClosed }),
    Effect.forkDaemon,
    // not waited for: the shutdown of the manager must begin in the step in which its scope closes
    Effect.flatMap((fiber) => Effect.addFinalizer(() => Fiber.interruptFork(fiber)))
  )
}
