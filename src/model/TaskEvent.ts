/**
 * What the host is told. Events are numbered in one total order and published in the step that makes them true.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ToolError } from "../errors.js"
import { ApprovalRequest } from "./Approval.js"
import { SessionId, TaskId, TurnId } from "./ids.js"
import { Json } from "./json.js"
import { Finite, struct, tagged, Text, union, Whole } from "./schemas.js"
import { TaskSnapshot } from "./Task.js"
import { ToolResultPart } from "./ToolCall.js"

/**
 * How far a running tool is. `fraction` is meant to be from 0 to 1, but only checked to be finite; a field that is of
 * another type is left out of the event. Everything in it is the tool's own, hostile text.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskProgress = struct({
  message: Schema.optionalWith(Text, { exact: true }),
  fraction: Schema.optionalWith(Finite, { exact: true }),
  data: Schema.optionalWith(Json, { exact: true })
})

/**
 * How far a running tool is, in the tool's own words.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskProgress extends Schema.Schema.Type<typeof TaskProgress> {}

const stamp = { seq: Whole, at: Finite }
const named = { ...stamp, sessionId: SessionId, turnId: TurnId, taskId: TaskId }
const ofTask = { ...named, snapshot: TaskSnapshot }

/**
 * Something that happened to a task. `seq` is 1, 2, 3… per manager without gaps, `at` is epoch milliseconds. Whoever has
 * seen an event can already see its effect through the handle. `sessionId`, `turnId` and `taskId` say whose it is. Each task
 * gets exactly one of `Completed`, `Failed` and `Cancelled`. A background resolution that goes to the loop under
 * `RequestContinue` is followed by `ContinueRequested`, which has no `snapshot`.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { TaskEvent } from "effect-task-manager"
 *
 * // one line of a server-sent event stream
 * const toLine = (event: TaskEvent) => `data: ${JSON.stringify(Schema.encodeSync(TaskEvent)(event))}\n\n`
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const TaskEvent = union(
  tagged("Queued", ofTask),
  tagged("Started", ofTask),
  tagged("Progress", { ...ofTask, progress: TaskProgress }),
  tagged("Detached", ofTask),
  tagged("AwaitingApproval", { ...ofTask, approval: ApprovalRequest }),
  tagged("Completed", { ...ofTask, result: ToolResultPart }),
  tagged("Failed", { ...ofTask, error: ToolError, result: ToolResultPart }),
  tagged("Cancelled", ofTask),
  tagged("ContinueRequested", named)
)

/**
 * Something that happened to a task. `seq` is 1, 2, 3… per manager without gaps, `at` is epoch milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskEvent = typeof TaskEvent.Type
