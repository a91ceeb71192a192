/**
 * What a program without types, or compiled from an async function, gives where an effect is taken.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { shown } from "./text.js"

/**
 * Whether a value is a promise, which nobody will wait for: that it rejects is not to end the process.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStrayPromise = (value: unknown): boolean => {
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
        isStrayPromise(value) ? "a promise: Effect.tryPromise makes an Effect of it" : shown(value)
      }`
    )
  )
