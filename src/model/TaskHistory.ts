/**
 * Settled tasks, page by page.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { SessionId } from "./ids.js"
import { Count, list, struct } from "./schemas.js"
import { TaskSnapshot, type TaskStatus } from "./Task.js"

/**
 * Which settled tasks `history` gives; what is left out does not filter. A live status matches none.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskHistoryFilter {
  readonly sessionId?: SessionId | undefined
  readonly status?: TaskStatus | ReadonlyArray<TaskStatus> | undefined
}

/**
 * Which page of the history is wanted: the newest `limit` tasks (an integer from 1 to 1 000, by default 100) whose terminal
 * event has a `seq` below `before` (an integer from 0; by default all). The `next` of one page is the `before` of the following.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskHistoryQuery {
  readonly before?: number | undefined
  readonly limit?: number | undefined
  readonly filter?: TaskHistoryFilter | undefined
}

/**
 * Settled tasks, the one that settled last first. `next` is there where older ones match: it is the `seq` of the terminal event of
 * the last of these. Over several groups of a cluster that is the order in each of them, and `next` is a number for `before` alone.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskHistoryPage = struct({
  tasks: list(TaskSnapshot),
  next: Schema.optionalWith(Count, { exact: true })
})

/**
 * A value of the `TaskHistoryPage` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskHistoryPage extends Schema.Schema.Type<typeof TaskHistoryPage> {}
