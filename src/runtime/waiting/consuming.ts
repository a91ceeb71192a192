/** What a consumer was given: delivered if all went well, and put back if not. The one place that decides it. */
import * as Effect from "effect/Effect"
import { consumed as delivered, keepTaken } from "../../machine/delivery.js"
import type { Session } from "../../machine/state/Session.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Undelivered } from "../../machine/state/Undelivered.js"
import type { Engine } from "../Engine.js"

export interface Consumed {
  readonly session: Session
  readonly taken: ReadonlyArray<Undelivered>
  readonly putBack: (table: TaskTable) => void
}

/** All went well: ends what `enterConsumer` began. */
export const endDelivered = (table: TaskTable, { session, taken }: Consumed): void => delivered(table, session, taken)

/**
 * Something went wrong: ends what `enterConsumer` began, for all of these. What a consumer has acknowledged in a transaction of its own is
 * put back if that was rolled back, and was delivered if it was committed. Only the database knows which: an interrupt may come while it
 * commits.
 */
export const endFailed = ({ state }: Engine, all: ReadonlyArray<Consumed>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const end = (kept: ReadonlyArray<Undelivered>): void =>
      state.unsafeModify((table) => {
        keepTaken(table, kept)
        for (const { putBack } of all) putBack(table)
      })
    const acknowledged = state.journal?.acknowledgedByReaders(all.flatMap(({ taken }) => taken)) ?? []
    return state.journal === undefined || acknowledged.length === 0
      ? Effect.sync(() => end([]))
      : Effect.map(state.journal.committedOf(acknowledged), end)
  })

/** Runs `use`, interruptible, and then delivers or puts back what it was given. The caller is uninterruptible. */
export const consume = <A, B, E, R>(
  engine: Engine,
  restore: <C, F, S>(effect: Effect.Effect<C, F, S>) => Effect.Effect<C, F, S>,
  consumed: Consumed,
  use: Effect.Effect<A, E, R>,
  answer: (value: A) => B
): Effect.Effect<B, E, R> =>
  // not onExit, which masks again
  Effect.matchCauseEffect(restore(use), {
    onSuccess: (value) => {
      engine.state.unsafeModify((table) => endDelivered(table, consumed))
      return Effect.succeed(answer(value))
    },
    onFailure: (cause) => Effect.zipRight(endFailed(engine, [consumed]), Effect.failCause(cause))
  })
