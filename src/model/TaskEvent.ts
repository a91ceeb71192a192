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
 * How far a running tool is. `fraction` is from 0 to 1; everything in it is the tool's own, hostile text.
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
 * How far a running tool is. `fraction` is from 0 to 1; everything in it is the tool's own, hostile text.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskProgress extends Schema.Schema.Type<typeof TaskProgress> {}

const stamp = { seq: Schema.Int, at: Schema.Finite }
const ofTask = { ...stamp, snapshot: TaskSnapshot }

/**
 * Something that happened to a task. `seq` is 1, 2, 3… per manager without gaps, `at` is epoch milliseconds. Whoever has
 * seen an event can already see its effect through the handle. A background resolution that goes to the loop under
 * `RequestContinue` is followed by `ContinueRequested`.
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
