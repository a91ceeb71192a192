/**
 * Who decides where a call runs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RoutingDecision } from "../model/RoutingDecision.js"
import type { ToolRequest } from "../model/ToolCall.js"
import { refuseUnless } from "../shared/refusals.js"

/**
 * A function that decides where a call runs; it is asked once per launch, also when a task is resumed. If it throws or
 * dies, that `startTask` dies with the same defect and leaves no trace of the task. In the defect's message, which may
 * quote a name that a model chose, characters that do not show are written as escapes. A decision whose duration is negative, NaN
 * or not a duration is a defect that names the field.
 *
 * @since 0.1.0
 * @category models
 */
export type RouteToolCall = (request: ToolRequest) => RoutingDecision | Effect.Effect<RoutingDecision>

/**
 * The routing of a manager, read once when its layer is built. Without one, the `route` of the executor decides, where it has
 * one (that of an `@effect/ai` toolkit goes by the annotations of its tools), and else every call runs in the foreground.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { RoutingDecision, RoutingPolicy, TaskManagerLive } from "effect-task-manager"
 *
 * const Manager = TaskManagerLive.pipe(
 *   Layer.provide(
 *     RoutingPolicy.layer((request) =>
 *       request.toolName === "run_tests"
 *         ? RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" })
 *         : RoutingDecision.Foreground()
 *     )
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class RoutingPolicy extends Context.Reference<RoutingPolicy>()("effect-task-manager/RoutingPolicy", {
  defaultValue: (): RouteToolCall => () => RoutingDecision.Foreground()
}) {
  /**
   * A layer that sets the routing policy. It dies with a `TypeError` for anything but a function.
   *
   * @since 0.1.0
   */
  static readonly layer = (route: RouteToolCall): Layer.Layer<RoutingPolicy> =>
    Layer.sync(RoutingPolicy, () => {
      refuseUnless(typeof route === "function", "RoutingPolicy.layer", "a function", route)
      return route
    })
}
