/**
 * The tools of a session: who runs a call, and where. What a running tool can see is in CurrentTask.ts.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ApprovalRequired, ToolError } from "../errors.js"
import type { ToolRequest, ToolResult, ToolSpec } from "../model/ToolCall.js"
import type { CurrentTask } from "./CurrentTask.js"
import { mergeExecutors } from "./mergeExecutors.js"
import type { RouteToolCall } from "./RoutingPolicy.js"
import { makeExecutor, type ToolHandlers } from "./toolHandlers.js"

/**
 * Runs tool calls. `startTask` takes it from its caller's context, so each session can bring its own; it must outlive
 * the tasks it runs. Interrupting the effect of `execute` is how a task is cancelled.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ToolError, ToolExecutor, ToolOutput } from "effect-task-manager"
 *
 * declare const callRemote: (name: string, input: unknown, signal: AbortSignal) => Promise<string>
 *
 * const RemoteTools = Layer.succeed(ToolExecutor, {
 *   specs: Effect.succeed([]),
 *   execute: ({ callId, input, toolName }) =>
 *     Effect.tryPromise({
 *       try: (signal) => callRemote(toolName, input, signal),
 *       catch: (cause) => new ToolError({ reason: "Unavailable", toolName, message: "The server did not answer.", cause })
 *     }).pipe(Effect.map((text) => ({
 *       result: { _tag: "ToolResult", callId, output: ToolOutput.Text({ text }), isError: false, metadata: {} },
 *       metadata: {}
 *     })))
 * })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class ToolExecutor extends Context.Tag("effect-task-manager/ToolExecutor")<ToolExecutor, {
  /** The tools, as they are shown to a model. */
  readonly specs: Effect.Effect<ReadonlyArray<ToolSpec>>
  /**
   * Runs one call. Fails with `ToolError` when the call failed and with `ApprovalRequired` to ask a human first; a
   * defect becomes a `ToolError` with reason `Internal`. The call is a copy for this launch, but for its input, which is the caller's own.
   */
  readonly execute: (request: ToolRequest) => Effect.Effect<ToolResult, ToolError | ApprovalRequired, CurrentTask>
  /**
   * Where its calls run, for a manager that was given no `RoutingPolicy`. Default: all in the foreground. An executor that wraps
   * another one has to pass it on.
   */
  readonly route?: RouteToolCall | undefined
}>() {
  /**
   * An executor from plain functions by tool name. An unknown tool is a `NotFound` result. What the handlers need stays
   * in the requirements of the layer, except `CurrentTask` and `Scope`, which belong to each launch. A wrong
   * handler (not a function, a description that is not a string) kills the construction of the layer with a defect that names it.
   *
   * @example
   * ```ts
   * import { Effect } from "effect"
   * import { ToolExecutor } from "effect-task-manager"
   *
   * const Tools = ToolExecutor.fromHandlers({
   *   echo: (request) => Effect.succeed(request.input)
   * })
   * ```
   *
   * @since 0.1.0
   */
  static readonly fromHandlers = <const H extends ToolHandlers>(
    handlers: H
  ): Layer.Layer<ToolExecutor, never, Exclude<ToolHandlers.Context<H>, CurrentTask | Scope.Scope>> =>
    Layer.effect(
      ToolExecutor,
      Effect.map(
        Effect.context<Exclude<ToolHandlers.Context<H>, CurrentTask | Scope.Scope>>(),
        (context) => makeExecutor(handlers, context)
      )
    )

  /**
   * The tools of two executors as one. A call goes to the one that has a tool of its name at that moment, and where both have one to
   * the first; it runs where the `route` of that executor says. A name that neither has is a `NotFound` result.
   *
   * @example
   * ```ts
   * import { Effect } from "effect"
   * import { ToolExecutor } from "effect-task-manager"
   *
   * const Tools = ToolExecutor.merge(
   *   ToolExecutor.fromHandlers({ echo: (request) => Effect.succeed(request.input) }),
   *   ToolExecutor.fromHandlers({ now: () => Effect.map(Effect.clock, (clock) => clock.unsafeCurrentTimeMillis()) })
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly merge = <E, R, E2, R2>(
    first: Layer.Layer<ToolExecutor, E, R>,
    second: Layer.Layer<ToolExecutor, E2, R2>
  ): Layer.Layer<ToolExecutor, E | E2, R | R2> =>
    Layer.scoped(
      ToolExecutor,
      Effect.zipWith(
        Effect.map(Layer.build(first), Context.get(ToolExecutor)),
        Effect.map(Layer.build(second), Context.get(ToolExecutor)),
        mergeExecutors,
        { concurrent: true }
      )
    )
}
