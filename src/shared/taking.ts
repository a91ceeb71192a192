/** Taking something so that an interrupt loses nothing: the last operation is one bare step that takes. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"

/**
 * What was looked at is not there any more in the step that takes: another reader was faster, or the task was forgotten.
 * Thrown rather than returned: a result would have to be looked at by one more operation behind the step, and an interrupt
 * there would lose what was taken.
 */
export const lostRace: unique symbol = Symbol("effect-task-manager/lostRace")

const isLostRace = (cause: Cause.Cause<unknown>): boolean => cause._tag === "Die" && cause.defect === lostRace

/** Attempts again for as long as another reader is faster. The last operation of an attempt is the bare step that takes. */
export const untilTaken = <A, E>(attempt: () => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.catchAllCause(
    Effect.suspend(attempt),
    (cause) => isLostRace(cause) ? untilTaken(attempt) : Effect.failCause(cause)
  )
