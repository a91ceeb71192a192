/**
 * The one writer of a runner: what the journals of all its groups have to write is collected while a transaction is under way, and is
 * the next one. A journal that was taken over, or that the database refuses, fails alone.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { UnansweredError, withinAttempt } from "../../durable/internal/attempts.js"
import type { WriteGroup, Writing } from "../../durable/internal/groups.js"
import { fencedOf, groupsWriter, unwrittenOf } from "../../durable/internal/writing.js"
import type { JournalError } from "../../errors.js"
import { Pace } from "./Pace.js"
import { onWire, wireMillis, wireSleep } from "./wire.js"

interface Waiting {
  readonly writing: Writing
  readonly end: (written: Effect.Effect<void, JournalError>) => void
}

const isUnanswered = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof UnansweredError)

/** So many groups are in one transaction at most: one that is too long holds up every session. */
const mostAtOnce = 256

/** By the rows that were written lately. */
const paceOptions = { perMilli: 4, longest: 16 }

/**
 * What is written next, and what waits on. A journal is in it once: one that was lost and opened again may still have something of its
 * earlier epoch here, which must not be written under the fence of the later one.
 */
const cut = (
  queue: ReadonlyArray<Waiting>
): { readonly next: ReadonlyArray<Waiting>; readonly rest: Array<Waiting> } => {
  const next = new Map<string, Waiting>()
  const rest: Array<Waiting> = []
  for (const waiting of queue) {
    const { name } = waiting.writing.tables
    if (next.size < mostAtOnce && !next.has(name)) next.set(name, waiting)
    else rest.push(waiting)
  }
  return { next: [...next.values()], rest }
}

export const makeSharedWriter = (
  leaseMillis: number
): Effect.Effect<WriteGroup, never, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const writeAll = groupsWriter(yield* SqlClient.SqlClient)
    // rows are dated by the clock of the tasks
    const clock = yield* Effect.clock
    const pace = new Pace(paceOptions)
    let queue: Array<Waiting> = []
    let signal: (() => void) | undefined

    const attempt = (waiting: ReadonlyArray<Waiting>) =>
      onWire(withinAttempt(
        // after it they are lost anyway, and the next ones need another connection
        leaseMillis,
        Effect.withClock(writeAll(waiting.map(({ writing }) => writing)), clock)
      ))
    const tell = (waiting: ReadonlyArray<Waiting>, written: ReadonlyArray<Writing>): void => {
      const held = new Set(written)
      for (const { end, writing } of waiting) end(held.has(writing) ? Effect.void : Effect.fail(fencedOf(writing)))
    }
    const refuse = (waiting: ReadonlyArray<Waiting>, cause: Cause.Cause<SqlError | JournalError>): void => {
      for (const { end, writing } of waiting) {
        end(Effect.mapError(Effect.failCause(cause), (error) => unwrittenOf(writing, error)))
      }
    }
    const write = (waiting: ReadonlyArray<Waiting>): Effect.Effect<void> =>
      Effect.matchCauseEffect(attempt(waiting), {
        onSuccess: (written) => Effect.sync(() => tell(waiting, written)),
        // which of them it was is found by writing each alone; a database that does not answer refuses none of them
        onFailure: (cause) =>
          waiting.length > 1 && !isUnanswered(cause) ? writeEach(waiting) : Effect.sync(() => refuse(waiting, cause))
      })
    const writeEach = (waiting: ReadonlyArray<Waiting>): Effect.Effect<void> =>
      Effect.suspend(() => {
        let unanswered: Cause.Cause<SqlError | JournalError> | undefined
        const writeOne = (one: Waiting) =>
          Effect.suspend(() => {
            // those behind it would wait as long, one after the other
            if (unanswered !== undefined) return Effect.succeed(refuse([one], unanswered))
            return Effect.matchCauseEffect(attempt([one]), {
              onSuccess: (written) => Effect.sync(() => tell([one], written)),
              onFailure: (cause) =>
                Effect.sync(() => {
                  if (isUnanswered(cause)) unanswered = cause
                  refuse([one], cause)
                })
            })
          })
        return Effect.forEach(waiting, writeOne, { concurrency: 4, discard: true })
      })
    const run = Effect.forever(Effect.suspend(() => {
      if (queue.length === 0) {
        return Effect.async<void>((resume) => {
          if (queue.length > 0) resume(Effect.void)
          else signal = () => resume(Effect.void)
        })
      }
      const pause = pace.pause(wireMillis())
      // whoever is ready now, or soon, comes into the same transaction
      return Effect.zipRight(
        pause === 0 ? Effect.yieldNow() : wireSleep(pause),
        Effect.suspend(() => {
          const { next, rest } = cut(queue)
          queue = rest
          pace.sent(
            next.reduce((sum, { writing: { group } }) => sum + group.rows.length + group.delivered.length, 0),
            wireMillis()
          )
          return write(next)
        })
      )
    }))
    yield* Effect.forkScoped(Effect.interruptible(run))

    return (writing) =>
      Effect.async((end) => {
        const waiting: Waiting = { writing, end }
        queue.push(waiting)
        signal?.()
        signal = undefined
        return Effect.sync(() => {
          queue = queue.filter((one) => one !== waiting)
        })
      })
  })
