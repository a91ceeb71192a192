/**
 * Checks of options that a developer writes, also without types: each names the field and what it takes. Numbers out of
 * range are a `RangeError`, values of a wrong type a `TypeError`.
 */
import { shown } from "./text.js"

export const isIntegerFrom = (value: unknown, minimum: number, maximum = Infinity): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= minimum && value <= maximum

/** The value, if it is an integer of that range. */
export const integerOf = (field: string, value: unknown, minimum: number, maximum = Infinity): number => {
  if (isIntegerFrom(value, minimum, maximum)) return value
  const range = maximum === Infinity ? `from ${minimum}` : `from ${minimum} to ${maximum}`
  throw new RangeError(`${field} takes an integer ${range}, not ${shown(value)}`)
}

/** The value, if it is an integer of that range, or `Infinity`. */
export const limitOf = (field: string, value: unknown, minimum: number): number => {
  if (value === Infinity || isIntegerFrom(value, minimum)) return value
  throw new RangeError(`${field} takes an integer from ${minimum}, or Infinity, not ${shown(value)}`)
}

/** The value, if it is a number that is neither infinite nor NaN. */
export const finiteOf = (field: string, value: unknown): number => {
  if (typeof value === "number" && Number.isFinite(value)) return value
  throw new RangeError(`${field} takes a finite number, not ${shown(value)}`)
}

/** Throws unless the value is what the field takes. */
export const refuseUnless = (is: boolean, field: string, takes: string, value: unknown): void => {
  if (!is) throw new TypeError(`${field} takes ${takes}, not ${shown(value)}`)
}

/** Throws unless the value is one of these texts. */
export const refuseUnlessOneOf = (values: ReadonlyArray<string>, field: string, value: unknown): void =>
  refuseUnless(typeof value === "string" && values.includes(value), field, `one of ${values.join(", ")}`, value)

/** Throws unless the value is an object with fields. */
export const refuseUnlessObject = (field: string, takes: string, value: unknown): void =>
  refuseUnless(typeof value === "object" && value !== null && !Array.isArray(value), field, takes, value)

/** What is wrong with an object that has a field which there is not: with a typo, what was meant would be left out unseen. */
export const unknownField = (owner: string, given: object, takes: ReadonlyArray<string>): TypeError | undefined => {
  const unknown = Object.keys(given).find((field) => !takes.includes(field))
  return unknown === undefined
    ? undefined
    : new TypeError(`${owner} has no field ${shown(unknown)}: it takes ${takes.join(", ")}`)
}

/** Throws for the first such field. */
export const refuseUnknownFields = (owner: string, given: object, takes: ReadonlyArray<string>): void => {
  const wrong = unknownField(owner, given, takes)
  if (wrong !== undefined) throw wrong
}

/** The filter of `list`; throws unless it is an object. */
export const checkTaskFilter = <Filter>(filter: Filter): Filter => {
  refuseUnlessObject("list", "a TaskFilter", filter)
  return filter
}

const longestPage = 1_000
const usualPage = 100

/** The fields of a `TaskHistoryQuery` as they are meant; throws unless they are in range. */
export const checkHistoryQuery = <Filter>(
  query: {
    readonly before?: number | undefined
    readonly limit?: number | undefined
    readonly filter?: Filter | undefined
  }
): { readonly before: number; readonly limit: number; readonly filter: Filter | undefined } => {
  refuseUnlessObject("history", "a TaskHistoryQuery", query)
  const { before, filter, limit = usualPage } = query
  if (filter !== undefined) refuseUnlessObject("TaskHistoryQuery.filter", "an object", filter)
  return {
    before: before === undefined ? Number.MAX_SAFE_INTEGER : integerOf("TaskHistoryQuery.before", before, 0),
    limit: integerOf("TaskHistoryQuery.limit", limit, 1, longestPage),
    filter
  }
}

/** The filter; throws unless its `after` can be the number of an event. */
export const checkEventFilter = <Filter extends { readonly after?: number | undefined }>(filter: Filter): Filter => {
  refuseUnlessObject("a reader of events", "a TaskEventFilter", filter)
  if (filter.after !== undefined) integerOf("TaskEventFilter.after", filter.after, 0)
  return filter
}

/** Throws unless the fields of an `OutputRange` are counts of bytes. */
export const checkRange = (
  range: { readonly start?: number | undefined; readonly maxBytes?: number | undefined }
): void => {
  refuseUnlessObject("output", "an OutputRange", range)
  const { maxBytes, start } = range
  if (start !== undefined) integerOf("OutputRange.start", start, 0)
  if (maxBytes !== undefined) integerOf("OutputRange.maxBytes", maxBytes, 0)
}
