/** Reads how a tool ended. Everything here is hostile: a tool may throw, lie about its types, or return garbage. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { ToolError } from "../../errors.js"
import type { LaunchExit } from "../../machine/finish.js"
import { internalError } from "../../machine/results.js"
import { isMetadata, jsonCopy } from "../../model/json.js"
import {
  isToolOutput,
  ToolOutput,
  type ToolOutputPart,
  type ToolRequest,
  type ToolResult,
  type ToolResultPart
} from "../../model/ToolCall.js"
import { approvalOf, ownMetadata, toolErrorOf } from "../../model/toolFailures.js"

const isToolResultPart = (part: unknown): part is ToolResultPart =>
  Predicate.isRecord(part) && part["_tag"] === "ToolResult" && isToolOutput(part["output"]) &&
  typeof part["isError"] === "boolean" && typeof part["callId"] === "string" && isMetadata(part["metadata"])

const isToolResult = (value: unknown): value is ToolResult =>
  Predicate.isRecord(value) && isToolResultPart(value["result"]) && isMetadata(value["metadata"]) &&
  (value["duration"] === undefined || Duration.isDuration(value["duration"]))

const ownPart = (part: ToolOutputPart): ToolOutputPart =>
  part._tag === "Text"
    ? { _tag: "Text", text: part.text }
    : { _tag: "Media", mediaType: part.mediaType, data: part.data }

const ownOutput = (output: ToolOutput): ToolOutput => {
  switch (output._tag) {
    case "Text":
      return ToolOutput.Text({ text: output.text })
    case "Structured":
      return ToolOutput.Structured({ value: jsonCopy(output.value) })
    case "Parts":
      return ToolOutput.Parts({ parts: output.parts.map(ownPart) })
  }
}

/** Read here, where a getter may still throw, and not when the task settles; and the tool cannot change it afterwards. */
const ownCopy = ({ metadata, result }: ToolResult): ToolResult => ({
  result: {
    _tag: "ToolResult",
    callId: result.callId,
    output: ownOutput(result.output),
    isError: result.isError,
    metadata: ownMetadata(result.metadata)
  },
  metadata: ownMetadata(metadata)
})

const failed = (error: ToolError): LaunchExit => ({ _tag: "Failed", error })

const ofFailure = (request: ToolRequest, error: unknown): LaunchExit => {
  const toolError = toolErrorOf(error)
  if (toolError !== undefined) return failed(toolError)
  const approval = approvalOf(error)
  if (approval === undefined) return failed(internalError(request, error))
  // the step that suspends the task copies the call, and the tool may have put a getter into it that throws
  jsonCopy([request.input, request.metadata])
  return { _tag: "ApprovalRequired", approval }
}

const ofCause = (request: ToolRequest, cause: Cause.Cause<unknown>): LaunchExit => {
  // a defect in a finalizer outweighs the failure before it: the tool is broken, and must not be run again on approval
  if (!Chunk.isEmpty(Cause.defects(cause))) return failed(internalError(request, Cause.squash(cause)))
  const failure = Cause.failureOption(cause)
  return Option.isSome(failure) ? ofFailure(request, failure.value) : { _tag: "Cancelled" }
}

/** What the exit of a tool's fiber means, within the limits of `cap`. Never throws, whatever the tool handed back. */
export const launchExit = (
  request: ToolRequest,
  exit: Exit.Exit<unknown, unknown>,
  cap: (exit: LaunchExit) => LaunchExit = identity
): LaunchExit => {
  try {
    return cap(read(request, exit))
  } catch (thrower) {
    // a getter or a proxy in what the tool returned, or more of it than fits into a string
    return failed(internalError(request, thrower))
  }
}

const read = (request: ToolRequest, exit: Exit.Exit<unknown, unknown>): LaunchExit => {
  if (exit._tag === "Failure") return ofCause(request, exit.cause)
  const value = exit.value
  if (isToolResult(value)) return { _tag: "Completed", result: ownCopy(value) }
  return failed(internalError(request, new TypeError("The executor did not return a ToolResult")))
}
