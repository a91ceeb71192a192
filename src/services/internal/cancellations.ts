/** What a caller without types gives as a `TurnCancellation` may be none, such as the `AbortSignal` itself. */
import * as Effect from "effect/Effect"
import { ignoreRejection } from "../../shared/mustBeEffect.js"
import { refuseUnless } from "../../shared/refusals.js"
import type { TurnCancellation } from "../TurnCancellation.js"

const fields = ["isCancelled", "cancelled"] as const

/** Throws unless its fields are effects. */
export const checkCancellation = (cancellation: TurnCancellation): TurnCancellation => {
  for (const field of fields) {
    const value: unknown = cancellation[field]
    ignoreRejection(value)
    refuseUnless(Effect.isEffect(value), `waitForTurn: cancellation.${field}`, "an Effect", value)
  }
  return cancellation
}
