/**
 * Two executors as one.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ApprovalRequired, ToolError } from "../errors.js"
import { RoutingDecision } from "../model/RoutingDecision.js"
import type { ToolRequest, ToolResult, ToolSpec } from "../model/ToolCall.js"
import type { CurrentTask } from "./CurrentTask.js"
import type { RouteToolCall } from "./RoutingPolicy.js"
import { unknownTool } from "./toolHandlers.js"

interface Executor {
  readonly specs: Effect.Effect<ReadonlyArray<ToolSpec>>
  readonly execute: (request: ToolRequest) => Effect.Effect<ToolResult, ToolError | ApprovalRequired, CurrentTask>
  readonly route?: RouteToolCall | undefined
}

const toEffect = (
  decided: RoutingDecision | Effect.Effect<RoutingDecision>
): Effect.Effect<RoutingDecision> => Effect.isEffect(decided) ? decided : Effect.succeed(decided)

/**
 * The tools of both; a call goes to the first that has a tool of its name. What they have is looked up for each call, as it may
 * change.
 *
 * @since 0.1.0
 * @category constructors
 */
export const mergeExecutors = (first: Executor, second: Executor): Executor => {
  const specs = Effect.zipWith(first.specs, second.specs, (left, right) => {
    const names = new Set(left.map(({ name }) => name))
    return [...left, ...right.filter(({ name }) => !names.has(name))]
  })
  const ownerOf = (toolName: string): Effect.Effect<Executor | undefined> =>
    Effect.gen(function*() {
      for (const executor of [first, second]) {
        if ((yield* executor.specs).some(({ name }) => name === toolName)) return executor
      }
      return undefined
    })
  return {
    specs,
    execute: (request) =>
      Effect.flatMap(ownerOf(request.toolName), (owner) =>
        owner === undefined
          ? Effect.flatMap(specs, (known) => unknownTool(request.toolName, known.map(({ name }) => name)))
          : owner.execute(request)),
    route: (request) =>
      Effect.flatMap(
        ownerOf(request.toolName),
        (owner) =>
          owner?.route === undefined ? Effect.succeed(RoutingDecision.Foreground()) : toEffect(owner.route(request))
      )
  }
}
