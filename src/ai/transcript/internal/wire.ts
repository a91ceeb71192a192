/**
 * What every provider takes as text, name, id and input of a call. A history with anything else in it is refused as a whole, with
 * every request from then on: what a model or a tool can put into it must not be able to end a conversation.
 */
import { isPlainObject } from "../../../shared/toJson.js"
import { wellFormedText } from "../../../shared/wellFormed.js"

const childrenOf = (value: object): ReadonlyArray<readonly [string, unknown]> => Object.entries(value)

/**
 * A JSON value without halves of characters, which no provider's JSON parser takes; the same value if it has none. Tools that
 * cut text anywhere make them.
 */
export const wellFormed = (value: unknown): unknown => {
  if (typeof value === "string") return wellFormedText(value)
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) {
    const list = value.map(wellFormed)
    return list.every((item, index) => Object.is(item, value[index])) ? value : list
  }
  if (!isPlainObject(value)) return value
  const before = childrenOf(value)
  const after = before.map(([key, child]) => [wellFormedText(key), wellFormed(child)] as const)
  return after.every(([key, child], index) => key === before[index]?.[0] && Object.is(child, before[index][1]))
    ? value
    : Object.fromEntries(after)
}

/** Whether the value has no half of a character in it. */
export const isWellFormed = (value: unknown): boolean => wellFormed(value) === value

const word = /^[A-Za-z0-9_-]{1,64}$/

/** Whether every provider takes it as the name of a tool or the id of a call. */
export const isWord = (text: string): boolean => word.test(text)

/** The text as a name of a tool, or an id, of at most `length` characters. */
export const toWord = (text: string, length = 64): string =>
  isWord(text) && text.length <= length ? text : text.replace(/[^A-Za-z0-9_-]/gu, "_").slice(0, length) || "_"

/** Whether a value is an object with fields, which Anthropic wants as the input of a call. */
export const isFields = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The input of a call as an object, also where the model sent another kind of value. */
export const toFields = (params: unknown): unknown =>
  isFields(params) ? params : params === null || params === undefined ? {} : { input: params }
