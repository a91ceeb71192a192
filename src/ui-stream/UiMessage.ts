/**
 * A message as a chat page keeps it.
 *
 * @since 0.1.0
 */
import type { TaskId } from "../model/ids.js"
import type { UiApproval, UiTask } from "./UiMessageChunk.js"

/**
 * A call in a message, and what has come of it.
 *
 * @since 0.1.0
 * @category models
 */
export type UiToolPart =
  & {
    readonly type: "dynamic-tool"
    readonly toolCallId: string
    readonly toolName: string
    readonly input: unknown
    readonly providerExecuted?: true
  }
  & (
    | { readonly state: "input-available" }
    | { readonly state: "approval-requested"; readonly approval: { readonly id: string } }
    | { readonly state: "output-available"; readonly output: unknown }
    | { readonly state: "output-error"; readonly errorText: string }
  )

/**
 * A part of a message.
 *
 * @since 0.1.0
 * @category models
 */
export type UiMessagePart =
  | { readonly type: "step-start" }
  | { readonly type: "text" | "reasoning"; readonly text: string; readonly state: "done" }
  | { readonly type: "file"; readonly mediaType: string; readonly url: string; readonly filename?: string }
  | UiToolPart
  | { readonly type: "data-task"; readonly id: TaskId; readonly data: UiTask }
  | { readonly type: "data-approval"; readonly id: string; readonly data: UiApproval }

/**
 * A message of the AI SDK (its `UIMessage`, versions 6 and 7), as far as a session makes it.
 * Source: https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message
 *
 * @since 0.1.0
 * @category models
 */
export interface UiMessage {
  readonly id: string
  readonly role: "user" | "assistant"
  readonly parts: ReadonlyArray<UiMessagePart>
}
