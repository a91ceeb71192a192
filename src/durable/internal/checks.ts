/** What a durable manager cannot take. */
import * as Predicate from "effect/Predicate"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { refuseUnlessOneOf } from "../../shared/refusals.js"
import { isWellFormedText } from "../../shared/wellFormed.js"

/** Of an id in bytes: Postgres has no place for more in an index. */
const longestId = 512

const encoder = new TextEncoder()

// no character takes more than three bytes for each of its halves
const isShort = (text: string): boolean =>
  3 * text.length <= longestId || text.length <= longestId && encoder.encode(text).length <= longestId

/** Whether a database stores the text as it is. */
export const isStorableText = (text: string): boolean => !text.includes("\u0000") && isWellFormedText(text)

/** Whether a database stores the text as it is, and as an id. */
export const isStorable = (text: unknown): boolean => !Predicate.isString(text) || isStorableText(text) && isShort(text)

/** The ids of a launch stand in columns of their own. Names the field that cannot be stored, if there is one. */
export const unstorable = (launch: TaskLaunchRequest): string | undefined => {
  // what is no launch at all is found by the manager
  const { request, taskId }: Partial<TaskLaunchRequest> = Predicate.isObject(launch) ? launch : {}
  if (!isStorable(taskId)) return "taskId"
  if (!isStorable(request?.sessionId)) return "request.sessionId"
  return isStorable(request?.turnId) ? undefined : "request.turnId"
}

/** Throws for a name that the database cannot hold. */
export const checkName = (name: string): void => {
  if (!Predicate.isString(name) || name === "" || !isStorable(name)) {
    throw new TypeError(
      "TaskManagerDurable.layer takes a name of 1 to 512 bytes that has no NUL and no half of a character"
    )
  }
}

const choices = {
  onOwned: ["wait", "fail", "take"],
  shutdown: ["cancel", "keep"],
  output: ["keep", "drop"],
  onDamaged: ["fail", "setAside"]
} as const

/** Throws for a word that an option does not take: it would otherwise stand for the default. */
export const checkChoices = (options: { readonly [Field in keyof typeof choices]?: string | undefined }): void => {
  const check = (field: keyof typeof choices) => {
    if (options[field] !== undefined) {
      refuseUnlessOneOf(choices[field], `TaskManagerDurable.layer: ${field}`, options[field])
    }
  }
  check("onOwned")
  check("shutdown")
  check("output")
  check("onDamaged")
}
