/** Turns what a routing policy answers into what the state machine needs. */
import type * as Duration from "effect/Duration"
import type { Route } from "../../machine/start.js"
import { laneOf, type TaskTable } from "../../machine/state/TaskTable.js"
import { RoutingDecision } from "../../model/RoutingDecision.js"
import { ContinuePolicy, DeliveryMode } from "../../model/Task.js"
import { checkRetryRule } from "../../shared/checkRetryRule.js"
import { checkUsageLimit } from "../../shared/checkUsage.js"
import { millisOf } from "../../shared/durations.js"
import { ignoreRejection } from "../../shared/mustBeEffect.js"
import { finiteOf } from "../../shared/refusals.js"
import { shown } from "../../shared/text.js"

/** Foreground, no timers: how an inline manager runs everything, and what `RoutingDecision.Foreground()` means. */
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
  children: undefined,
  duplicates: undefined,
  limit: undefined
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
      ignoreRejection(decision)
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
const duplicatePolicies = ["run", "join", "reject"] as const
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

/** Most calls run, whatever others there are. */
const duplicatesOf = ({ duplicates }: RoutingDecision): Route["duplicates"] => {
  const policy = duplicates === undefined ? "run" : checked("duplicates", duplicatePolicies, duplicates, "run")
  return policy === "run" ? undefined : policy
}

const limitOfTask = (table: TaskTable, limit: RoutingDecision["limit"]): Route["limit"] => {
  if (limit === undefined) return undefined
  const checked = checkUsageLimit("RoutingDecision.limit", limit, ["costs", "onLimit"])
  if (table.ledger !== undefined) return checked
  throw new TypeError(
    "RoutingDecision.limit takes a manager that sums up what is used: TaskManagerConfig.ledger is false"
  )
}

const checkedLane = (table: TaskTable, lane: string): string => {
  if (typeof lane === "string" && laneOf(table, lane) !== undefined) return lane
  const names = table.lanes.flatMap(({ name }) => name ?? [])
  const known = names.length === 0 ? "TaskManagerConfig.lanes has none" : `one of ${names.map(shown).join(", ")}`
  throw new RangeError(`RoutingDecision.lane takes a lane of TaskManagerConfig.lanes (${known}), not ${shown(lane)}`)
}

// one frozen value, which most calls are answered with: it need not be read each time
const plainForeground = RoutingDecision.Foreground()

/** Throws for anything but a decision: that fails the `startTask` that asked. */
export const toRoute = (table: TaskTable, decision: RoutingDecision): Route =>
  decision === plainForeground ? inlineRoute : readDecision(table, decision)

const readDecision = (table: TaskTable, decision: RoutingDecision): Route => ({
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
  lane: decision.lane === undefined ? undefined : checkedLane(table, decision.lane),
  budgets: budgetsOf(decision),
  children: decision.children === undefined
    ? undefined
    : checked("children", childPolicies, decision.children, "keep"),
  duplicates: duplicatesOf(decision),
  limit: limitOfTask(table, decision.limit),
  retry: decision.retry === undefined ? undefined : checkRetryRule("RoutingDecision.retry", decision.retry),
  priority: decision.priority === undefined ? 0 : finiteOf("RoutingDecision.priority", decision.priority)
})
