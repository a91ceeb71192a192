/** Telling the host of tools that would not end. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Runtime from "effect/Runtime"
import type { TaskSnapshot } from "../../model/Task.js"
import { printable } from "../../shared/text.js"
import type { Engine } from "../Engine.js"

const abandonedTools = Metric.counter("effect_task_manager_abandoned_tools", {
  description: "Tools that did not end within the grace period after they were cancelled",
  incremental: true
})

export const reportAbandoned = (engine: Engine, snapshot: TaskSnapshot): void => {
  Runtime.runFork(engine.runtime)(
    Effect.logWarning("A cancelled tool did not end within its grace period and was abandoned").pipe(
      Effect.annotateLogs({
        package: "effect-task-manager",
        taskId: printable(snapshot.id),
        toolName: printable(snapshot.toolName)
      }),
      Effect.zipRight(Metric.increment(abandonedTools))
    )
  )
}
