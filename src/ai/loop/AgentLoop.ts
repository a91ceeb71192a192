/**
 * The agent loop: a user writes tools and a prompt.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { TaskManager } from "../../services/TaskManager.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import type { AgentSession, AgentSessionDefaults, AgentSessionOptions } from "./AgentSession.js"
import type { SessionAlreadyOpen } from "./errors.js"

/**
 * Drives conversations on a language model through the task manager.
 *
 * @since 0.1.0
 * @category services
 */
export class AgentLoop extends Context.Tag("effect-task-manager/ai/AgentLoop")<AgentLoop, {
  /** Opens a session, which is closed with the scope. Fails if a session with this id is open in this loop. */
  readonly open: (options: AgentSessionOptions) => Effect.Effect<AgentSession, SessionAlreadyOpen, Scope.Scope>
}>() {
  /**
   * The loop with the tools that a model is shown; `ToolExecutor` runs them.
   *
   * @since 0.1.0
   */
  static readonly layer = (
    _toolkit: Toolkit.Any,
    _defaults?: AgentSessionDefaults
  ): Layer.Layer<AgentLoop, never, LanguageModel.LanguageModel | TaskManager | ToolExecutor> =>
    Layer.effect(AgentLoop, Effect.dieMessage("not there yet"))
}
