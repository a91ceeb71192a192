/** Reads the call of a launch: what comes from a program without types, or from a parser, may be no JSON yet. */
import { isEmptyObject, isJson } from "../../model/json.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import { describeFault, isPlainObject, type JsonReading, toJson, toJsonObject } from "../../shared/toJson.js"
import { isWellFormedText, wellFormedText } from "../../shared/wellFormed.js"

const impossible = (field: string, reading: Extract<JsonReading, { readonly _tag: "JsonFault" }>): TypeError =>
  new TypeError(`startTask takes a JSON value: ${describeFault(reading, `request.${field}`)}`)

// they are JSON only once they are encoded: until then routing and tools can tell Infinity from null
const inProcess = { keepsNumbers: true }

/** What is nested without end is kept as it is: it is for the tool's own schema to refuse it. */
const readInput = (input: unknown): unknown => {
  if (input === undefined || isJson(input)) return input
  const reading = toJson(input, inProcess)
  if (reading._tag === "Json") return reading.value
  if (reading.isEndless) return input
  throw impossible("input", reading)
}

/** The defect of an input that is not JSON, also of one that is nested without end; undefined for JSON. */
export const wrongInput = (input: unknown): TypeError | undefined => {
  const reading = toJson(input, inProcess)
  return reading._tag === "Json" ? undefined : impossible("input", reading)
}

const isReadMetadata = (metadata: ToolRequest["metadata"]): boolean =>
  // most calls have none
  metadata !== undefined && isPlainObject(metadata) && (isEmptyObject(metadata) || isJson(metadata))

const readMetadata = (metadata: unknown): ToolRequest["metadata"] => {
  const reading = toJsonObject(metadata ?? {}, inProcess)
  if (reading._tag === "Json") return reading.value
  throw impossible("metadata", reading)
}

/**
 * The launch with a call that is JSON and has no halves of characters; the same launch if it is so already. Throws a
 * `TypeError` that names the field, the path in it and the kind of value, where it cannot be made so: that is the defect
 * that `startTask` dies with.
 */
export const readLaunch = <Launch extends TaskLaunchRequest>(launch: Launch): Launch => {
  const { request } = launch
  const input = readInput(request.input)
  const isRead = isReadMetadata(request.metadata)
  if (input === request.input && isRead && isWellFormedText(request.toolName)) return launch
  return {
    ...launch,
    request: {
      ...request,
      toolName: wellFormedText(request.toolName),
      input,
      metadata: isRead ? request.metadata : readMetadata(request.metadata)
    }
  }
}
