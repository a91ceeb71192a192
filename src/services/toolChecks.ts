/**
 * What of a record of tools can be checked before any of them runs.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import { printable, shown } from "../shared/text.js"
import { isPlainObject } from "../shared/toJson.js"

const isText = (value: unknown): boolean => typeof value === "string"

/** A schema of another library, say: it is not a JSON Schema, also if `JSON.stringify` takes it. */
const refuseInstances = (_key: string, value: unknown): unknown => {
  const isData = typeof value === "object"
    ? value === null || Array.isArray(value) || isPlainObject(value)
    : typeof value !== "function" && typeof value !== "symbol"
  if (!isData) throw new TypeError("It is not JSON")
  return value
}

/** Fields that are undefined are none. */
const isJsonObject = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  try {
    JSON.stringify(value, refuseInstances)
    return true
  } catch {
    return false
  }
}

const described: ReadonlyArray<readonly [field: string, is: (value: unknown) => boolean, takes: string]> = [
  ["description", isText, "a string"],
  ["inputSchema", isJsonObject, "a JSON Schema, an object of JSON values"],
  ["annotations", isJsonObject, "an object of JSON values"]
]

/**
 * What is wrong with what a tool says of itself, after the place where it stands; undefined if nothing is.
 *
 * @since 0.1.0
 * @category predicates
 */
export const wrongDescription = (place: string, tool: object): string | undefined => {
  for (const [field, is, takes] of described) {
    const value: unknown = Reflect.get(tool, field)
    if (value !== undefined && !is(value)) return `${place}.${field} must be ${takes}, not ${shown(value)}`
  }
  return undefined
}

const kindOf = (value: Function): unknown => Reflect.get(value, Symbol.toStringTag)

/**
 * What is wrong with a handler of `ToolExecutor.fromHandlers`, after the place where it stands; undefined if nothing is.
 *
 * @since 0.1.0
 * @category predicates
 */
export const wrongHandler = (place: string, handler: unknown): string | undefined => {
  if (typeof handler !== "function") return `${place} must be a function that answers with an Effect`
  // they always answer with a promise or an iterator
  if (kindOf(handler) !== undefined) {
    return `${place} must be a function that answers with an Effect, not async and no generator`
  }
  return wrongDescription(place, handler)
}

/**
 * Throws a `TypeError` for a record of tools in which one is wrong, and names it: `owner` is the function that was called,
 * `name` its parameter.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkTools = (
  owner: string,
  name: string,
  tools: unknown,
  wrongTool: (place: string, tool: unknown) => string | undefined
): void => {
  const refuse = (what: string) => {
    throw new TypeError(`${owner}: ${what}`)
  }
  if (tools === undefined || tools === null) return refuse(`${name} is missing: an object of tools by their names`)
  // a list or a Map has entries, but no names that it would be searched by
  if (!Predicate.isRecord(tools) || Symbol.iterator in tools) {
    return refuse(`${name} must be an object of tools by their names`)
  }
  for (const [toolName, tool] of Object.entries(tools)) {
    if (toolName === "") return refuse(`${name} has a tool without a name`)
    const wrong = wrongTool(`${name}.${printable(toolName)}`, tool)
    if (wrong !== undefined) return refuse(wrong)
  }
}
