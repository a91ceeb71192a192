/**
 * The events of a session, for its host.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { TaskApproval } from "../../model/Approval.js"
import { TaskId, ToolCallId, TurnId } from "../../model/ids.js"
import { Json } from "../../model/json.js"
import { Flag, list, oneOf, struct, tagged, Text, union, Whole } from "../../model/schemas.js"
import { TaskSnapshot } from "../../model/Task.js"
import { TaskEvent } from "../../model/TaskEvent.js"
import { ReplyEnd, RewriteReason } from "../transcript/TranscriptEntry.js"
import { TurnFailure } from "./errors.js"

const ofTurn = { turnId: TurnId }

/**
 * Why a turn began: messages of the user, background results that asked for it, or `resume`.
 *
 * @since 0.1.0
 * @category models
 */
export const TurnCause = union(
  tagged("Message", { messageIds: list(Text) }),
  tagged("Wake", { taskIds: list(TaskId) }),
  tagged("Resume", {})
)

/**
 * A value of the `TurnCause` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TurnCause = typeof TurnCause.Type

/**
 * How a turn ended. `Completed`: with a reply without calls, which the provider ended because of `end`.
 *
 * @since 0.1.0
 * @category models
 */
export const TurnEnd = union(
  tagged("Completed", { end: ReplyEnd }),
  tagged("Interrupted", {}),
  tagged("Failed", { error: TurnFailure })
)

/**
 * A value of the `TurnEnd` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TurnEnd = typeof TurnEnd.Type

/**
 * What a session does. `Idle`: no turn is running; `Collecting`: it looks for late results before a turn that they would
 * start; `Replying`: a request to the model is under way; `RunningTools`: the calls of a reply run; `AwaitingApproval`: all
 * that is left of them waits for an answer; `Interrupting`: the turn is being stopped; `Closed`: nothing more happens.
 *
 * @since 0.1.0
 * @category models
 */
export const SessionPhase = oneOf(
  "Idle",
  "Collecting",
  "Replying",
  "RunningTools",
  "AwaitingApproval",
  "Interrupting",
  "Closed"
)

/**
 * A value of the `SessionPhase` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type SessionPhase = typeof SessionPhase.Type

const stateFields = {
  phase: SessionPhase,
  turnId: Schema.optionalWith(TurnId, { exact: true }),
  approvals: list(TaskApproval),
  live: list(TaskSnapshot)
}

/**
 * A session at one moment. `turnId` is the running turn, from its `TurnStarted` to its `TurnEnded`; `approvals` are what
 * waits for an answer, longest first; `live` are the tasks of the session that have not ended, oldest first, in the foreground
 * and in the background.
 *
 * @since 0.1.0
 * @category models
 */
export const AgentSessionState = struct(stateFields)

/**
 * A value of the `AgentSessionState` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentSessionState extends Schema.Schema.Type<typeof AgentSessionState> {}

/**
 * Something that happened in a session, in the order in which it happened.
 *
 * - `TurnStarted` … `TurnEnded` enclose each turn; turns of a session never overlap.
 * - `MessageTaken`: a message of the user becomes part of the turn's next request, or the turn that has begun with it failed before
 *   that. It comes again in a later turn if this one ended before the message was stored.
 * - `TextDelta`, `ReasoningDelta`: a piece of the model's reply. `Retrying`: the request failed and is made again, by `retry` or with a
 *   conversation that was compacted or mended, and what the model said in it does not count; `attempt` is the number of the new
 *   request, from 2.
 * - `ToolCall`: the model makes a call; what becomes of it is in the `Task` events, whose snapshots carry `callId`.
 * - `Task`: an event of a task of the session, also of the background and between turns. The events of a task come before the
 *   model's reply to its result, and all that happened in a turn before its `TurnEnded`. The events of the tasks that `close`
 *   cancels come before the end; the last one is `SessionClosed`.
 * - `ApprovalRequested`: a task waits for `approve`, `answer` or `reject`. It follows the `AwaitingApproval` event of the task. Answers to its
 *   questions are `Task` events (`QuestionsAnswered`).
 * - `TranscriptRewritten`: the conversation was changed, by the host or because a provider refused it.
 * - `LateResult`: a background result became part of the conversation; `WakeHeld`: the budget of wake-ups is used up, so
 *   results wait for the next message.
 * - `Reset`: events were missed, because this subscriber did not read them (`eventBuffer`, `eventBytes`), or because the manager's
 *   tasks were faster than the session. It carries the session as it is at this place among the events; what follows
 *   happened after it.
 *
 * @since 0.1.0
 * @category models
 */
export const AgentEvent = union(
  tagged("TurnStarted", { ...ofTurn, cause: TurnCause }),
  tagged("MessageTaken", { ...ofTurn, messageId: Text }),
  tagged("TextDelta", { ...ofTurn, delta: Text }),
  tagged("ReasoningDelta", { ...ofTurn, delta: Text }),
  tagged("Retrying", { ...ofTurn, attempt: Whole, error: TurnFailure }),
  tagged("ToolCall", { ...ofTurn, callId: ToolCallId, toolName: Text, params: Json, providerExecuted: Flag }),
  tagged("Task", { event: TaskEvent }),
  tagged("ApprovalRequested", { approval: TaskApproval }),
  tagged("LateResult", { taskId: TaskId, callId: ToolCallId, toolName: Text, isError: Flag }),
  tagged("TranscriptRewritten", { reason: RewriteReason }),
  tagged("WakeHeld", { taskIds: list(TaskId) }),
  tagged("Reset", stateFields),
  tagged("TurnEnded", { ...ofTurn, reason: TurnEnd })
)

/**
 * A value of the `AgentEvent` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type AgentEvent = typeof AgentEvent.Type
