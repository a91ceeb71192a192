/**
 * The inline manager.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import { makeInline } from "../runtime/make.js"
import { TaskManager } from "../services/TaskManager.js"

/**
 * The task manager for programs that run one call after the other: `startTask` runs the call in the foreground and
 * answers `Ready` with its resolution. Routing is not asked. If the host detaches the call meanwhile, the answer is
 * `Pending` and the result goes where background results go. Interrupting `startTask` cancels the call.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TaskLaunchRequest, TaskManager, type ToolRequest } from "effect-task-manager"
 *
 * const call = (request: ToolRequest) =>
 *   Effect.gen(function*() {
 *     const manager = yield* TaskManager
 *     const outcome = yield* manager.startTask(TaskLaunchRequest.plain({ request }))
 *     if (outcome._tag === "Pending") return yield* Effect.log(`detached: ${outcome.taskId}`)
 *     yield* Effect.log(outcome.resolution._tag)
 *   })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerSimple: Layer.Layer<TaskManager> = Layer.scoped(TaskManager, makeInline)
