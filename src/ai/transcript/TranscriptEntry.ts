/**
 * What a transcript is made of. All of it is JSON: an entry that was stored can be decoded again.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { TaskId, ToolCallId, TurnId } from "../../model/ids.js"
import { Json, Metadata } from "../../model/json.js"
import { Flag, list, oneOf, tagged, Text, union } from "../../model/schemas.js"
import { TextPart, ToolOutput } from "../../model/ToolCall.js"

/**
 * A file of a message. `data` is base64, or a URL with its scheme (`https:`).
 *
 * @since 0.1.0
 * @category models
 */
export const FilePart = tagged("File", {
  mediaType: Text,
  data: Text,
  fileName: Schema.optionalWith(Text, { exact: true })
})

/**
 * A value of the `FilePart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface FilePart extends Schema.Schema.Type<typeof FilePart> {}

/**
 * A part of what a user says.
 *
 * @since 0.1.0
 * @category models
 */
export const UserPart = union(TextPart, FilePart)

/**
 * A value of the `UserPart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type UserPart = typeof UserPart.Type

// what a provider said about a part and wants back with it: ids of items, signatures of thoughts
const options = { options: Metadata }

/**
 * A part of a reply of the model. `options` is what the provider attached to it and needs back (the `itemId` of OpenAI, the
 * `signature` of Anthropic). A call that the provider executed itself has its result in the same reply. `providerName` is
 * the provider's own name of a tool that has another name in the toolkit.
 *
 * @since 0.1.0
 * @category models
 */
export const ReplyPart = union(
  tagged("Text", { text: Text, ...options }),
  tagged("Reasoning", { text: Text, ...options }),
  tagged("File", { mediaType: Text, data: Text, ...options }),
  tagged("ToolCall", {
    callId: ToolCallId,
    toolName: Text,
    providerName: Schema.optionalWith(Text, { exact: true }),
    providerExecuted: Flag,
    params: Json,
    ...options
  }),
  tagged("ProviderResult", {
    callId: ToolCallId,
    toolName: Text,
    providerName: Schema.optionalWith(Text, { exact: true }),
    isError: Flag,
    result: Json,
    ...options
  })
)

/**
 * A value of the `ReplyPart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ReplyPart = typeof ReplyPart.Type

/**
 * Why a reply ended: what the provider said, or `interrupted` for one that was cut short and of which only the text is kept.
 *
 * @since 0.1.0
 * @category models
 */
export const ReplyEnd = oneOf(
  "stop",
  "length",
  "content-filter",
  "tool-calls",
  "error",
  "pause",
  "other",
  "unknown",
  "interrupted"
)

/**
 * A value of the `ReplyEnd` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ReplyEnd = typeof ReplyEnd.Type

const UserMessage = tagged("UserMessage", { messageId: Text, content: list(UserPart) })

const AssistantMessage = tagged("AssistantMessage", {
  replyId: Text,
  turnId: TurnId,
  parts: list(ReplyPart),
  end: ReplyEnd,
  provider: Schema.optionalWith(Text, { exact: true })
})

const ToolResult = tagged("ToolResult", {
  callId: ToolCallId,
  toolName: Text,
  outcome: oneOf("Result", "Placeholder", "Interrupted"),
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  isError: Flag,
  output: ToolOutput
})

const LateResult = tagged("LateResult", {
  callId: ToolCallId,
  toolName: Text,
  taskId: TaskId,
  isError: Flag,
  output: ToolOutput,
  boundary: Text
})

/**
 * Why a conversation was changed. `Host`: by `AgentSession.rewrite`; `Compacted`: by `compact` of the session; `FileRefused`: the
 * provider refused a file, and a text stands in its place; `TooLong`: what was new was too long for the model, and was cut;
 * `AttachmentsRefused`: the provider did not know what it had attached to its replies, and it is shown no more.
 *
 * @since 0.1.0
 * @category models
 */
export const RewriteReason = oneOf("Host", "Compacted", "FileRefused", "TooLong", "AttachmentsRefused")

/**
 * A value of the `RewriteReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type RewriteReason = typeof RewriteReason.Type

const Rewrite = tagged("Rewrite", {
  reason: RewriteReason,
  entries: list(union(UserMessage, AssistantMessage, ToolResult, LateResult)),
  droppedMessageIds: Schema.optionalWith(list(Text), { exact: true })
})

/**
 * One step of a conversation.
 *
 * - `UserMessage`: what a user said.
 * - `AssistantMessage`: one reply of the model, with its calls. `provider` is who made it (`openai`, `anthropic`), where that
 *   is known: what a provider attached to its reply is shown to that provider alone.
 * - `ToolResult`: the one answer to one call. `Result`: what the tool gave; `Placeholder`: the call runs in the background as
 *   `taskId`; `Interrupted`: not known, because the program that ran it has ended, or it never began.
 * - `LateResult`: what a call in the background gave in the end. `boundary` occurs nowhere in its output: a note that is
 *   enclosed in it cannot be ended from within.
 * - `Rewrite`: in a log alone. Its entries take the place of everything before it: what `AgentSession.rewrite` and a compaction
 *   make, and a stand-in for what a provider has refused. `droppedMessageIds` are those of the user's messages that this and earlier
 *   compactions have left out, the latest 1,000: such a message is not taken again.
 *
 * @since 0.1.0
 * @category models
 */
export const TranscriptEntry = union(UserMessage, AssistantMessage, ToolResult, LateResult, Rewrite)

/**
 * A value of the `TranscriptEntry` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TranscriptEntry = typeof TranscriptEntry.Type

/**
 * The members of `TranscriptEntry`.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace TranscriptEntry {
  /**
   * What a user said. `messageId` is unique in its session.
   *
   * @since 0.1.0
   * @category models
   */
  export interface UserMessage extends Schema.Schema.Type<typeof UserMessage> {}
  /**
   * One reply of the model, with its calls. `replyId` is unique in its session.
   *
   * @since 0.1.0
   * @category models
   */
  export interface AssistantMessage extends Schema.Schema.Type<typeof AssistantMessage> {}
  /**
   * The one answer to one call.
   *
   * @since 0.1.0
   * @category models
   */
  export interface ToolResult extends Schema.Schema.Type<typeof ToolResult> {}
  /**
   * What a call in the background gave in the end.
   *
   * @since 0.1.0
   * @category models
   */
  export interface LateResult extends Schema.Schema.Type<typeof LateResult> {}
  /**
   * Other entries in the place of everything before it.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Rewrite extends Schema.Schema.Type<typeof Rewrite> {}
}
