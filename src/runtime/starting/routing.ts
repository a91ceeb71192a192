/** Turns what a routing policy answers into what the state machine needs. */
import type * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import type { Route } from "../../machine/start.js"
import type { TaskTable } from "../../machine/TaskTable.js"
import type { RetryRule } from "../../model/RetryRule.js"
import type { RoutingDecision } from "../../model/RoutingDecision.js"
import { ContinuePolicy, DeliveryMode } from "../../model/Task.js"
import { millisOf } from "../../shared/durations.js"
import { finiteOf, refuseUnless, refuseUnlessObject } from "../../shared/refusals.js"
import { shown } from "../../shared/text.js"

/** Foreground, no timers: how an inline manager runs everything. */
export const inlineRoute: Route = {
  kind: "Foreground",
  deliveryMode: "ToLoop",
  continuePolicy: "NotifyOnly",
  timeout: Infinity,
  detachAfter: Infinity,
  lane: undefined,
  priority: 0,
  budgets: undefined,
  retry: undefined,
  children: undefined
}

const isForeground = (decision: RoutingDecision): boolean => {
  // a policy without types may answer nothing at all
  switch ((decision as RoutingDecision | null | undefined)?._tag) {
    case "Foreground":
    case "ForegroundThenDetachAfter":
      return true
    case "Background":
      return false
    default:
      throw new TypeError(
        "The routing policy did not return a RoutingDecision: a policy answers with RoutingDecision.Foreground(), Background() or ForegroundThenDetachAfter({ duration })"
      )
  }
}

/** The value, or the default; throws for a value that no snapshot could carry. */
const checked = <A extends string>(field: string, values: ReadonlyArray<A>, value: A | undefined, otherwise: A): A => {
  if (value === undefined) return otherwise
  if (!values.includes(value)) {
    throw new TypeError(`RoutingDecision.${field} takes one of ${values.join(", ")}, not ${shown(value)}`)
  }
  return value
}

const limitOf = (field: string, duration: Duration.DurationInput | undefined): number =>
  duration === undefined ? Infinity : millisOf(`RoutingDecision.${field}`, duration)

const childPolicies = ["cancel", "keep"] as const
const onTimeouts = ["fail", "detach", "ask"] as const

/** Most calls have none of these limits. */
const budgetsOf = (decision: RoutingDecision): Route["budgets"] => {
  const { approvalTimeout, backgroundTimeout, idleTimeout, onTimeout } = decision
  return onTimeout === undefined && backgroundTimeout === undefined && idleTimeout === undefined &&
      approvalTimeout === undefined
    ? undefined
    : {
      background: limitOf("backgroundTimeout", backgroundTimeout),
      idle: limitOf("idleTimeout", idleTimeout),
      approval: limitOf("approvalTimeout", approvalTimeout),
      onTimeout: checked("onTimeout", onTimeouts, onTimeout, "fail")
    }
}

/** As it is; throws for what would fail when the tool does. */
const retryOf = (retry: RetryRule): RetryRule => {
  refuseUnlessObject("RoutingDecision.retry", "an object with a schedule", retry)
  refuseUnless(Schedule.isSchedule(retry.schedule), "RoutingDecision.retry.schedule", "a Schedule", retry.schedule)
  const condition: unknown = retry.while
  refuseUnless(
    condition === undefined || typeof condition === "function",
    "RoutingDecision.retry.while",
    "a function",
    condition
  )
  return retry
}

const laneOf = (table: TaskTable, lane: string): string => {
  const names = table.lanes.flatMap(({ name }) => name ?? [])
  if (names.includes(lane)) return lane
  const known = names.length === 0 ? "TaskManagerConfig.lanes has none" : `one of ${names.map(shown).join(", ")}`
  throw new RangeError(`RoutingDecision.lane takes a lane of TaskManagerConfig.lanes (${known}), not ${shown(lane)}`)
}

/** Throws for what is no decision: that fails the `startTask` that asked. */
export const toRoute = (table: TaskTable, decision: RoutingDecision): Route => ({
  kind: isForeground(decision) ? "Foreground" : "Background",
  deliveryMode: checked("deliveryMode", DeliveryMode.literals, decision.deliveryMode, inlineRoute.deliveryMode),
  continuePolicy: checked(
    "continuePolicy",
    ContinuePolicy.literals,
    decision.continuePolicy,
    inlineRoute.continuePolicy
  ),
  timeout: limitOf("timeout", decision.timeout),
  detachAfter: decision._tag === "ForegroundThenDetachAfter"
    ? millisOf("RoutingDecision.duration", decision.duration)
    : Infinity,
  lane: decision.lane === undefined ? undefined : laneOf(table, decision.lane),
  budgets: budgetsOf(decision),
  children: decision.children === undefined
    ? undefined
    : checked("children", childPolicies, decision.children, "keep"),
  retry: decision.retry === undefined ? undefined : retryOf(decision.retry),
  priority: decision.priority === undefined ? 0 : finiteOf("RoutingDecision.priority", decision.priority)
})
