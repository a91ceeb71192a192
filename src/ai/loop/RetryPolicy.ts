/**
 * When a failed request to a language model is made again.
 *
 * @since 0.1.0
 */
import type * as AiError from "@effect/ai/AiError"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { millisOf } from "../../shared/durations.js"
import { integerOf, refuseUnlessObject } from "../../shared/refusals.js"
import type { ModelFailureReason } from "./errors.js"
import { failureReason } from "./internal/failureReason.js"
import { retryAfterMillis } from "./internal/retryAfter.js"

/**
 * When a failed request is made again: any schedule that takes an `AiError`, such as those that `RetryPolicy` makes.
 *
 * @since 0.1.0
 * @category models
 */
export type RetryPolicy = Schedule.Schedule<unknown, AiError.AiError>

/**
 * What `RetryPolicy.make` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryPolicyOptions {
  /** How many requests are made in all, the first one included: an integer from 1. Default: 5. */
  readonly maxAttempts?: number | undefined
  /** The wait before the second request; it doubles from one request to the next, give or take a fifth. A number is
   * milliseconds. Default: 1 second. */
  readonly baseDelay?: Duration.DurationInput | undefined
  /** The longest such wait; a number is milliseconds. Default: 30 seconds. */
  readonly maxDelay?: Duration.DurationInput | undefined
  /** The longest wait that the provider may ask for with `Retry-After`; a longer one is cut to it. A number is milliseconds.
   * Default: 1 minute. */
  readonly maxRetryAfter?: Duration.DurationInput | undefined
}

const passes: Readonly<Record<ModelFailureReason, boolean>> = {
  RateLimited: true,
  Overloaded: true,
  ServerError: true,
  Timeout: true,
  Network: true,
  IncompleteReply: true,
  Authentication: false,
  QuotaExhausted: false,
  ContextOverflow: false,
  InvalidRequest: false,
  InvalidReply: false,
  Unknown: false
}

const headersOf = (error: AiError.AiError): Readonly<Record<string, string>> =>
  error._tag === "HttpResponseError" ? error.response.headers : {}

const isRetryable = (error: AiError.AiError): boolean =>
  // with this header the providers stop their own clients
  passes[failureReason(error)] && headersOf(error)["x-should-retry"] !== "false"

const make = (options: RetryPolicyOptions = {}): RetryPolicy => {
  refuseUnlessObject("RetryPolicyOptions", "an object", options)
  const { baseDelay = "1 second", maxAttempts = 5, maxDelay = "30 seconds", maxRetryAfter = "1 minute" } = options
  const retries = integerOf("RetryPolicyOptions.maxAttempts", maxAttempts, 1) - 1
  const base = millisOf("RetryPolicyOptions.baseDelay", baseDelay)
  const longest = millisOf("RetryPolicyOptions.maxDelay", maxDelay)
  const longestAsked = millisOf("RetryPolicyOptions.maxRetryAfter", maxRetryAfter)
  return Schedule.exponential(base).pipe(
    Schedule.jittered,
    Schedule.union(Schedule.spaced(longest)),
    Schedule.intersect(Schedule.recurs(retries)),
    Schedule.zipRight(Schedule.identity<AiError.AiError>()),
    Schedule.modifyDelayEffect((error, delay) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const asked = retryAfterMillis(headersOf(error), now)
        return asked === undefined ? delay : Math.min(asked, longestAsked)
      })
    ),
    Schedule.whileInput(isRetryable)
  )
}

/**
 * Makes retry policies. A policy is a schedule: it can be combined with others, and given to `Effect.retry`.
 *
 * A request is made again after a failure that passes by itself: status 408, 409, 429 and from 500, a connection that could
 * not be made or broke, a stream that stalled or ended too early, and what the provider reports in a stream with the same
 * meaning. Never after any other status, and never where an account has no credit left.
 *
 * @example
 * ```ts
 * import { RetryPolicy } from "effect-task-manager/ai"
 *
 * const patient = RetryPolicy.make({ maxAttempts: 8, maxDelay: "1 minute" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const RetryPolicy: {
  /** A policy with these limits. Throws for one that is out of range, and names it. */
  readonly make: (options?: RetryPolicyOptions) => RetryPolicy
  /** The policy of a session that has no other: `make()`. */
  readonly standard: RetryPolicy
  /** No request is made again. */
  readonly never: RetryPolicy
  /** Whether the failure passes by itself, so that the same request may succeed later. */
  readonly isRetryable: (error: AiError.AiError) => boolean
} = {
  make,
  standard: make(),
  never: Schedule.stop,
  isRetryable
}
