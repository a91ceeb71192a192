/**
 * The agent loop: a user writes tools and a prompt.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { TaskManager } from "../../services/TaskManager.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import type { AgentSessionDefaults } from "./AgentSession.js"
import { type AgentLoopService, makeAgentLoop } from "./internal/makeAgentLoop.js"

/**
 * Drives conversations on a language model through the task manager: a program writes only tools and a prompt.
 *
 * A turn goes from a message to a reply without calls. The calls of a reply run side by side as tasks of the manager, in the foreground or
 * in the background as the annotations of their tools say, or the manager's `RoutingPolicy` if it has one; their results enter the transcript in the order of the calls. A call in the background is answered at once by
 * a placeholder, and its result comes later, by the session's codec; under `RequestContinue` it starts a turn by itself.
 * At every request the history is valid for every provider. Requests of several sessions run concurrently.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Layer, Schema, Stream } from "effect"
 * import { SessionId, TaskManagerLive } from "effect-task-manager"
 * import { AgentLoop, ToolkitExecutor } from "effect-task-manager/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("greet", { parameters: { name: Schema.String }, success: Schema.String })
 * )
 * const Handlers = toolkit.toLayer({ greet: ({ name }) => Effect.succeed(`Hello, ${name}!`) })
 *
 * // what is left to provide is a LanguageModel
 * const Agent = AgentLoop.layer(toolkit, { system: "You greet people." }).pipe(
 *   Layer.provide(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
 *   Layer.provide(TaskManagerLive)
 * )
 *
 * const program = Effect.gen(function*() {
 *   const loop = yield* AgentLoop
 *   const session = yield* loop.open({ sessionId: SessionId.make("session-1") })
 *   yield* session.run("Greet the world.").pipe(Stream.runForEach((event) => Effect.log(event._tag)))
 * }).pipe(Effect.scoped, Effect.provide(Agent))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class AgentLoop extends Context.Tag("effect-task-manager/AgentLoop")<AgentLoop, AgentLoopService>() {
  /**
   * The loop with the tools that a model is shown; `ToolExecutor` runs them. `defaults` hold for every session that does not
   * say otherwise. Dies on a wrong default, which it names, and on a tool that no
   * provider takes.
   *
   * @since 0.1.0
   */
  static readonly layer = (
    toolkit: Toolkit.Any,
    defaults?: AgentSessionDefaults
  ): Layer.Layer<AgentLoop, never, LanguageModel.LanguageModel | TaskManager | ToolExecutor> =>
    Layer.scoped(AgentLoop, makeAgentLoop(toolkit, defaults ?? {}))
}
