/** The tool results that the manager writes itself. All of it is read by a model: no cause, no stack, no secret. */
import * as Duration from "effect/Duration"
import { identity } from "effect/Function"
import { ToolError } from "../errors.js"
import type { ApprovalRequest } from "../model/Approval.js"
import { ApprovalId } from "../model/ids.js"
import { emptyMetadata, isEmptyObject } from "../model/json.js"
import { notJson } from "../model/readToolResult.js"
import { TaskResolution } from "../model/TaskResolution.js"
import { ToolOutput, type ToolRequest, type ToolResult, type ToolResultPart } from "../model/ToolCall.js"
import type { ReachedLimit } from "../model/Usage.js"
import { ownText } from "../shared/ownText.js"
import { printable } from "../shared/text.js"
import { type JsonFault, maxJsonDepth } from "../shared/toJson.js"
import { wellFormedText } from "../shared/wellFormed.js"
import type { Overrun } from "./state/Budgets.js"

// the fields are ours, so the constructor need not check them again
const trusted = { disableValidation: true } as const

/** A defect of the tool, or something that is not a tool result at all. */
export const internalError = (request: ToolRequest, cause: unknown): ToolError =>
  new ToolError(
    {
      reason: "Internal",
      toolName: request.toolName,
      message: "The tool failed because of an internal error.",
      cause
    },
    trusted
  )

const whyTimedOut: Record<Overrun["_tag"], (time: string) => string> = {
  Timeout: (time) => `it did not finish within ${time}`,
  Background: (time) => `it did not finish within ${time} in the background`,
  Idle: (time) => `it reported no progress and wrote nothing for ${time}`
}

export const timedOut = (request: ToolRequest, { _tag, millis }: Overrun): ToolError =>
  new ToolError(
    {
      reason: "TimedOut",
      toolName: request.toolName,
      message: `The tool was stopped because ${whyTimedOut[_tag](Duration.format(millis))}. It may have had effects.`
    },
    trusted
  )

const shownLimit = ({ max, name, scope }: ReachedLimit): string =>
  name === "runTime" ? `${Duration.format(max)} of run time for its ${scope}` : `${max} ${name} for its ${scope}`

/** The limit as a model may read it. */
const describeLimit = (reached: ReachedLimit): string => printable(shownLimit(reached))

export const limitReached = (request: ToolRequest, reached: ReachedLimit): ToolError =>
  new ToolError(
    {
      reason: "LimitReached",
      toolName: request.toolName,
      message: `The tool was stopped because it has used more than ${describeLimit(reached)}. It may have had effects.`
    },
    trusted
  )

/** What a human is asked before a call runs for which a limit is reached. */
export const limitQuestion = (request: ToolRequest, reached: ReachedLimit): ApprovalRequest => ({
  id: ApprovalId.make("usage-limit"),
  requestKind: "usage.limit",
  reason: `The limit of ${describeLimit(reached)} is reached.`,
  summary: `${printable(request.toolName)}: run it nevertheless?`,
  metadata: { limit: reached }
})

/** A call that needs approval, and whose input cannot be shown to anybody. */
export const unshowable = (request: ToolRequest, fault: JsonFault): ToolError =>
  fault.isEndless
    ? new ToolError(
      {
        reason: "InvalidInput",
        toolName: request.toolName,
        message:
          `The tool call needs approval, and nobody can approve it: its input is a cycle, nested deeper than ${maxJsonDepth} levels, or too long.`
      },
      trusted
    )
    : internalError(request, notJson(request.toolName, "asked for approval with", fault, "input"))

export const interrupted = (request: ToolRequest): ToolError =>
  new ToolError(
    {
      reason: "Interrupted",
      toolName: request.toolName,
      message: "The process that ran the tool ended before the tool did. It is not known whether the call had effects."
    },
    trusted
  )

export const approvalRejected = (request: ToolRequest, reason: string | undefined): ToolError =>
  new ToolError(
    {
      reason: "ApprovalRejected",
      toolName: request.toolName,
      message: reason === undefined || reason === ""
        ? "The tool call was not approved and did not go on."
        : `The tool call was not approved and did not go on: ${wellFormedText(reason)}`
    },
    trusted
  )

/** Why a call did not go on whose approval nobody answered in time, or not all that it asked. */
export const unanswered = (millis: number, isPartly: boolean): string =>
  isPartly
    ? `not all of its questions were answered within ${Duration.format(millis)}.`
    : `nobody answered within ${Duration.format(millis)}.`

/**
 * What an executor answered, as the answer to the call: the model always gets an answer to the call that it made.
 * The metadata of every result is that of the call, with what the tool said about its result on top.
 */
export const completedResult = (request: ToolRequest, result: ToolResultPart): ToolResultPart => {
  const metadata = isEmptyObject(request.metadata)
    ? result.metadata
    : isEmptyObject(result.metadata)
    ? request.metadata
    : { ...request.metadata, ...result.metadata }
  return result.callId === request.callId && metadata === result.metadata
    ? result
    : { _tag: "ToolResult", callId: request.callId, output: result.output, isError: result.isError, metadata }
}

const errorResult = (request: ToolRequest, text: string): ToolResultPart => ({
  _tag: "ToolResult",
  callId: request.callId,
  output: ToolOutput.Text({ text }),
  isError: true,
  metadata: request.metadata
})

/** `told` puts behind a text what the task had said before. */
export const failedResult = (
  request: ToolRequest,
  error: ToolError,
  told: (text: string) => string = identity
): ToolResultPart => errorResult(request, ownText(told(error.message)))

/** How far a cancelled call had come: the model must not be told that nothing happened when something may have. */
export type Progress = "NotStarted" | "Running" | "AwaitingApproval"

const cancelledText: Record<Progress, string> = {
  NotStarted: "The tool call was cancelled before it started.",
  Running: "The tool call was cancelled while it was running. It may have had effects.",
  AwaitingApproval: "The tool call was cancelled while it waited for approval."
}

export const cancelledResult = (
  request: ToolRequest,
  progress: Progress,
  told: (text: string) => string
): ToolResultPart => errorResult(request, ownText(told(cancelledText[progress])))

/** The transcript item for a result. */
export const itemOf = (
  taskId: TaskResolution.Item["taskId"],
  result: ToolResultPart,
  metadata: ToolResult["metadata"] = emptyMetadata
): TaskResolution.Item => TaskResolution.Item({ taskId, item: { kind: "Tool", parts: [result], metadata } })
