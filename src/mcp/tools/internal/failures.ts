/** What an error on the way to a server means for a call: whether the server may have done it is never guessed. */
import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from "@modelcontextprotocol/client"
import { JsonRpcResponseError, TaskCancelledError, TaskFailedError } from "@modelcontextprotocol/ext-tasks/client"
import * as Predicate from "effect/Predicate"
import { ToolError, type ToolErrorReason } from "../../../errors.js"
import { cutText } from "../../../shared/cutText.js"
import { printable } from "../../../shared/text.js"
import { FormRefused } from "./elicitation.js"
import { readableText } from "./listing.js"
import { isUnanswered, isUnsent, NotAnswered } from "./Wire.js"

const invalidParams = -32_602

// what of an error a model reads
const mostBytes = 4_096

/** An error and what it was caused by. */
const chain = (error: unknown): ReadonlyArray<unknown> => {
  const errors: Array<unknown> = []
  for (let current = error; current !== undefined && errors.length < 8;) {
    errors.push(current)
    current = Predicate.hasProperty(current, "cause") ? current.cause : undefined
  }
  return errors
}

const isLost = (error: unknown): boolean =>
  error instanceof NotAnswered || isUnanswered(error) ||
  error instanceof SdkError && error.code === SdkErrorCode.ConnectionClosed

/** What a server said is wrong, which its user may read. */
const refusalOf = (error: unknown): { readonly code: number | undefined; readonly message: string } | undefined =>
  error instanceof ProtocolError || error instanceof JsonRpcResponseError || error instanceof TaskFailedError
    ? { code: error.code, message: cutText(readableText(error.message, mostBytes), mostBytes).text }
    : undefined

/** How far a call was: whether a server may have seen it, or has even asked something, and the task that it is there. */
interface CallState {
  readonly isSent: boolean
  readonly hasAsked: boolean
  readonly taskId: string | undefined
}

/** Whether the server has seen nothing of the call, so that it can be made again. */
export const wasNotSent = (error: unknown, { hasAsked, isSent, taskId }: CallState): boolean =>
  // what is said of a later request, about its task or with an answer, says nothing of the call
  !hasAsked && (!isSent || taskId === undefined && chain(error).some(isUnsent))

/** `isClosed`: whether the connection has ended by now. */
export const failureOf = (
  error: unknown,
  about: { readonly toolName: string; readonly server: string; readonly call: CallState; readonly isClosed: boolean }
): ToolError => {
  const server = `The MCP server "${printable(about.server)}"`
  const make = (reason: ToolErrorReason, message: string) =>
    new ToolError({ reason, toolName: about.toolName, message, cause: error })
  const errors = chain(error)
  const http = errors.find((one) => one instanceof SdkHttpError)
  if (wasNotSent(error, about.call)) {
    const status = http?.status
    return status === 401 || status === 403
      ? make("PermissionDenied", `${server} has refused the call (HTTP ${status}). It was not made.`)
      : make(
        "Unavailable",
        `${server} could not be reached${status === undefined ? "" : ` (HTTP ${status})`}. The call was not made.`
      )
  }
  if (errors.some(isLost) || about.isClosed) {
    return make("Interrupted", `${server} ended before it answered: nobody knows what the call has done.`)
  }
  if (errors.some((one) => one instanceof TaskCancelledError)) {
    return make("Cancelled", `${server} has cancelled the call.`)
  }
  for (const one of errors) {
    if (one instanceof FormRefused) {
      return make("ExecutionFailed", `${server} has asked what is not shown: ${one.message}.`)
    }
    const refused = refusalOf(one)
    if (refused === undefined) continue
    return make(
      refused.code === invalidParams ? "InvalidInput" : "ExecutionFailed",
      `${server} answered with an error: ${refused.message}`
    )
  }
  if (http !== undefined) {
    return make("Interrupted", `${server} did not answer (HTTP ${http.status}): nobody knows what the call has done.`)
  }
  if (errors.some(isUnsent)) {
    return make("Interrupted", `${server} could not be reached any more: nobody knows what the call has done.`)
  }
  return make("Internal", `${server} answered with something that is not a result.`)
}
