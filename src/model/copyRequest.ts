/**
 * The call of a tool in the hands of several: its caller, the manager and the tool have an object of their own each.
 *
 * @since 0.1.0
 */
import { isEmptyObject, jsonCopy } from "./json.js"
import type { ToolRequest } from "./ToolCall.js"

/**
 * A copy of a call that shares only the input with it: to copy that may take long, and the manager reads it before the tool begins.
 *
 * @since 0.1.0
 * @category combinators
 */
export const copyRequest = ({ callId, input, metadata, sessionId, toolName, turnId }: ToolRequest): ToolRequest => ({
  sessionId,
  turnId,
  callId,
  toolName,
  input,
  // nearly all metadata is empty
  metadata: isEmptyObject(metadata) ? {} : jsonCopy(metadata)
})

/**
 * As `copyRequest`, and with an input of its own.
 *
 * @since 0.1.0
 * @category combinators
 */
export const copyWhole = (request: ToolRequest): ToolRequest => ({
  ...copyRequest(request),
  input: jsonCopy(request.input)
})
