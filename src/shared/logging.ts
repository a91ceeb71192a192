/**
 * What of a failure may stand in a log. The loggers of Effect print causes and texts as they are, line breaks and escape
 * sequences included.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { escaped } from "./text.js"

/**
 * A cause as one line of text, with its stack. The hidden causes of errors are not in it. Never throws.
 *
 * @since 0.1.0
 * @category formatters
 */
export const causeText = (cause: Cause.Cause<unknown>): string => {
  try {
    return escaped(Cause.pretty(cause, { renderErrorCause: true }))
  } catch {
    // an error with a getter that throws
    return "a cause that cannot be shown"
  }
}

/**
 * Annotates what the effect logs with a cause. The cause itself is not given to the loggers.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withCause =
  (cause: Cause.Cause<unknown>) => <A, E, R>(logging: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => Effect.annotateLogs(logging, "cause", causeText(cause)))
