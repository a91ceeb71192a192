/**
 * What a program without types may get wrong. Each function gives the value as it should be, or throws a `TypeError` that
 * names the field in the caller's words and never shows the value.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import { ApprovalRequest, type TaskApproval } from "../../model/Approval.js"
import { SessionId, TaskId, ToolCallId, TurnId, TurnRef } from "../../model/ids.js"
import { emptyMetadata } from "../../model/json.js"
import { AnyNumber, list, struct, Text } from "../../model/schemas.js"
import {
  ContinuePolicy,
  DeliveryMode,
  type TaskFilter,
  TaskKind,
  TaskLaunchRequest,
  TaskStatus
} from "../../model/Task.js"
import { TaskEventFilter } from "../../model/TaskEvent.js"
import type { TaskHistoryQuery } from "../../model/TaskHistory.js"
import type { OutputRange } from "../../model/TaskOutput.js"
import { ToolRequest } from "../../model/ToolCall.js"
import { UsageCosts, UsageFilter } from "../../model/Usage.js"
import type { ApprovalAnswer } from "../../services/TaskManager.js"
import { isAbortSignal } from "../../shared/abortSignals.js"
import { durationMillis } from "../../shared/durations.js"
import { refuseUnknownFields } from "../../shared/refusals.js"
import { printable } from "../../shared/text.js"
import type { TurnWaitOptions } from "../PromiseTaskManager.js"

const invalid = (what: string, ...wrong: ReadonlyArray<string>): TypeError =>
  new TypeError(`Invalid ${what}: ${[...new Set(wrong)].join("; ")}.`)

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  Predicate.isRecord(value) && !Array.isArray(value)

/** `at` is where the caller wrote the value: the name of the parameter, or the path of a field in it. */
const reader = <A, I>(what: string, at: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "all" })
  return (value: unknown, place = at): A => {
    if (value === undefined && place !== "") throw invalid(what, `\`${place}\` is missing`)
    return Either.getOrThrowWith(decode(value), ({ issue }) => {
      const wrong = ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ message, path }) => {
        const field = [...place === "" ? [] : [place], ...path.map(String)].join(".")
        return field === "" ? message : `\`${printable(field)}\` ${message}`
      })
      return invalid(what, ...wrong)
    })
  }
}

/** The object, if it has no other fields: what a field with a typo in its name was meant to say would be left out unseen. */
const only = <Given extends object>(what: string, given: Given, takes: ReadonlyArray<string>): Given => {
  refuseUnknownFields(what, given, takes)
  return given
}

export const sessionOf = reader("session id", "sessionId", SessionId)
export const taskOf = reader("task id", "taskId", TaskId)
export const tasksOf = reader("task ids", "taskIds", list(TaskId))
export const turnOf = reader("turn", "turn", TurnRef)
export const deliveryOf = reader("delivery mode", "deliveryMode", DeliveryMode)
export const policyOf = reader("continue policy", "continuePolicy", ContinuePolicy)
const requestOf = reader("tool call", "request", ToolRequest)
const approvalOf = reader("approval", "", ApprovalRequest)
const askingOf = reader("asking", "asking", Text)
export const costsOf = reader("costs", "costs", UsageCosts)
const usageOf = reader("filter", "", UsageFilter)
export const laneOf = reader("lane", "lane", Text)
export const numberOf = reader("number", "number", AnyNumber)
export const messageOf = reader("message", "message", Text)
const reasonOf = reader("reason", "reason", Text)
const eventFilterOf = reader("filter", "", TaskEventFilter)
const statusOf = reader("filter", "status", TaskStatus)
const Filter = struct({
  status: Schema.optionalWith(list(TaskStatus), { exact: true }),
  kind: Schema.optionalWith(TaskKind, { exact: true }),
  sessionId: Schema.optionalWith(SessionId, { exact: true }),
  turnId: Schema.optionalWith(TurnId, { exact: true }),
  callId: Schema.optionalWith(ToolCallId, { exact: true }),
  lane: Schema.optionalWith(Text, { exact: true }),
  parent: Schema.optionalWith(TaskId, { exact: true })
})
const filterOf = reader("filter", "", Filter)
const filterFields = Object.keys(Filter.fields)

/** All that is wrong is said at once. */
const together = <Parts extends Readonly<Record<string, () => unknown>>>(
  parts: Parts
): { readonly [Name in keyof Parts]: ReturnType<Parts[Name]> } => {
  const wrong: Array<string> = []
  const read = Record.map(parts, (part) => {
    try {
      return part()
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error))
      return undefined
    }
  })
  if (wrong.length > 0) throw new TypeError(wrong.join(" "))
  // every part has given its value
  return read as { readonly [Name in keyof Parts]: ReturnType<Parts[Name]> }
}

const optional = <A>(read: (value: unknown) => A) => (value: unknown): A | undefined =>
  value === undefined ? undefined : read(value)

const requestFields = ["sessionId", "turnId", "callId", "toolName", "input", "metadata"]
const takenByRequest = "an object with `sessionId`, `turnId`, `callId`, `toolName` and `input`"

const callOf = (request: unknown, place = "request"): ToolRequest => {
  if (request === undefined) throw invalid("tool call", `\`${place}\` is missing: ${takenByRequest}`)
  if (!isObject(request)) throw invalid("tool call", `\`${place}\` must be ${takenByRequest}`)
  only(place, request, requestFields)
  return requestOf({ ...request, metadata: request["metadata"] ?? emptyMetadata }, place)
}

/** What `startTask` takes. */
export const launchOf = (launch: unknown): TaskLaunchRequest => {
  const given = isObject(launch) ? launch : {}
  const request = () => callOf(given["request"])
  // one that was made by `TaskLaunchRequest` has a tag
  const fields = (...takes: ReadonlyArray<string>) => () => only("startTask", given, [...takes, "_tag"])
  if ("approval" in given) {
    const { fields: _, ...approved } = together({
      request,
      taskId: () => taskOf(given["taskId"]),
      approval: () => approvalOf(given["approval"]),
      fields: fields("request", "taskId", "approval")
    })
    return TaskLaunchRequest.approved(approved)
  }
  const { fields: _, ...plain } = together({
    request,
    taskId: () => optional(taskOf)(given["taskId"]),
    deliveryMode: () => optional(deliveryOf)(given["deliveryMode"]),
    continuePolicy: () => optional(policyOf)(given["continuePolicy"]),
    fields: fields("request", "taskId", "deliveryMode", "continuePolicy")
  })
  return TaskLaunchRequest.plain(plain)
}

/** What `rejectApproval` takes. */
export const rejectionOf = (
  options: unknown
): { readonly taskId: TaskId; readonly reason: string | undefined; readonly asking: string | undefined } => {
  const given = isObject(options) ? options : {}
  const { fields: _, ...rejection } = together({
    taskId: () => taskOf(given["taskId"]),
    reason: () => optional(reasonOf)(given["reason"]),
    asking: () => optional(askingOf)(given["asking"]),
    fields: () => only("rejectApproval", given, ["taskId", "reason", "asking"])
  })
  return rejection
}

const takenByAnswer = "an object with `taskId`, `toolRequest` and `approval`"

/** The request for approval that is answered. */
export const answeredOf = (asked: unknown): TaskApproval => {
  if (!isObject(asked)) throw invalid("approval", `must be ${takenByAnswer}`)
  return together({
    taskId: () => taskOf(asked["taskId"]),
    toolRequest: () => callOf(asked["toolRequest"], "toolRequest"),
    approval: () => approvalOf(asked["approval"])
  })
}

/** What they say is for the manager to check. */
const answersOf = (answers: unknown): Readonly<Record<string, unknown>> => {
  if (isObject(answers)) return answers
  throw invalid("answer", "`answers` must be an object")
}

/** What is answered. */
export const answerOf = (answer: unknown): ApprovalAnswer => {
  if (answer === "approve") return answer
  if (!isObject(answer)) throw invalid("answer", "must be \"approve\", or an object with `reject` or `answers`")
  if ("answers" in answer) return { answers: answersOf(only("answer", answer, ["answers"])["answers"]) }
  only("answer", answer, ["reject"])
  return { reject: reasonOf(answer["reject"], "reject") }
}

/** What the readers of some events take. */
export const toEventFilter = (filter: unknown): TaskEventFilter => {
  if (!isObject(filter)) throw invalid("filter", "must be an object")
  only("filter", filter, ["sessionId", "taskId", "after"])
  return eventFilterOf(Record.filter(filter, Predicate.isNotUndefined))
}

/** What `usage` takes; which fields go together is checked by the manager. */
export const usageFilterOf = (filter: unknown): UsageFilter => {
  if (!isObject(filter)) throw invalid("filter", "must be an object")
  only("filter", filter, ["taskId", "sessionId", "turnId", "lane"])
  return usageOf(Record.filter(filter, Predicate.isNotUndefined))
}

/** What `list` takes. */
export const toFilter = (filter: unknown): TaskFilter | undefined => {
  if (filter === undefined) return undefined
  if (!isObject(filter)) throw invalid("filter", "must be an object")
  const { status } = only("filter", filter, filterFields)
  const fields: Readonly<Record<string, unknown>> = {
    ...filter,
    status: status === undefined || Array.isArray(status) ? status : [statusOf(status)]
  }
  return filterOf(Record.filter(fields, Predicate.isNotUndefined))
}

/** What `history` takes; its numbers are checked by the manager. */
export const toHistoryQuery = (query: unknown): TaskHistoryQuery | undefined => {
  if (query === undefined) return undefined
  if (!isObject(query)) throw invalid("history", "`query` must be an object")
  const { before, filter, limit } = only("query", query, ["before", "limit", "filter"])
  const wrong = [["before", before], ["limit", limit]].flatMap(([field, value]) =>
    value === undefined || Predicate.isNumber(value) ? [] : [`\`${String(field)}\` must be a number`]
  )
  if (wrong.length > 0) throw invalid("history", ...wrong)
  return {
    before: Predicate.isNumber(before) ? before : undefined,
    limit: Predicate.isNumber(limit) ? limit : undefined,
    filter: historyFilterOf(filter)
  }
}

const historyFilterOf = (filter: unknown): TaskHistoryQuery["filter"] => {
  const { callId, kind, lane, parent, sessionId, status, turnId } = toFilter(filter) ?? {}
  const unknown = Object.entries({ callId, kind, lane, parent, turnId }).flatMap(([field, value]) =>
    value === undefined ? [] : [field]
  )
  if (unknown.length > 0) throw invalid("filter", ...unknown.map((field) => `\`${field}\` filters no history`))
  return { sessionId, status }
}

/** Its fields are checked by the manager. */
export const rangeOf = (range: OutputRange | undefined): OutputRange | undefined => {
  if (range === undefined) return range
  if (isObject(range)) return only("range", range, ["start", "maxBytes"])
  throw invalid("output", "`range` must be an object")
}

/** The function that a `consume…` method gives what it takes. */
export const useOf = <F extends (value: never) => unknown>(use: F): F => {
  if (typeof use === "function") return use
  throw invalid("use", "`use` must be a function")
}

const onAborts: Readonly<Record<NonNullable<TurnWaitOptions["onAbort"]>, true>> = { EndWait: true, InterruptTurn: true }

/** Fields of the options of a method that waits. */
export type WaitField = keyof TurnWaitOptions

/** The options of a method that waits, if it takes no others than these. */
export const waitOf = <Options extends TurnWaitOptions>(
  options: Options | undefined,
  takes: ReadonlyArray<WaitField> = ["signal"]
): Options | undefined => {
  if (options === undefined) return undefined
  if (!isObject(options)) throw invalid("options", "must be an object")
  only("options", options, takes)
  const { onAbort, signal } = options
  // of the methods that have one
  const timeout: unknown = Reflect.get(options, "timeout")
  const wrong: Array<string> = []
  if (signal !== undefined && !isAbortSignal(signal)) wrong.push("`signal` must be an AbortSignal")
  if (onAbort !== undefined && !(typeof onAbort === "string" && Object.hasOwn(onAborts, onAbort))) {
    wrong.push(`\`onAbort\` must be one of ${Object.keys(onAborts).join(", ")}`)
  }
  if (timeout !== undefined && durationMillis(timeout) === undefined) wrong.push("`timeout` must be a duration from 0")
  if (wrong.length > 0) throw invalid("options", ...wrong)
  return options
}

/** What a tool reports of its progress; its fields are the manager's business. */
export const progressOf = <A>(progress: A): A => {
  if (isObject(progress)) return only("progress", progress, ["message", "fraction", "data"])
  throw invalid("progress", "reportProgress takes an object with `message`, `fraction` or `data`")
}
