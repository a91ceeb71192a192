/**
 * What a failure of a tool says: an error for the model, or a request for approval. Both are read by their tag, for the tool
 * may have been built against another copy of this library.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type ApprovalRequired, ToolError, ToolErrorReason } from "../errors.js"
import { ownText } from "../shared/ownText.js"
import { isWellFormedText } from "../shared/wellFormed.js"
import { emptyMetadata, type Metadata, readMetadata } from "./json.js"
import { notJson } from "./readToolResult.js"

const isString = Predicate.isString

const isReason = Schema.is(ToolErrorReason)

/**
 * The error that a tool failed with, undefined if the failure is none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolErrorOf = (error: unknown): ToolError | undefined =>
  Predicate.isTagged(error, "ToolError") &&
    Predicate.hasProperty(error, "reason") && isReason(error.reason) &&
    Predicate.hasProperty(error, "message") && isString(error.message) &&
    Predicate.hasProperty(error, "toolName") && isString(error.toolName)
    ? error instanceof ToolError && isWellFormedText(error.message) && isWellFormedText(error.toolName)
      ? error
      : new ToolError({
        reason: error.reason,
        toolName: ownText(error.toolName),
        message: ownText(error.message),
        // of an error of another copy as well: it is hidden there and here
        cause: Reflect.get(error, "cause")
      })
    : undefined

const metadataOf = (value: object, toolName: string): Metadata => {
  const metadata: unknown = Reflect.get(value, "metadata")
  // an error that was thrown by its tag may have none
  if (metadata === undefined || metadata === null) return emptyMetadata
  const reading = readMetadata(metadata)
  if (reading._tag === "JsonFault") throw notJson(toolName, "asked for approval with", reading, "metadata")
  return reading.value
}

/**
 * What a failure of a tool asks for, undefined if it asks for nothing. Throws a `TypeError` for metadata that cannot be made
 * JSON.
 *
 * @since 0.1.0
 * @category constructors
 */
export const approvalOf = (error: unknown, toolName: string): ApprovalRequired["approval"] | undefined => {
  if (!Predicate.isTagged(error, "ApprovalRequired") || !Predicate.hasProperty(error, "approval")) return undefined
  const { approval } = error
  return Predicate.hasProperty(approval, "id") && isString(approval.id) && approval.id !== "" &&
      Predicate.hasProperty(approval, "requestKind") && isString(approval.requestKind) &&
      Predicate.hasProperty(approval, "reason") && isString(approval.reason) &&
      Predicate.hasProperty(approval, "summary") && isString(approval.summary)
    // the id's brand stands for the check that was just made
    ? {
      id: ownText(approval.id) as ApprovalRequired["approval"]["id"],
      requestKind: ownText(approval.requestKind),
      reason: ownText(approval.reason),
      summary: ownText(approval.summary),
      metadata: metadataOf(approval, toolName)
    }
    : undefined
}
