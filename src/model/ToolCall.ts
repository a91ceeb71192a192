/**
 * A tool call, what comes back from it, and how both stand in a transcript.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { SessionId, ToolCallId, TurnId } from "./ids.js"
import { emptyMetadata, Json, Metadata } from "./json.js"
import { Finite, Flag, list, Millis, oneOf, struct, tagged, Text, union } from "./schemas.js"

/**
 * One tool call of a turn, as the model asked for it. It is also the `TurnRef` of its turn.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolRequest = struct({
  sessionId: SessionId,
  turnId: TurnId,
  callId: ToolCallId,
  toolName: Text,
  input: Json,
  metadata: Metadata
})

/**
 * A value of the `ToolRequest` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolRequest extends Schema.Schema.Type<typeof ToolRequest> {}

/**
 * A piece of text in a transcript or in the output of a tool.
 *
 * @since 0.1.0
 * @category models
 */
export const TextPart = tagged("Text", { text: Text })

/**
 * A value of the `TextPart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextPart extends Schema.Schema.Type<typeof TextPart> {}

/**
 * A file, an image or a sound: base64 data with its media type.
 *
 * @since 0.1.0
 * @category models
 */
export const MediaPart = tagged("Media", { mediaType: Text, data: Text })

/**
 * A value of the `MediaPart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface MediaPart extends Schema.Schema.Type<typeof MediaPart> {}

/**
 * What a tool may put into `ToolOutput.Parts`.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolOutputPart = union(TextPart, MediaPart)

/**
 * A value of the `ToolOutputPart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolOutputPart = typeof ToolOutputPart.Type

/**
 * What a tool answers: text, a JSON value, or several parts. The functions named after the members make them.
 *
 * @example
 * ```ts
 * import { ToolOutput } from "effect-task-manager"
 *
 * const output: ToolOutput = ToolOutput.Text({ text: "3 files changed" })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const ToolOutput = Object.assign(
  union(
    tagged("Text", { text: Text }),
    tagged("Structured", { value: Json }),
    tagged("Parts", { parts: list(ToolOutputPart) })
  ),
  {
    Text: (fields: { readonly text: string }): ToolOutput.Text => ({ _tag: "Text", text: fields.text }),
    Structured: (fields: { readonly value: unknown }): ToolOutput.Structured => ({
      _tag: "Structured",
      value: fields.value
    }),
    Parts: (fields: { readonly parts: ReadonlyArray<ToolOutputPart> }): ToolOutput.Parts => ({
      _tag: "Parts",
      parts: fields.parts
    })
  }
)

/**
 * A value of the `ToolOutput` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolOutput = ToolOutput.Text | ToolOutput.Structured | ToolOutput.Parts

/**
 * The members of `ToolOutput`.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace ToolOutput {
  /**
   * Plain text.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Text {
    readonly _tag: "Text"
    readonly text: string
  }
  /**
   * A JSON value.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Structured {
    readonly _tag: "Structured"
    readonly value: unknown
  }
  /**
   * Several parts, in order.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Parts {
    readonly _tag: "Parts"
    readonly parts: ReadonlyArray<ToolOutputPart>
  }
}

const isOutputPart = (part: unknown): part is ToolOutputPart =>
  Predicate.isTagged(part, "Text")
    ? Predicate.hasProperty(part, "text") && Predicate.isString(part.text)
    : Predicate.isTagged(part, "Media") && Predicate.hasProperty(part, "mediaType") &&
      Predicate.isString(part.mediaType) &&
      Predicate.hasProperty(part, "data") && Predicate.isString(part.data)

/**
 * Whether a value is shaped as a tool output. What a structured one holds is not looked at.
 *
 * @since 0.1.0
 * @category guards
 */
export const isToolOutput = (output: unknown): output is ToolOutput => {
  if (!Predicate.hasProperty(output, "_tag")) return false
  switch (output._tag) {
    case "Text":
      return Predicate.hasProperty(output, "text") && Predicate.isString(output.text)
    case "Structured":
      return Predicate.hasProperty(output, "value")
    case "Parts":
      return Predicate.hasProperty(output, "parts") && Array.isArray(output.parts) && output.parts.every(isOutputPart)
    default:
      return false
  }
}

/**
 * The answer to one tool call, good or bad, as it goes into the transcript.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolResultPart = tagged("ToolResult", {
  callId: ToolCallId,
  output: ToolOutput,
  isError: Flag,
  metadata: Metadata
})

/**
 * A value of the `ToolResultPart` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolResultPart extends Schema.Schema.Type<typeof ToolResultPart> {}

/**
 * What an executor returns: the result for the transcript, metadata for the item around it, and how long the tool
 * took (milliseconds when encoded), which becomes the `duration` of the task's snapshot. The metadata of the result is
 * laid over that of the call; the result of a call that failed or was cancelled has that of the call alone.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolResult = struct({
  result: ToolResultPart,
  metadata: Metadata,
  duration: Schema.optionalWith(Millis, { exact: true })
})

/**
 * A value of the `ToolResult` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolResult extends Schema.Schema.Type<typeof ToolResult> {}

/**
 * The good result of a call, without metadata; a string is text.
 *
 * @since 0.1.0
 * @category constructors
 */
export const goodResult = (callId: ToolCallId, output: ToolOutput | string): ToolResult => ({
  result: {
    _tag: "ToolResult",
    callId,
    output: typeof output === "string" ? ToolOutput.Text({ text: output }) : output,
    isError: false,
    metadata: emptyMetadata
  },
  metadata: emptyMetadata
})

/**
 * The result of a call that went wrong in a way that its tool foresaw, without metadata.
 *
 * @since 0.1.0
 * @category constructors
 */
export const badResult = (callId: ToolCallId, output: ToolOutput): ToolResult => {
  const { metadata, result } = goodResult(callId, output)
  return { result: { ...result, isError: true }, metadata }
}

/**
 * An entry of a transcript with the result of one tool call. `createdAt` is epoch milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export const Item = struct({
  kind: oneOf("Tool"),
  parts: Schema.Tuple(ToolResultPart).annotations({ message: () => "must be an array of one tool result" }),
  metadata: Metadata,
  id: Schema.optionalWith(Text, { exact: true }),
  createdAt: Schema.optionalWith(Finite, { exact: true })
})

/**
 * A value of the `Item` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface Item extends Schema.Schema.Type<typeof Item> {}

/**
 * A tool as it is shown to a model: its name, what it does, and the JSON Schema of its input.
 *
 * @since 0.1.0
 * @category models
 */
export const ToolSpec = struct({
  name: Text,
  description: Text,
  inputSchema: Json,
  annotations: Schema.optionalWith(Metadata, { exact: true }),
  metadata: Metadata
})

/**
 * A value of the `ToolSpec` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolSpec extends Schema.Schema.Type<typeof ToolSpec> {}
