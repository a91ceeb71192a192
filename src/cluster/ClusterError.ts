/**
 * What is wrong with a cluster.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { describedError, oneOf, Text } from "../model/schemas.js"

/**
 * Why: `Unavailable` (no runner has answered for the `patience` of a client), `Layout` (the cluster was set up with another number
 * of groups or shards), `Version` (a process of a version that does not know the other one), `TooLarge` (a call, such as the input of
 * a task or a message of a conversation, of more than 15 MiB).
 *
 * @since 0.1.0
 * @category errors
 */
export const ClusterErrorReason = oneOf("Unavailable", "Layout", "Version", "TooLarge")

/**
 * A value of the `ClusterErrorReason` schema.
 *
 * @since 0.1.0
 * @category errors
 */
export type ClusterErrorReason = typeof ClusterErrorReason.Type

/**
 * A layer of a cluster fails with it where the cluster was set up in another way; the caller of a client dies with it when no runner
 * answers (`Unavailable`), or the call is too large to be sent (`TooLarge`).
 *
 * @since 0.1.0
 * @category errors
 */
export class ClusterError extends Schema.TaggedError<ClusterError>("effect-task-manager/ClusterError")(
  "ClusterError",
  { reason: ClusterErrorReason, detail: Text },
  describedError
) {
  override get message(): string {
    return this.detail
  }
}
