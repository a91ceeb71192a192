/** Turns what a routing policy answers into what the state machine needs. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Route } from "../../machine/start.js"
import type { RoutingDecision } from "../../model/RoutingDecision.js"
import { ContinuePolicy, DeliveryMode } from "../../model/Task.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import type { RouteToolCall } from "../../services/RoutingPolicy.js"

/** Foreground, no timers: how an inline manager runs everything. */
export const inlineRoute: Route = {
  kind: "Foreground",
  deliveryMode: "ToLoop",
  continuePolicy: "NotifyOnly",
  timeout: Infinity,
  detachAfter: Infinity
}

const millis = (field: string, duration: Duration.DurationInput | undefined): number => {
  if (duration === undefined) return Infinity
  // Duration takes NaN for zero, which would end or detach the task at once
  if (Number.isNaN(duration)) throw new RangeError(`RoutingDecision.${field} is NaN: it takes a duration`)
  return Duration.toMillis(duration)
}

const isForeground = (decision: RoutingDecision): boolean => {
  switch (decision._tag) {
    case "Foreground":
    case "ForegroundThenDetachAfter":
      return true
    case "Background":
      return false
    default:
      throw new TypeError("The routing policy did not return a RoutingDecision")
  }
}

const isDeliveryMode = Schema.is(DeliveryMode)
const isContinuePolicy = Schema.is(ContinuePolicy)

/** The value, or the default; throws for a value that no snapshot could carry. */
const checked = <A>(field: string, is: (value: unknown) => value is A, value: A | undefined, otherwise: A): A => {
  if (value === undefined) return otherwise
  if (!is(value)) throw new TypeError(`RoutingDecision.${field} is none of its values`)
  return value
}

/** Throws for what is no decision: that fails the `startTask` that asked. */
export const toRoute = (decision: RoutingDecision): Route => ({
  kind: isForeground(decision) ? "Foreground" : "Background",
  deliveryMode: checked("deliveryMode", isDeliveryMode, decision.deliveryMode, inlineRoute.deliveryMode),
  continuePolicy: checked("continuePolicy", isContinuePolicy, decision.continuePolicy, inlineRoute.continuePolicy),
  timeout: millis("timeout", decision.timeout),
  detachAfter: decision._tag === "ForegroundThenDetachAfter" ? millis("duration", decision.duration) : Infinity
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
