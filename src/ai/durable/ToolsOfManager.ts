/**
 * Tools that need the manager which runs them.
 *
 * @since 0.1.0
 */
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import { specsOf } from "../tools/internal/specsOf.js"
import * as ToolRouting from "../tools/ToolRouting.js"

/**
 * Builds a durable manager and the tools that need it, such as `TaskToolkit`. The manager needs its tools to go on with what an
 * earlier process has left, and such tools need the manager: a call that goes on at once waits here until they are there.
 *
 * @example
 * ```ts
 * import type * as SqlClient from "@effect/sql/SqlClient"
 * import { Layer } from "effect"
 * import { AgentLoop, TaskToolkit, ToolkitExecutor } from "effect-task-manager/ai"
 * import { ToolsOfManager, TranscriptStoreSql } from "effect-task-manager/ai/durable"
 * import { TaskManagerDurable } from "effect-task-manager/durable"
 *
 * const { toolkit } = TaskToolkit
 *
 * const agentOn = (Sql: Layer.Layer<SqlClient.SqlClient>) =>
 *   AgentLoop.layer(toolkit).pipe(
 *     Layer.provide(TranscriptStoreSql.layer()),
 *     Layer.provide(ToolsOfManager.layer({
 *       toolkit,
 *       manager: TaskManagerDurable.layer({ shutdown: "keep" }),
 *       tools: ToolkitExecutor.layer(toolkit).pipe(Layer.provide(TaskToolkit.layer))
 *     })),
 *     Layer.provide(Sql)
 *   )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const ToolsOfManager = {
  /**
   * The manager and the executor of its tools. `toolkit` is that of `tools`: which of them may run again is asked before they are
   * built.
   */
  layer: <Manager, E, R, E2, R2>(options: {
    readonly toolkit: Toolkit.Any
    readonly manager: Layer.Layer<Manager, E, R>
    readonly tools: Layer.Layer<ToolExecutor, E2, R2>
  }): Layer.Layer<Manager | ToolExecutor, E | E2, Exclude<R, ToolExecutor> | Exclude<R2, Manager>> =>
    Layer.unwrapEffect(Effect.map(Deferred.make<ToolExecutor["Type"]>(), (built) => {
      const early = Layer.sync(ToolExecutor, () => ({
        specs: Effect.succeed(specsOf(options.toolkit)),
        route: ToolRouting.fromToolkit(options.toolkit),
        execute: (request) => Effect.flatMap(Deferred.await(built), (tools) => tools.execute(request))
      }))
      const late = Layer.tap(options.tools, (context) => Deferred.succeed(built, Context.get(context, ToolExecutor)))
      return Layer.provideMerge(late, Layer.provide(options.manager, early))
    }))
}
