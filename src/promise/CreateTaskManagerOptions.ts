/**
 * What a manager for a program that is not written in Effect is made of.
 *
 * @since 0.1.0
 */
import type { RoutingDecision } from "../model/RoutingDecision.js"
import type { ToolRequest } from "../model/ToolCall.js"
import type { TaskManagerSettings } from "../services/TaskManagerConfig.js"
import type { PromiseTool } from "./PromiseTool.js"

/**
 * What a manager is made of. `routing` decides where a call runs (default: all in the foreground), now or with a promise;
 * what it throws rejects that `startTask`. `config` has the limits of `TaskManagerConfig`; a duration that is a number
 * is milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface CreateTaskManagerOptions {
  readonly tools: Readonly<Record<string, PromiseTool>>
  readonly routing?: ((request: ToolRequest) => RoutingDecision | PromiseLike<RoutingDecision>) | undefined
  readonly config?: Partial<TaskManagerSettings> | undefined
}
