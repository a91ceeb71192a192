/**
 * The manager for unit tests of agent programs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeConcurrent } from "../runtime/make.js"
import { TaskManager } from "../services/TaskManager.js"
import { TaskManagerTestControl } from "../services/TaskManagerTestControl.js"
import { ToolExecutor } from "../services/ToolExecutor.js"
import { makeScriptedTools } from "./internal/scriptedTools.js"

/**
 * The engine of `TaskManagerLive` with tools that a test scripts through `TaskManagerTestControl`. It needs no
 * `ToolExecutor`: it provides its own. Ids are `task-1`, `task-2`, … in the order of the starts. Timeouts and detach times
 * follow the `Clock`, so a `TestClock` drives them.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ScriptedOutcome, TaskManager, TaskManagerTest, TaskManagerTestControl } from "effect-task-manager"
 *
 * const test = Effect.gen(function*() {
 *   const control = yield* TaskManagerTestControl
 *   yield* control.script("read_file", ScriptedOutcome.Succeed("# Title"))
 *   const manager = yield* TaskManager
 *   // ... run the agent, then look at what it launched ...
 *   yield* manager.handle.waitForIdle
 *   return yield* control.launches
 * }).pipe(Effect.provide(TaskManagerTest))
 * ```
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
