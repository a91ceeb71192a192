/**
 * What a client dies with.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { describedError, oneOf, Whole } from "../model/schemas.js"

/**
 * Why a server did not do what it was asked. `Network`: there was no answer; `Refused`: the token is unknown or lacks the scope, or the
 * server does not answer under this name; `TooMany`: too many event streams are open; `Server`: it is broken, or shut down; `Request`: it does not
 * know the request, such as a server of another version.
 *
 * @since 0.1.0
 * @category models
 */
export const UnreachableReason = oneOf("Network", "Refused", "TooMany", "Server", "Request")

/**
 * A value of the `UnreachableReason` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type UnreachableReason = typeof UnreachableReason.Type

/**
 * The server of a `TaskManagerClient` cannot be reached, or refuses: the methods of its handle die with this error. Those that change nothing,
 * or that do the same when they are asked twice, have tried for as long as the `patience` of the client before. `status` is that of
 * the answer, if there was one.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskManagerUnreachable
  extends Schema.TaggedError<TaskManagerUnreachable>("effect-task-manager/TaskManagerUnreachable")(
    "TaskManagerUnreachable",
    { reason: UnreachableReason, status: Schema.optionalWith(Whole, { exact: true }) },
    describedError
  )
{
  override get message(): string {
    return `The server of the task manager cannot be asked: ${this.reason}${
      this.status === undefined ? "" : ` (status ${this.status})`
    }`
  }
}
