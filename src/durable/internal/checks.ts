/** What a durable manager cannot take. */
import * as Predicate from "effect/Predicate"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { refuseUnlessOneOf } from "../../shared/refusals.js"
import { isWellFormedText } from "../../shared/wellFormed.js"

/** Whether a database stores the text as it is. */
export const isStorable = (text: unknown): boolean =>
  !Predicate.isString(text) || !text.includes("\u0000") && isWellFormedText(text)

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
      "TaskManagerDurable.layer takes a name that is not empty and has no NUL and no half of a character"
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
