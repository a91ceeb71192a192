/** Assertions that fail with expected and actual, without a test runner. */
import * as Effect from "effect/Effect"
import { jsonEquals } from "../../../model/json.js"
import { ConformanceFailure } from "../ConformanceFailure.js"

/** Fails unless both are deeply the same; plain data is compared by structure, not by reference. */
export const equal = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, ConformanceFailure> =>
  Effect.suspend(() => jsonEquals(actual, expected) ? Effect.void : new ConformanceFailure({ what, expected, actual }))

export const isTrue = (what: string, actual: boolean): Effect.Effect<void, ConformanceFailure> =>
  equal(what, actual, true)

/** Fails unless the effect fails with an error of this tag, which it gives. */
export const failsWith = <A, E extends { readonly _tag: string }, R, const Tag extends E["_tag"]>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  tag: Tag
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, ConformanceFailure, R> =>
  Effect.matchEffect(effect, {
    onSuccess: (actual) => new ConformanceFailure({ what, expected: tag, actual }),
    onFailure: (error) => {
      const isExpected = (candidate: E): candidate is Extract<E, { readonly _tag: Tag }> => candidate._tag === tag
      return isExpected(error)
        ? Effect.succeed(error)
        : new ConformanceFailure({ what, expected: tag, actual: error._tag })
    }
  })
