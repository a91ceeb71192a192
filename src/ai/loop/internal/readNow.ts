/** Reading the manager in the current step. */
import * as Effect from "effect/Effect"

/**
 * What a read of the manager gives, at once: no read of a `TaskManagerHandle` waits, and between two operations of a fiber
 * others run, so that what was read could be old by the time it is used.
 */
export const readNow = <A>(read: Effect.Effect<A>): A => Effect.runSync(read)
