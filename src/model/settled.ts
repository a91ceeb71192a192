/**
 * What "settled" means, for everything that asks.
 *
 * @since 0.1.0
 */
import type { TaskStatus } from "./Task.js"

/**
 * The statuses in which a task has ended.
 *
 * @since 0.1.0
 * @category constants
 * @internal
 */
export const settledStatuses: ReadonlyArray<TaskStatus> = ["Completed", "Failed", "Cancelled"]

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
export const isSettled = ({ status }: { readonly status: TaskStatus }): boolean => settledStatuses.includes(status)
