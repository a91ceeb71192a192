/**
 * What a failure of a tool says: an error for the model, or a request for approval. Both are read by their tag, for the tool
 * may have been built against another copy of this library.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type ApprovalRequired, ToolError, ToolErrorReason } from "../errors.js"
import { emptyMetadata, isEmptyObject, isMetadata, jsonCopy, type Metadata } from "./json.js"

const isString = Predicate.isString

/**
 * A copy of metadata that its maker cannot change any more.
 *
 * @since 0.1.0
 * @category combinators
 */
export const ownMetadata = (metadata: Metadata): Metadata =>
  isEmptyObject(metadata) ? emptyMetadata : jsonCopy(metadata)

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
    ? error instanceof ToolError ? error : new ToolError({
      reason: error.reason,
      toolName: error.toolName,
      message: error.message
    })
    : undefined

const metadataOf = (value: object): Metadata =>
  Predicate.hasProperty(value, "metadata") && isMetadata(value.metadata) ? ownMetadata(value.metadata) : emptyMetadata

/**
 * What a failure of a tool asks for, undefined if it asks for nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const approvalOf = (error: unknown): ApprovalRequired["approval"] | undefined => {
  if (!Predicate.isTagged(error, "ApprovalRequired") || !Predicate.hasProperty(error, "approval")) return undefined
  const { approval } = error
  return Predicate.hasProperty(approval, "id") && isString(approval.id) && approval.id !== "" &&
      Predicate.hasProperty(approval, "requestKind") && isString(approval.requestKind) &&
      Predicate.hasProperty(approval, "reason") && isString(approval.reason) &&
      Predicate.hasProperty(approval, "summary") && isString(approval.summary)
    // the id's brand stands for the check that was just made
    ? {
      id: approval.id as ApprovalRequired["approval"]["id"],
      requestKind: approval.requestKind,
      reason: approval.reason,
      summary: approval.summary,
      metadata: metadataOf(approval)
    }
    : undefined
}
