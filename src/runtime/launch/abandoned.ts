/** Telling the host of tools that would not end. */
import * as Metric from "effect/Metric"
import * as Runtime from "effect/Runtime"
import type { TaskSnapshot } from "../../model/Task.js"
import type { Engine } from "../Engine.js"
import { warnOfTool } from "./toolWarning.js"

const abandonedTools = Metric.counter("effect_task_manager_abandoned_tools", {
  description: "Tools that did not end within the grace period after they were cancelled",
  incremental: true
})

export const reportAbandoned = (engine: Engine, snapshot: TaskSnapshot): void => {
  Runtime.runFork(engine.runtime)(Metric.increment(abandonedTools))
  warnOfTool(engine, snapshot, "A cancelled tool did not end within its grace period and was abandoned")
}
