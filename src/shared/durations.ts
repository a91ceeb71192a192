/**
 * One check of durations for every place that takes one. Effect's `Duration` takes what is negative or NaN for zero,
 * which would end a wait or a task at once.
 */
import * as Duration from "effect/Duration"
import { shown } from "./text.js"

const from0 = (value: number): number | undefined => value >= 0 ? value : undefined

const isPair = (value: ReadonlyArray<unknown>): value is readonly [seconds: number, nanos: number] =>
  value.length === 2 && value.every((part) => typeof part === "number")

/** A duration object can also be made without Effect's functions. */
const ofDuration = (value: unknown): number | undefined => {
  if (typeof value !== "object" || value === null || !("_tag" in value)) return undefined
  if (value._tag === "Infinity") return Infinity
  if ("millis" in value && typeof value.millis === "number") return from0(value.millis)
  return "nanos" in value && typeof value.nanos === "bigint" ? from0(Number(value.nanos) / 1e6) : undefined
}

/**
 * The milliseconds of a `DurationInput` in any of its spellings, `Infinity` for an endless one, and undefined for what is
 * negative, NaN or not a duration.
 */
export const durationMillis = (value: unknown): number | undefined => {
  switch (typeof value) {
    case "number":
      return from0(value)
    case "bigint":
      return from0(Number(value) / 1e6)
    case "string": {
      const read = Duration.decodeUnknown(value)
      // it begins with its number
      return read._tag === "Some" && Number.parseFloat(value) >= 0 ? Duration.toMillis(read.value) : undefined
    }
    case "object":
      if (Duration.isDuration(value)) return ofDuration(value.value)
      // a negative part is refused whatever the other one is
      return Array.isArray(value) && isPair(value) && value.every((part) => part >= 0)
        ? value[0] * 1e3 + value[1] / 1e6
        : undefined
    default:
      return undefined
  }
}

/** As `durationMillis`, but throws a `RangeError` that names the field and what it takes. */
export const millisOf = (field: string, value: unknown): number => {
  const millis = durationMillis(value)
  if (millis === undefined) throw new RangeError(`${field} takes a duration from 0, not ${shown(value)}`)
  return millis
}

/**
 * As `millisOf`, for what a database reckons with: whole milliseconds, rounded up so that what is short is not nothing. `Infinity` for
 * more than a number counts in ones.
 */
export const wholeMillisOf = (field: string, value: unknown): number => {
  const millis = Math.ceil(millisOf(field, value))
  return Number.isSafeInteger(millis) ? millis : Infinity
}
