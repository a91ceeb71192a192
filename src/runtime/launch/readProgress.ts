/** Reads what a tool says of its progress. It is hostile: only what an event can carry is kept. */
import * as Predicate from "effect/Predicate"
import { isJson } from "../../model/json.js"
import type { TaskProgress } from "../../model/TaskEvent.js"

const nothing: TaskProgress = {}

/** The fields that are what they should be; never throws. */
export const readProgress = (said: TaskProgress): TaskProgress => {
  try {
    const { data, fraction, message } = said
    return {
      ...(Predicate.isString(message) ? { message } : undefined),
      ...(Number.isFinite(fraction) && fraction !== undefined ? { fraction } : undefined),
      ...(data !== undefined && isJson(data) ? { data } : undefined)
    }
  } catch {
    return nothing
  }
}
