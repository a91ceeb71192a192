/** What a consumer was given: delivered if all went well, and put back if not. The one place that decides it. */
import * as Effect from "effect/Effect"
import { consumed as delivered } from "../../machine/delivery.js"
import type { Session } from "../../machine/state/Session.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Undelivered } from "../../machine/state/Undelivered.js"
import type { Engine } from "../Engine.js"

export interface Consumed {
  readonly session: Session
  readonly taken: ReadonlyArray<Undelivered>
  readonly putBack: (table: TaskTable) => void
}

/** Ends what `enterConsumer` began. */
export const endConsumer = (table: TaskTable, consumed: Consumed, isDelivered: boolean): void => {
  if (isDelivered) delivered(table, consumed.session, consumed.taken)
  else consumed.putBack(table)
}

/** Runs `use`, interruptible, and then delivers or puts back what it was given. The caller is uninterruptible. */
export const consume = <A, B, E, R>(
  engine: Engine,
  restore: <C, F, S>(effect: Effect.Effect<C, F, S>) => Effect.Effect<C, F, S>,
  consumed: Consumed,
  use: () => Effect.Effect<A, E, R>,
  answer: (value: A) => B
): Effect.Effect<B, E, R> => {
  const end = (isDelivered: boolean): void =>
    engine.state.unsafeModify((table) => endConsumer(table, consumed, isDelivered))
  // not onExit, which masks again
  return Effect.matchCauseEffect(restore(Effect.suspend(use)), {
    onSuccess: (value) => {
      end(true)
      return Effect.succeed(answer(value))
    },
    onFailure: (cause) => {
      end(false)
      return Effect.failCause(cause)
    }
  })
}
