/**
 * The calls of a transcript, and why an entry is refused.
 *
 * @since 0.1.0
 */
import type { ToolCallId, TurnId } from "../../model/ids.js"

/**
 * A call of the model that a tool of ours has to answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface TranscriptCall {
  readonly turnId: TurnId
  readonly callId: ToolCallId
  readonly toolName: string
  readonly params: unknown
}

/**
 * Why an entry was not added. `Duplicate`: it is there already (the same message, reply or late result, or any result of the same
 * call); `UnknownCall`: a result of a call that no reply made.
 *
 * @since 0.1.0
 * @category models
 */
export type TranscriptRefusal = "Duplicate" | "UnknownCall"
