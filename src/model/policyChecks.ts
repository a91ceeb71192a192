/**
 * Words that a program without types may get wrong. A wrong one would be written, and nobody could read the task again.
 *
 * @since 0.1.0
 */
import { refuseUnlessOneOf } from "../shared/refusals.js"
import { ContinuePolicy, DeliveryMode } from "./Task.js"

/**
 * Throws for a policy that there is not.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkContinuePolicy = (policy: ContinuePolicy): void =>
  refuseUnlessOneOf(ContinuePolicy.literals, "setContinuePolicy", policy)

/**
 * Throws for a mode that there is not.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkDeliveryMode = (mode: DeliveryMode): void =>
  refuseUnlessOneOf(DeliveryMode.literals, "setDeliveryMode", mode)
