/**
 * What a program without types, or compiled from an async function, gives where an effect is taken.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { shown } from "./text.js"

/**
 * Ignores the rejection of a value that is a promise, for which nobody waits: it is not to end the process. Says whether it is one.
 *
 * @since 0.1.0
 * @category checks
 */
export const ignoreRejection = (value: unknown): boolean => {
  if (!Predicate.isPromiseLike(value)) return false
  value.then(undefined, () => undefined)
  return true
}

/**
 * The effect that a function has returned, or one that dies with a `TypeError` that says what it has returned.
 *
 * @since 0.1.0
 * @category checks
 */
export const mustBeEffect = <A, E, R>(value: Effect.Effect<A, E, R>, what: () => string): Effect.Effect<A, E, R> =>
  Effect.isEffect(value) ? value : Effect.die(
    new TypeError(
      `${what()} did not return an Effect, but ${
        ignoreRejection(value) ? "a promise: Effect.tryPromise makes an Effect of it" : shown(value)
      }`
    )
  )
