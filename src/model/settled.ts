/**
 * What "settled" means, for everything that asks.
 *
 * @since 0.1.0
 */
import type { TaskStatus } from "./Task.js"

/**
 * A status in which a task has ended.
 *
 * @since 0.1.0
 * @category models
 * @internal
 */
export type SettledStatus = Extract<TaskStatus, "Completed" | "Failed" | "Cancelled">

/**
 * The statuses in which a task has ended.
 *
 * @since 0.1.0
 * @category constants
 * @internal
 */
export const settledStatuses: ReadonlyArray<SettledStatus> = ["Completed", "Failed", "Cancelled"]

/**
 * The statuses in which a task has not ended.
 *
 * @since 0.1.0
 * @category constants
 * @internal
 */
export const liveStatuses: ReadonlyArray<TaskStatus> = ["Queued", "Running", "Suspended", "Cancelling"]

/**
 * Whether a task has ended.
 *
 * @since 0.1.0
 * @category predicates
 * @internal
 */
export const isSettled = ({ status }: { readonly status: TaskStatus }): boolean => isSettledStatus(status)

/**
 * Whether a task has ended that has this status.
 *
 * @since 0.1.0
 * @category predicates
 * @internal
 */
export const isSettledStatus = (status: TaskStatus): status is SettledStatus =>
  settledStatuses.some((settled) => settled === status)
