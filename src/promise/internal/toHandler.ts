/** Makes a handler of a tool that is a plain function. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { ApprovalRequired, ToolError } from "../../errors.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import type { ToolHandler } from "../../services/toolHandlers.js"
import type { TaskOperations } from "../PromiseTaskManager.js"
import type { PromiseTool, ToolContext } from "../PromiseTool.js"
import { progressOf } from "./arguments.js"
import { iterate, runOver } from "./running.js"
import { reasonNow, stoppedBy } from "./stopping.js"

const isToolFailure = (thrown: unknown): thrown is ToolError | ApprovalRequired =>
  Predicate.isTagged(thrown, "ToolError") || Predicate.isTagged(thrown, "ApprovalRequired")

const contextOf = (
  task: Context.Tag.Service<CurrentTask>,
  runtime: Runtime.Runtime<never>,
  signal: AbortSignal,
  operationsOver: (runtime: Runtime.Runtime<never>) => TaskOperations
): ToolContext => {
  const runSyncExit = Runtime.runSyncExit(runtime)
  // not `runSync`: it would throw an error of its own around that of the manager
  const runSync = <A>(effect: Effect.Effect<A>): A =>
    Exit.getOrElse(runSyncExit(effect), (cause) => {
      throw Cause.squash(cause)
    })
  const { request } = task
  return {
    signal,
    taskId: task.taskId,
    sessionId: request.sessionId,
    turnId: request.turnId,
    callId: request.callId,
    toolName: request.toolName,
    request,
    launch: task.launch,
    approval: Option.getOrUndefined(task.approval),
    answers: task.answers,
    kind: () => runSync(task.kind),
    cancelReason: () => reasonNow(task, runtime),
    reportProgress: (progress) => runSync(task.reportProgress(progressOf(progress))),
    write: (chunk) => runSync(task.write(chunk)),
    maxResultBytes: task.maxResultBytes,
    // not the signal of the task, whose abort would be thrown at a tool that only reads on: the stream ends by itself
    get messages() {
      return iterate(runOver(runtime), task.messages, Effect.runSync(Scope.make()), undefined)
    },
    get manager() {
      return operationsOver(runtime)
    }
  }
}

/** The handler that runs a tool. Its manager works from the fiber of the tool, so that it knows whom a wait holds up. */
export const toHandler = (
  tool: PromiseTool,
  operationsOver: (runtime: Runtime.Runtime<never>) => TaskOperations
): ToolHandler<CurrentTask> => {
  const described = typeof tool === "function" ? { execute: tool } : tool
  const handler = (request: ToolRequest) =>
    Effect.flatMap(Effect.runtime<CurrentTask>(), (runtime) =>
      // not `Effect.tryPromise`: interrupted, it leaves the promise behind, and the task would settle while its tool runs
      Effect.async<unknown, ToolError | ApprovalRequired>((resume) => {
        // not the signal of `Effect.async`, which gives no reason
        const controller = new AbortController()
        const task = Context.get(runtime.context, CurrentTask)
        const context = contextOf(task, runtime, controller.signal, operationsOver)
        const ended = (async () => described.execute(request.input, context))().then(
          (value) => resume(Effect.succeed(value)),
          (thrown: unknown) =>
            resume(Effect.suspend(() => isToolFailure(thrown) ? Effect.fail(thrown) : Effect.die(thrown)))
        )
        return Effect.suspend(() => {
          controller.abort(stoppedBy(reasonNow(task, runtime), request.toolName))
          return Effect.promise(() => ended)
        })
      }))
  return Object.assign(handler, {
    description: described.description,
    inputSchema: described.inputSchema,
    annotations: described.annotations
  })
}
