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
export const consume = <A, E, R>(
  engine: Engine,
  restore: <B, F, S>(effect: Effect.Effect<B, F, S>) => Effect.Effect<B, F, S>,
  consumed: Consumed,
  use: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  restore(Effect.suspend(use)).pipe(
    Effect.onExit((exit) => engine.state.modify((table) => endConsumer(table, consumed, exit._tag === "Success")))
  )
