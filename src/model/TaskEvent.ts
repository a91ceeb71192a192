/**
 * What the host is told. Events are numbered in one total order and published in the step that makes them true.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ToolError } from "../errors.js"
import { ApprovalRequest } from "./Approval.js"
import { SessionId, TaskId } from "./ids.js"
import { Json } from "./json.js"
import { TaskSnapshot } from "./Task.js"
import { ToolResultPart } from "./ToolCall.js"

/**
 * How far a running tool is. `fraction` is meant to be from 0 to 1 and is not checked; everything in it is the tool's own,
 * hostile text.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskProgress = Schema.Struct({
  message: Schema.optionalWith(Schema.String, { exact: true }),
  fraction: Schema.optionalWith(Schema.Finite, { exact: true }),
  data: Schema.optionalWith(Json, { exact: true })
})

/**
 * How far a running tool is, in the tool's own words.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskProgress extends Schema.Schema.Type<typeof TaskProgress> {}

const stamp = { seq: Schema.Int, at: Schema.Finite }
const ofTask = { ...stamp, snapshot: TaskSnapshot }

/**
 * Something that happened to a task. `seq` is 1, 2, 3… per manager without gaps, `at` is epoch milliseconds. Whoever has
 * seen an event can already see its effect through the handle. Each task gets exactly one of `Completed`, `Failed` and
 * `Cancelled`. A background resolution that goes to the loop under `RequestContinue` is followed by `ContinueRequested`,
 * which alone has no `snapshot`.
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
export const TaskEvent = Schema.Union(
  Schema.TaggedStruct("Queued", ofTask),
  Schema.TaggedStruct("Started", ofTask),
  Schema.TaggedStruct("Progress", { ...ofTask, progress: TaskProgress }),
  Schema.TaggedStruct("Detached", ofTask),
  Schema.TaggedStruct("AwaitingApproval", { ...ofTask, approval: ApprovalRequest }),
  Schema.TaggedStruct("Completed", { ...ofTask, result: ToolResultPart }),
  Schema.TaggedStruct("Failed", { ...ofTask, error: ToolError, result: ToolResultPart }),
  Schema.TaggedStruct("Cancelled", ofTask),
  Schema.TaggedStruct("ContinueRequested", { ...stamp, sessionId: SessionId, taskId: TaskId })
)

/**
 * Something that happened to a task. `seq` is 1, 2, 3… per manager without gaps, `at` is epoch milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskEvent = typeof TaskEvent.Type
