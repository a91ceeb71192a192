/** Reads what a tool says of its progress. It is hostile: only what an event can carry is kept. */
import * as Predicate from "effect/Predicate"
import { notJson } from "../../model/readToolResult.js"
import type { TaskProgress } from "../../model/TaskEvent.js"
import { ownText } from "../../shared/ownText.js"
import { toJson } from "../../shared/toJson.js"

const nothing: TaskProgress = {}

/** The fields that are what they should be; never throws. `onFault` is told why data was left out that is there. */
export const readProgress = (
  said: TaskProgress,
  toolName: string,
  onFault: (fault: TypeError) => void
): TaskProgress => {
  try {
    const { data, fraction, message } = said
    return {
      ...(Predicate.isString(message) ? { message: ownText(message) } : undefined),
      ...(Number.isFinite(fraction) && fraction !== undefined ? { fraction } : undefined),
      ...(data === undefined ? undefined : readData(data, toolName, onFault))
    }
  } catch {
    return nothing
  }
}

const readData = (
  data: unknown,
  toolName: string,
  onFault: (fault: TypeError) => void
): { readonly data?: unknown } => {
  const reading = toJson(data)
  if (reading._tag === "Json") return reading.value === undefined ? {} : { data: reading.value }
  onFault(notJson(toolName, "reported progress with", reading, "data"))
  return {}
}
