/** Telling the host of a tool that misbehaves. */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { TaskSnapshot } from "../../model/Task.js"
import { printable } from "../../shared/text.js"
import type { Engine } from "../Engine.js"

/** Logs one warning about the tool of a task. The names of a call come from a model, so nothing of them is logged as it is. */
export const warnOfTool = (
  engine: Engine,
  snapshot: TaskSnapshot,
  message: string,
  annotations: Readonly<Record<string, string>> = {}
): void => {
  Runtime.runFork(engine.runtime)(
    Effect.annotateLogs(Effect.logWarning(message), {
      package: "effect-task-manager",
      sessionId: printable(snapshot.sessionId),
      turnId: printable(snapshot.turnId),
      taskId: printable(snapshot.id),
      callId: printable(snapshot.callId),
      toolName: printable(snapshot.toolName),
      ...annotations
    })
  )
}
