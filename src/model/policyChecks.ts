/**
 * Words that a program without types may get wrong. A wrong one would be written, and the task could not be read again.
 *
 * @since 0.1.0
 */
import { refuseUnlessOneOf } from "../shared/refusals.js"
import { ContinuePolicy, DeliveryMode } from "./Task.js"

/**
 * Throws for an unknown policy.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkContinuePolicy = (policy: ContinuePolicy): void =>
  refuseUnlessOneOf(ContinuePolicy.literals, "setContinuePolicy", policy)

/**
 * Throws for an unknown mode.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkDeliveryMode = (mode: DeliveryMode): void =>
  refuseUnlessOneOf(DeliveryMode.literals, "setDeliveryMode", mode)
