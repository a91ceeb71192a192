/** The failure of a tool that died, or returned what is neither a result nor a failure. */
import * as Cause from "effect/Cause"
import type { ToolError } from "../../errors.js"
import { internalError } from "../../machine/results.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import { toolErrorOf } from "../../model/toolFailures.js"
import type { OnToolDefect } from "../../services/TaskManagerConfig.js"
import { causeText } from "../../shared/logging.js"
import { ignoreRejection } from "../../shared/mustBeEffect.js"
import type { Engine } from "../Engine.js"
import { capError } from "./outputLimits.js"
import { warnOfTool } from "./toolWarning.js"

/** What the configuration makes of the cause: an error, or why it made none. */
const askConfig = (
  onToolDefect: OnToolDefect,
  cause: Cause.Cause<unknown>,
  request: ToolRequest
): ToolError | Cause.Cause<unknown> => {
  try {
    const answer: unknown = onToolDefect(cause, request)
    ignoreRejection(answer)
    return toolErrorOf(answer) ?? Cause.die(new TypeError("TaskManagerConfig.onToolDefect did not return a ToolError"))
  } catch (thrown) {
    return Cause.die(thrown)
  }
}

/** Decides the error of a task whose tool died, and logs one warning. The cause is for the host: the model reads none of it. */
export const toolDefect = (
  engine: Engine,
  request: ToolRequest,
  snapshot: TaskSnapshot,
  cause: Cause.Cause<unknown>
): ToolError => {
  const { onToolDefect, outputLimits } = engine
  const answer = onToolDefect === undefined ? undefined : askConfig(onToolDefect, cause, request)
  const isBroken = Cause.isCause(answer)
  warnOfTool(engine, snapshot, "A tool died", {
    cause: causeText(cause),
    ...(isBroken ? { onToolDefect: causeText(answer) } : undefined)
  })
  return answer === undefined || isBroken
    ? internalError(request, Cause.squash(cause))
    : capError(outputLimits, answer)
}
