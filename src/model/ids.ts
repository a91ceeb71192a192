/**
 * Branded ids: a session, a turn, a task, a tool call and an approval can never be mixed up.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { NonEmptyText, struct } from "./schemas.js"

/**
 * The id of one conversation. A non-empty string.
 *
 * @since 0.1.0
 * @category ids
 */
export const SessionId = NonEmptyText.pipe(Schema.brand("SessionId"))

/**
 * A value of the `SessionId` schema.
 *
 * @since 0.1.0
 * @category ids
 */
export type SessionId = typeof SessionId.Type

/**
 * The id of one round of the agent loop, unique within its session only. A non-empty string.
 *
 * @since 0.1.0
 * @category ids
 */
export const TurnId = NonEmptyText.pipe(Schema.brand("TurnId"))

/**
 * A value of the `TurnId` schema.
 *
 * @since 0.1.0
 * @category ids
 */
export type TurnId = typeof TurnId.Type

/**
 * The id of a task, unique among the live and the retained tasks of a manager. A non-empty string: `make` throws for an
 * empty one, as that of every id does.
 *
 * @example
 * ```ts
 * import { TaskId } from "effect-task-manager"
 *
 * const id: TaskId = TaskId.make("task-1")
 * ```
 *
 * @since 0.1.0
 * @category ids
 */
export const TaskId = NonEmptyText.pipe(Schema.brand("TaskId"))

/**
 * A value of the `TaskId` schema.
 *
 * @since 0.1.0
 * @category ids
 */
export type TaskId = typeof TaskId.Type

/**
 * The id that the model gave to a tool call; its result carries it back. A non-empty string.
 *
 * @since 0.1.0
 * @category ids
 */
export const ToolCallId = NonEmptyText.pipe(Schema.brand("ToolCallId"))

/**
 * A value of the `ToolCallId` schema.
 *
 * @since 0.1.0
 * @category ids
 */
export type ToolCallId = typeof ToolCallId.Type

/**
 * The id of a request for approval, chosen by the tool that asks. A non-empty string.
 *
 * @since 0.1.0
 * @category ids
 */
export const ApprovalId = NonEmptyText.pipe(Schema.brand("ApprovalId"))

/**
 * A value of the `ApprovalId` schema.
 *
 * @since 0.1.0
 * @category ids
 */
export type ApprovalId = typeof ApprovalId.Type

/**
 * Names one turn. Turns are always keyed by session and turn id together; a `ToolRequest` is a `TurnRef`.
 *
 * @since 0.1.0
 * @category ids
 */
export const TurnRef = struct({ sessionId: SessionId, turnId: TurnId })

/**
 * A value of the `TurnRef` schema.
 *
 * @since 0.1.0
 * @category ids
 */
export interface TurnRef extends Schema.Schema.Type<typeof TurnRef> {}
