/** Whether `startTask` was given a launch request at all. A caller with types cannot get it wrong. */
import { ContinuePolicy, DeliveryMode, type TaskLaunchRequest } from "../../model/Task.js"

/** What a caller without types may give: any field may be missing, or anything. */
interface GivenLaunch {
  readonly _tag?: unknown
  readonly request?: unknown
  readonly taskId?: unknown
  readonly approval?: unknown
  readonly deliveryMode?: unknown
  readonly continuePolicy?: unknown
}

type GivenRequest = { readonly [Field in keyof TaskLaunchRequest["request"]]?: unknown }

const isId = (value: unknown): boolean => typeof value === "string" && value !== ""

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const add = (found: Array<string> | undefined, field: string, value: unknown, takes: string): Array<string> => {
  const wrong = found ?? []
  wrong.push(`\`${field}\` ${value === undefined ? "is missing" : `must be ${takes}`}`)
  return wrong
}

const id = "a non-empty string"

/** Whether a word may be left out, and is one of these where it is there. */
const isOneOf = (words: ReadonlyArray<unknown>, word: unknown): boolean => word === undefined || words.includes(word)

/**
 * The defect that names every field that is wrong, undefined for a launch request. No Schema, and nothing is allocated
 * for a right one: this runs for every call.
 */
export const wrongLaunch = (launch: TaskLaunchRequest): TypeError | undefined => {
  const given: GivenLaunch = isObject(launch) ? launch : {}
  const isApproved = given._tag === "Approved"
  let found: Array<string> | undefined
  if (!isApproved && given._tag !== "Plain") found = add(found, "_tag", given._tag, "Plain or Approved")
  if (isObject(given.request)) {
    const { callId, metadata, sessionId, toolName, turnId }: GivenRequest = given.request
    if (!isId(sessionId)) found = add(found, "request.sessionId", sessionId, id)
    if (!isId(turnId)) found = add(found, "request.turnId", turnId, id)
    if (!isId(callId)) found = add(found, "request.callId", callId, id)
    if (typeof toolName !== "string") found = add(found, "request.toolName", toolName, "a string")
    if (!isObject(metadata)) found = add(found, "request.metadata", metadata, "an object")
  } else {
    found = add(found, "request", given.request, "an object")
  }
  if ((isApproved || given.taskId !== undefined) && !isId(given.taskId)) found = add(found, "taskId", given.taskId, id)
  if (isApproved && !isObject(given.approval)) found = add(found, "approval", given.approval, "an object")
  const { continuePolicy, deliveryMode } = given
  if (!isOneOf(DeliveryMode.literals, deliveryMode)) {
    found = add(found, "deliveryMode", deliveryMode, `one of ${DeliveryMode.literals.join(", ")}`)
  }
  if (!isOneOf(ContinuePolicy.literals, continuePolicy)) {
    found = add(found, "continuePolicy", continuePolicy, `one of ${ContinuePolicy.literals.join(", ")}`)
  }
  return found === undefined ? undefined : new TypeError(
    `startTask takes what TaskLaunchRequest.plain or TaskLaunchRequest.approved makes: ${found.join("; ")}`
  )
}
