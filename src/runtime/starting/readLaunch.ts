/** Reads the call of a launch: what comes from a program without types, or from a parser, may be no JSON yet. */
import { copyMetadata, isEmptyObject, isJson } from "../../model/json.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import { describeFault, isPlainObject, type JsonReading, toJson, toJsonObject } from "../../shared/toJson.js"
import { wellFormedText } from "../../shared/wellFormed.js"

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

/** The defect of an input that is no JSON, also of one that is nested without end; undefined for JSON. */
export const wrongInput = (input: unknown): TypeError | undefined => {
  const reading = toJson(input, inProcess)
  return reading._tag === "Json" ? undefined : impossible("input", reading)
}

const readMetadata = (metadata: ToolRequest["metadata"] | undefined): ToolRequest["metadata"] => {
  // most calls have none
  if (metadata !== undefined && isPlainObject(metadata) && (isEmptyObject(metadata) || isJson(metadata))) {
    return copyMetadata(metadata)
  }
  const reading = toJsonObject(metadata ?? {}, inProcess)
  if (reading._tag === "Json") return reading.value
  throw impossible("metadata", reading)
}

/**
 * The launch with a call of its own, which its caller cannot change any more but for the input: that is JSON and has no halves of
 * characters. Throws a `TypeError` that names the field, the path in it and the kind of value, where it cannot be made so: that is
 * the defect that `startTask` dies with.
 */
export const readLaunch = <Launch extends TaskLaunchRequest>(launch: Launch): Launch => {
  const { callId, input, metadata, sessionId, toolName, turnId } = launch.request
  return {
    ...launch,
    request: {
      sessionId,
      turnId,
      callId,
      toolName: wellFormedText(toolName),
      input: readInput(input),
      metadata: readMetadata(metadata)
    }
  }
}
