/** Reads how a tool ended. Everything here is hostile: a tool may throw, lie about its types, or return garbage. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { LaunchExit } from "../../machine/finish.js"
import { notJson, readToolResult } from "../../model/readToolResult.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import { approvalOf, toolErrorOf } from "../../model/toolFailures.js"
import { toJson } from "../../shared/toJson.js"
import { capExit, type OutputLimits } from "./outputLimits.js"

/** The tool died, or returned what is neither a result nor a failure. */
export interface Defect {
  readonly _tag: "Defect"
  readonly cause: Cause.Cause<unknown>
}

const ofFailure = (request: ToolRequest, error: unknown, cause: Cause.Cause<unknown>): LaunchExit | Defect => {
  const toolError = toolErrorOf(error)
  if (toolError !== undefined) return { _tag: "Failed", error: toolError }
  const approval = approvalOf(error, request.toolName)
  if (approval === undefined) return { _tag: "Defect", cause }
  // the tool may have put anything into it; a model may have nested it without end, and is told so in the step that would suspend the task
  const shown = toJson(request.input)
  if (shown._tag === "JsonFault" && !shown.isEndless) {
    throw notJson(request.toolName, "asked for approval with", shown, "input")
  }
  return { _tag: "ApprovalRequired", approval }
}

const ofCause = (request: ToolRequest, cause: Cause.Cause<unknown>): LaunchExit | Defect => {
  // a defect in a finalizer outweighs the failure before it: the tool is broken, and must not be run again on approval
  if (!Chunk.isEmpty(Cause.defects(cause))) return { _tag: "Defect", cause }
  const failure = Cause.failureOption(cause)
  return Option.isSome(failure) ? ofFailure(request, failure.value, cause) : { _tag: "Cancelled" }
}

const read = (request: ToolRequest, exit: Exit.Exit<unknown, unknown>): LaunchExit | Defect =>
  exit._tag === "Failure"
    ? ofCause(request, exit.cause)
    : { _tag: "Completed", result: readToolResult(exit.value, request.toolName) }

/** What the exit of a tool's fiber means, within the limits if there are any. Never throws, whatever the tool returned. */
export const launchExit = (
  request: ToolRequest,
  exit: Exit.Exit<unknown, unknown>,
  limits?: OutputLimits
): LaunchExit | Defect => {
  try {
    const ended = read(request, exit)
    return ended._tag === "Defect" || limits === undefined ? ended : capExit(limits, ended)
  } catch (thrown) {
    // a getter or a proxy in what the tool returned, garbage, or more of it than fits into a string
    return { _tag: "Defect", cause: Cause.die(thrown) }
  }
}
