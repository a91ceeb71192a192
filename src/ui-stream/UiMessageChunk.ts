/**
 * What a stream of UI messages is made of.
 *
 * @since 0.1.0
 */
import type { TaskId, ToolCallId } from "../model/ids.js"
import type { TaskKind, TaskStatus } from "../model/Task.js"

/**
 * What `data-task` shows of a task in the background. The part has the task's id, so a later one takes the place of an earlier one
 * in the same message.
 *
 * @since 0.1.0
 * @category models
 */
export interface UiTask {
  readonly taskId: TaskId
  readonly callId: ToolCallId
  readonly toolName: string
  readonly kind: TaskKind
  readonly status: TaskStatus
}

/**
 * What `data-approval` shows of an approval for whose call the message has no part, because an earlier message made it.
 *
 * @since 0.1.0
 * @category models
 */
export interface UiApproval {
  /** What an answer brings back. */
  readonly approvalId: string
  readonly taskId: TaskId
  readonly callId: ToolCallId
  readonly toolName: string
  readonly reason: string
  readonly summary: string
}

/**
 * A chunk of the UI message stream of the AI SDK (versions 6 and 7), as far as a session makes it.
 * Source: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
 *
 * @since 0.1.0
 * @category models
 */
export type UiMessageChunk =
  | { readonly type: "start"; readonly messageId: string }
  | { readonly type: "start-step" | "finish-step" | "abort" }
  | { readonly type: "finish"; readonly finishReason: "stop" | "length" | "content-filter" | "tool-calls" | "other" }
  | { readonly type: "error"; readonly errorText: string }
  | { readonly type: "text-start" | "text-end" | "reasoning-start" | "reasoning-end"; readonly id: string }
  | { readonly type: "text-delta" | "reasoning-delta"; readonly id: string; readonly delta: string }
  | {
    readonly type: "tool-input-available"
    readonly toolCallId: string
    readonly toolName: string
    readonly input: unknown
    readonly dynamic: true
    readonly providerExecuted?: true
  }
  | { readonly type: "tool-approval-request"; readonly approvalId: string; readonly toolCallId: string }
  | {
    readonly type: "tool-output-available"
    readonly toolCallId: string
    readonly output: unknown
    readonly dynamic: true
    readonly providerExecuted?: true
  }
  | {
    readonly type: "tool-output-error"
    readonly toolCallId: string
    readonly errorText: string
    readonly dynamic: true
  }
  | { readonly type: "tool-output-denied"; readonly toolCallId: string }
  | { readonly type: "data-task"; readonly id: TaskId; readonly data: UiTask }
  | { readonly type: "data-approval"; readonly id: string; readonly data: UiApproval }
  | { readonly type: "data-retrying"; readonly data: { readonly attempt: number } }
