/**
 * Asking a human before a tool call goes on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ApprovalId, TaskId, ToolCallId } from "./ids.js"
import { Metadata } from "./json.js"
import { struct, Text } from "./schemas.js"
import { ToolRequest } from "./ToolCall.js"

/**
 * What a tool asks for before it goes on. `id` is the tool's own choice, and an approval must name it; `summary` is what the
 * human is shown; `requestKind` and `reason` are words for the host to decide by. The manager fills in `taskId`, `callId`
 * and `asking`.
 *
 * `asking` is a secret of the manager and the host: 128 random bits, made anew each time a task asks. Whoever has it can
 * answer, so it is in what the host shows an approval from (`AwaitingApproval` events, `TaskApproval`) and comes back with
 * the answer; it is in nothing that a model, a tool or a log line is given. What a tool writes there is dropped.
 *
 * @since 0.1.0
 * @category models
 */
export const ApprovalRequest = struct({
  id: ApprovalId,
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  callId: Schema.optionalWith(ToolCallId, { exact: true }),
  requestKind: Text,
  reason: Text,
  summary: Text,
  metadata: Metadata,
  asking: Schema.optionalWith(Text, { exact: true })
})

/**
 * A value of the `ApprovalRequest` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApprovalRequest extends Schema.Schema.Type<typeof ApprovalRequest> {}

/**
 * A suspended task with the call it stands for and what is asked. `toolRequest` is a frozen copy of the call: what is
 * shown is what will run.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskApproval = struct({
  taskId: TaskId,
  toolRequest: ToolRequest,
  approval: ApprovalRequest
})

/**
 * A value of the `TaskApproval` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskApproval extends Schema.Schema.Type<typeof TaskApproval> {}
