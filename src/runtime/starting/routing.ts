/** Turns what a routing policy answers into what the state machine needs. */
import * as Effect from "effect/Effect"
import type { Route } from "../../machine/start.js"
import type { RoutingDecision } from "../../model/RoutingDecision.js"
import { ContinuePolicy, DeliveryMode } from "../../model/Task.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import type { RouteToolCall } from "../../services/RoutingPolicy.js"
import { millisOf } from "../../shared/durations.js"
import { shown } from "../../shared/text.js"

/** Foreground, no timers: how an inline manager runs everything. */
export const inlineRoute: Route = {
  kind: "Foreground",
  deliveryMode: "ToLoop",
  continuePolicy: "NotifyOnly",
  timeout: Infinity,
  detachAfter: Infinity
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

/** Throws for what is no decision: that fails the `startTask` that asked. */
export const toRoute = (decision: RoutingDecision): Route => ({
  kind: isForeground(decision) ? "Foreground" : "Background",
  deliveryMode: checked("deliveryMode", DeliveryMode.literals, decision.deliveryMode, inlineRoute.deliveryMode),
  continuePolicy: checked(
    "continuePolicy",
    ContinuePolicy.literals,
    decision.continuePolicy,
    inlineRoute.continuePolicy
  ),
  timeout: decision.timeout === undefined ? Infinity : millisOf("RoutingDecision.timeout", decision.timeout),
  detachAfter: decision._tag === "ForegroundThenDetachAfter"
    ? millisOf("RoutingDecision.duration", decision.duration)
    : Infinity
})

/** Asks the policy; `use` runs in the same step where the policy answers at once. */
export const withRoute = <A, E, R>(
  route: RouteToolCall,
  request: ToolRequest,
  use: (route: Route) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const decision = route(request)
  return Effect.isEffect(decision)
    ? Effect.flatMap(decision, (answer) => use(toRoute(answer)))
    : use(toRoute(decision))
}
