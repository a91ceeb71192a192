/**
 * The manager for unit tests of agent programs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeConcurrent } from "../runtime/make.js"
import { makeScriptedTools } from "../runtime/scriptedTools.js"
import { TaskManager } from "../services/TaskManager.js"
import { TaskManagerTestControl } from "../services/TaskManagerTestControl.js"
import { ToolExecutor } from "../services/ToolExecutor.js"

/**
 * The engine of `TaskManagerLive` with tools that the test scripts through `TaskManagerTestControl`. It needs no
 * `ToolExecutor`: it provides its own. Ids are `task-1`, `task-2`, … in the order of the starts.
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerTest: Layer.Layer<TaskManager | ToolExecutor | TaskManagerTestControl> = Layer.scopedContext(
  Effect.map(makeConcurrent, (manager) => {
    const { control, executor } = makeScriptedTools(manager.handle)
    return Context.make(TaskManager, manager).pipe(
      Context.add(ToolExecutor, executor),
      Context.add(TaskManagerTestControl, control)
    )
  })
)
