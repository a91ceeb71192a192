/** Problem documents, made of what went wrong. None of their texts shows a value of the request. */
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Schema from "effect/Schema"
import { TaskManagerError } from "../../errors.js"
import { printable } from "../../shared/text.js"
import type { ProblemOf } from "../api/Problem.js"

const prefix = "urn:effect-task-manager:problem:"

export const problem = <const Status extends number>(
  status: Status,
  name: string,
  title: string,
  detail: string,
  more: { readonly field?: string; readonly error?: { readonly [key: string]: unknown } } = {}
): ProblemOf<Status> => ({ type: prefix + name, title, status, detail, ...more })

export const respondWith = (
  document: ProblemOf<number>,
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(document), {
    status: document.status,
    contentType: "application/problem+json",
    headers
  })

/** Which field it was, and whether it was there; the message of the error is left out, for it shows the value. */
export const undecodable = ({ issues }: HttpApiDecodeError): ProblemOf<400> => {
  const first = issues[0]
  const path = (first?.path ?? []).map(String).join(".")
  const field = path === "" ? "the request" : printable(path)
  return problem(
    400,
    "InvalidRequest",
    "Invalid request",
    first?._tag === "Missing" ? "This field is missing." : "This field is not what it takes: see /api/openapi.json.",
    { field }
  )
}

/** A field that a handler itself finds wrong. */
export const invalidField = (field: string): HttpApiDecodeError =>
  new HttpApiDecodeError({ issues: [{ _tag: "Type", path: [field], message: "" }], message: "" })

const encode = Schema.encodeSync(TaskManagerError)

type OfPath = "taskId" | "lane" | undefined

// what the path said is not said again: it may be anything
const fieldsOf = (error: TaskManagerError, ofPath: OfPath): { readonly [key: string]: unknown } => {
  const { ...fields }: { [key: string]: unknown } = encode(error)
  if (ofPath !== undefined) delete fields[ofPath]
  return fields
}

const details: { readonly [Tag in TaskManagerError["_tag"]]: string } = {
  TaskNotFound: "There is no such task, or it is no longer kept.",
  TaskNotRunning: "The task cannot be changed any more.",
  TaskNotSuspended: "The task does not wait for an approval.",
  TaskDoesNotListen: "The tool of the task has not asked for messages.",
  TaskInboxFull: "Too many messages wait for the tool of the task.",
  TaskAlreadyExists: "There is a task with this id already.",
  DuplicateCallId: "The turn has a call with this id already.",
  DuplicateCall: "The same call is live already.",
  UsageLimitReached: "What may be used is used up.",
  TaskLimitReached: "There are too many tasks or results.",
  ConcurrencyRefused: "The limit of the lane cannot be changed so.",
  ApprovalMismatch: "The answer does not fit what is asked now.",
  InvalidAnswer: "An answer to a question was refused, and none counts.",
  TaskCancelled: "The task is cancelled.",
  TaskManagerShutdown: "The manager is shut down.",
  WaitTimedOut: "Nothing happened in time."
}

/** Whoever waits is told so when the server closes, which waits for its requests. */
export const closing: ProblemOf<503> = problem(503, "Closing", "Unavailable", "The server closes: ask again.")

/** The same error over HTTP; `ofPath` is the field whose value was in the path. */
export const notFound = (error: Extract<TaskManagerError, { _tag: "TaskNotFound" }>): ProblemOf<404> =>
  problem(404, error._tag, "Not found", details[error._tag], { error: fieldsOf(error, "taskId") })

export const conflict = (error: TaskManagerError, ofPath: OfPath): ProblemOf<409> =>
  problem(409, error._tag, "Conflict", details[error._tag], { error: fieldsOf(error, ofPath) })

export const shutDown = (error: Extract<TaskManagerError, { _tag: "TaskManagerShutdown" }>): ProblemOf<503> =>
  problem(503, error._tag, "Shut down", details[error._tag], { error: fieldsOf(error, undefined) })
