/**
 * When a call whose tool has failed is tried again.
 *
 * @since 0.1.0
 */
import type * as Schedule from "effect/Schedule"
import type { ToolError } from "../errors.js"

/**
 * Tries a call again whose tool has failed with a `ToolError`: `schedule` says when and how often, and gets the error; `while` (by
 * default always true) says after which errors. Requests for approval, defects, cancelled calls, and errors with reason `InvalidInput`,
 * `PermissionDenied`, `ApprovalRejected` and `Cancelled` are never tried again. All attempts belong to one launch: its `timeout` runs
 * over all of them, and so does its place under the limits. An endless delay of the schedule ends the tries. A `while` that throws ends the call as a tool that dies does.
 *
 * @example
 * ```ts
 * import { Schedule } from "effect"
 * import { RoutingDecision, type RetryRule } from "effect-task-manager"
 *
 * const retry: RetryRule = {
 *   schedule: Schedule.intersect(Schedule.exponential("1 second"), Schedule.recurs(3)),
 *   while: (error) => error.reason === "Unavailable"
 * }
 * const decision = RoutingDecision.Foreground({ retry, timeout: "1 minute" })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryRule {
  readonly schedule: Schedule.Schedule<unknown, ToolError>
  readonly while?: ((error: ToolError) => boolean) | undefined
}
