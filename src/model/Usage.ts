/**
 * What tasks have cost: time, launches, output, and what tools and loops report.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { SessionId, TaskId, TurnId } from "./ids.js"
import { Count, Finite, oneOf, struct, takes, Text } from "./schemas.js"

/**
 * What was reported, by name: `{ inputTokens: 1200, usd: 0.004 }`. The names are yours.
 *
 * @since 0.1.0
 * @category models
 */
export const UsageCosts = Schema.Record({ key: Text, value: Finite }).annotations(takes("an object of numbers"))

/**
 * A value of the `UsageCosts` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface UsageCosts extends Schema.Schema.Type<typeof UsageCosts> {}

/**
 * What a task has used, or several together. Times are milliseconds: `queueMillis` until a tool began (a call that has joined another
 * one waits as well), `runMillis` while tools ran, `approvalMillis` while questions waited for their answers. `launches` counts runs of tools,
 * `outputBytes` the UTF-8 of what settled tasks have written, `costs` is what was reported.
 *
 * @since 0.1.0
 * @category models
 */
export const Usage = struct({
  launches: Count,
  queueMillis: Finite,
  runMillis: Finite,
  approvalMillis: Finite,
  outputBytes: Count,
  costs: UsageCosts
})

/**
 * A value of the `Usage` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/**
 * Whose usage: that of a task, of a session, of a turn (`sessionId` and `turnId`), of a lane, or of everything.
 *
 * @since 0.1.0
 * @category models
 */
export const UsageFilter = struct({
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  sessionId: Schema.optionalWith(SessionId, { exact: true }),
  turnId: Schema.optionalWith(TurnId, { exact: true }),
  lane: Schema.optionalWith(Text, { exact: true })
})

/**
 * A value of the `UsageFilter` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface UsageFilter {
  readonly taskId?: TaskId | undefined
  readonly sessionId?: SessionId | undefined
  readonly turnId?: TurnId | undefined
  readonly lane?: string | undefined
}

/**
 * A limit that was reached: `max` of `name` (a name of `costs`, `launches` or `runTime`), of the task, of its turn or of its session.
 *
 * @since 0.1.0
 * @category models
 */
export const ReachedLimit = struct({ scope: oneOf("task", "turn", "session"), name: Text, max: Finite })

/**
 * A value of the `ReachedLimit` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReachedLimit extends Schema.Schema.Type<typeof ReachedLimit> {}
