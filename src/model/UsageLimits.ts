/**
 * How much may be used.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * How much one task may report: for each name of `costs` a number from 0. A task that has reported more fails with reason
 * `LimitReached` (`"fail"`, the default), or goes on in the background while the model is asked what is to become of it (`"ask"`).
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskUsageLimit {
  readonly costs: Readonly<Record<string, number>>
  readonly onLimit?: "fail" | "ask" | undefined
}

/**
 * How much a turn or a session may use: `costs` as in `TaskUsageLimit`, how often tools may begin (an integer from 0; a call that is
 * accepted and has not begun counts too), and `runTime`, how long their tools may have run in sum (a duration; a number is milliseconds). Once one of these is reached, a new call is refused with
 * `UsageLimitReached` (`"fail"`, the default), or waits for the approval of a human before it runs (`"ask"`). A task that reports a cost
 * beyond the limit is treated as in `TaskUsageLimit`; any other task that runs goes on.
 *
 * @since 0.1.0
 * @category models
 */
export interface UsageLimit {
  readonly costs?: Readonly<Record<string, number>> | undefined
  readonly launches?: number | undefined
  readonly runTime?: Duration.DurationInput | undefined
  readonly onLimit?: "fail" | "ask" | undefined
}

/**
 * The limits of each task, each turn and each session.
 *
 * @since 0.1.0
 * @category models
 */
export interface UsageLimits {
  readonly task?: TaskUsageLimit | undefined
  readonly turn?: UsageLimit | undefined
  readonly session?: UsageLimit | undefined
}
