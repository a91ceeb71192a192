/** A routing policy is user code, and what it throws comes out of `startTask`. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { RouteToolCall } from "../../services/RoutingPolicy.js"
import { withEscapedMessages } from "../../shared/escapedMessages.js"

const escapedCause = (cause: Cause.Cause<unknown>): Effect.Effect<never> =>
  // with a defect beside it, an interrupt is that of another part of the policy
  Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.die(withEscapedMessages(Cause.squash(cause)))

/** The policy, whose defects no tool name that a model chose can turn into lines or escape sequences of a log. */
export const escapingRoute = (route: RouteToolCall): RouteToolCall => (request) => {
  try {
    const decision = route(request)
    return Effect.isEffect(decision) ? Effect.catchAllCause(decision, escapedCause) : decision
  } catch (error) {
    throw withEscapedMessages(error)
  }
}
