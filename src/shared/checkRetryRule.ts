/** The check of a rule for retries, where it is given: it would otherwise fail when the tool does. */
import * as Schedule from "effect/Schedule"
import { refuseUnless, refuseUnlessObject } from "./refusals.js"

/** The rule as it is; throws with the field's name unless it is one. */
export const checkRetryRule = <Rule extends { readonly schedule: unknown; readonly while?: unknown }>(
  field: string,
  rule: Rule
): Rule => {
  refuseUnlessObject(field, "an object with a schedule", rule)
  refuseUnless(Schedule.isSchedule(rule.schedule), `${field}.schedule`, "a Schedule", rule.schedule)
  const condition = rule.while
  refuseUnless(
    condition === undefined || typeof condition === "function",
    `${field}.while`,
    "a function",
    condition
  )
  return rule
}
