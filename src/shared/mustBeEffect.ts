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
 * What the function of a consumer does with what it is given: an effect, or it dies.
 *
 * @since 0.1.0
 * @category checks
 */
export const used = <Given, A, E, R>(
  method: string,
  use: (given: Given) => Effect.Effect<A, E, R>,
  given: Given
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => mustBeEffect(use(given), () => `The function that ${method} was given`))

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
