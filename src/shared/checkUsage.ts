/**
 * Checks of what is said of usage, also without types: each names the field.
 *
 * @since 0.1.0
 */
import { millisOf } from "./durations.js"
import { integerOf, refuseUnknownFields, refuseUnless, refuseUnlessObject } from "./refusals.js"
import { escaped, shown } from "./text.js"

const longestName = 128

/** The costs, copied, if each is a number from 0 under a name. */
const costsOf = (field: string, costs: unknown): ReadonlyMap<string, number> => {
  refuseUnlessObject(field, "an object of numbers from 0", costs)
  const checked = new Map<string, number>()
  for (const [name, value] of Object.entries(Object(costs))) {
    refuseUnless(name !== "" && name.length <= longestName, field, `names of 1 to ${longestName} characters`, name)
    // an object that is read from a row or a message would lose it
    refuseUnless(name !== "__proto__", field, "other names than __proto__", name)
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw new RangeError(`${field}.${escaped(name)} takes a number from 0, not ${shown(value)}`)
    }
    checked.set(name, value)
  }
  return checked
}

/**
 * What was reported, as nobody can change it any more. Throws for anything but numbers from 0.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkCosts = (costs: unknown): Readonly<Record<string, number>> =>
  Object.fromEntries(costsOf("addUsage", costs))

const onLimits: ReadonlyArray<unknown> = [undefined, "fail", "ask"]

interface CheckedLimit {
  readonly costs: ReadonlyMap<string, number>
  readonly launches: number
  readonly runMillis: number
  readonly onLimit: "fail" | "ask"
}

/**
 * A limit with what it leaves out, `Infinity` for none. Throws for a field that is unknown or out of range; `takes` are those that there are.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkUsageLimit = (
  field: string,
  limit: unknown,
  takes: ReadonlyArray<"costs" | "launches" | "runTime" | "onLimit">
): CheckedLimit => {
  refuseUnlessObject(field, "an object of limits", limit)
  const given: { readonly [Name in "costs" | "launches" | "runTime" | "onLimit"]?: unknown } = Object(limit)
  refuseUnknownFields(field, given, takes)
  const { costs, launches, onLimit, runTime } = given
  refuseUnless(onLimits.includes(onLimit), `${field}.onLimit`, "one of fail, ask", onLimit)
  return {
    costs: costs === undefined ? new Map() : costsOf(`${field}.costs`, costs),
    launches: launches === undefined ? Infinity : integerOf(`${field}.launches`, launches, 0),
    runMillis: runTime === undefined ? Infinity : millisOf(`${field}.runTime`, runTime),
    onLimit: onLimit === "ask" ? "ask" : "fail"
  }
}

/**
 * Throws unless a filter of usage names one thing: a task, a session, a turn of a session, a lane, or nothing.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkUsageFilter = (
  filter: {
    readonly lane?: unknown
    readonly sessionId?: unknown
    readonly taskId?: unknown
    readonly turnId?: unknown
  }
): void => {
  refuseUnlessObject("usage", "a UsageFilter", filter)
  const { lane, sessionId, taskId, turnId } = filter
  const named = Object.entries({ taskId, sessionId, turnId, lane }).filter(([, value]) => value !== undefined)
  for (const [field, value] of named) {
    refuseUnless(typeof value === "string" && value !== "", `UsageFilter.${field}`, "a string that is not empty", value)
  }
  const names = named.map(([field]) => field).join()
  refuseUnless(
    ["", "taskId", "sessionId", "sessionId,turnId", "lane"].includes(names),
    "UsageFilter",
    "taskId, sessionId, sessionId with turnId, lane, or none of them",
    names
  )
}
