/**
 * Asking a human before a tool call goes on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ApprovalId, TaskId, ToolCallId } from "./ids.js"
import { Json, Metadata } from "./json.js"
import { list, NonEmptyText, struct, Text } from "./schemas.js"
import { ToolRequest } from "./ToolCall.js"

/**
 * One question to a human. `id` names it among those of its task, `text` is what the human is shown, and `schema` is the JSON Schema
 * that an answer must fit; without one the answer is a text. Of JSON Schema the manager checks `type`, `enum`, `const`, `anyOf`, `oneOf`,
 * `allOf`, `not`, local `$ref`s, and what limits objects, lists, texts and numbers (docs/questions.md has the list); a tool that asks with a keyword that it does
 * not check fails. `pattern` is only taken from `Question.make`, which makes the schema of one of Effect.
 *
 * @since 0.1.0
 * @category models
 */
export const ApprovalQuestion = struct({
  id: NonEmptyText,
  text: Text,
  schema: Schema.optionalWith(Json, { exact: true })
})

/**
 * A value of the `ApprovalQuestion` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApprovalQuestion extends Schema.Schema.Type<typeof ApprovalQuestion> {}

/**
 * What a tool asks for before it goes on. `id` is the tool's own choice, and an approval must name it; `summary` is what the
 * human is shown; `requestKind` and `reason` are words for the host to decide by. The manager fills in `taskId`, `callId`
 * and `asking`.
 *
 * `asking` is a secret of the manager and the host: 128 random bits, made anew each time a task asks. Whoever has it can
 * answer, so it is in what the host shows an approval from (`AwaitingApproval` events, `TaskApproval`) and comes back with
 * the answer; it is in nothing that a model, a tool or a log line is given. What a tool writes there is dropped.
 *
 * With `questions` an approval alone is not enough: each of them needs an answer before the tool runs again, and it finds the answers in
 * `CurrentTask.answers`. At most 100 questions, each with an id of its own.
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
  questions: Schema.optionalWith(list(ApprovalQuestion), { exact: true }),
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
 * shown is what will run. `answered` has the ids of the questions that have an answer already, in the order in which they were
 * answered; only the tool gets the answers themselves.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskApproval = struct({
  taskId: TaskId,
  toolRequest: ToolRequest,
  approval: ApprovalRequest,
  answered: Schema.optionalWith(list(NonEmptyText), { exact: true })
})

/**
 * A value of the `TaskApproval` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskApproval extends Schema.Schema.Type<typeof TaskApproval> {}
