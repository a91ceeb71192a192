/**
 * The concurrent manager.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import { makeConcurrent } from "../runtime/make.js"
import { TaskManager } from "../services/TaskManager.js"

/**
 * The task manager for agent programs: `startTask` starts a fiber and answers `Pending` at once. It reads
 * `TaskManagerConfig` and `RoutingPolicy` when it is built, and dies there if a setting is out of range. Closing its scope
 * cancels every task and waits for their finalizers, at most `cancelGracePeriod`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { TaskManager, TaskManagerLive, ToolExecutor } from "effect-task-manager"
 *
 * const Tools = ToolExecutor.fromHandlers({ greet: () => Effect.succeed("hello") })
 *
 * const program = Effect.gen(function*() {
 *   const manager = yield* TaskManager
 *   return yield* manager.handle.listRunning
 * })
 *
 * const main = program.pipe(Effect.provide(Layer.merge(TaskManagerLive, Tools)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerLive: Layer.Layer<TaskManager> = Layer.scoped(TaskManager, makeConcurrent)
