/**
 * A manager for a program that is not written in Effect.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import { TaskManagerLive } from "../layers/TaskManagerLive.js"
import { type RouteToolCall, RoutingPolicy } from "../services/RoutingPolicy.js"
import { TaskManager } from "../services/TaskManager.js"
import { TaskManagerConfig } from "../services/TaskManagerConfig.js"
import { ToolExecutor } from "../services/ToolExecutor.js"
import type { CreateTaskManagerOptions } from "./CreateTaskManagerOptions.js"
import { operationsOver, type Parts } from "./internal/operations.js"
import { checkOptions } from "./internal/options.js"
import { toHandler } from "./internal/toHandler.js"
import type { PromiseTaskManager } from "./PromiseTaskManager.js"

// an effect, also for a function that answers at once: its first lines run when the call is known to the manager already,
// and may close its session
const toRoute = (routing: NonNullable<CreateTaskManagerOptions["routing"]>): RouteToolCall => (request) =>
  Effect.suspend(() => {
    const decision = routing(request)
    return Predicate.isPromiseLike(decision) ? Effect.promise(() => decision) : Effect.succeed(decision)
  })

/**
 * Makes a manager that runs these tools. Throws a `TypeError` that says which option is missing, unknown or of a wrong type,
 * and a `RangeError` for a limit that is out of range. Close it when it is not
 * needed any more: `await using`, or `close()`.
 *
 * @example
 * ```ts
 * import { createTaskManager } from "effect-task-manager/promise"
 *
 * const manager = createTaskManager({
 *   tools: { greet: async (input) => `Hello, ${input}!` }
 * })
 * const turn = { sessionId: "session-1", turnId: "turn-1" }
 * await manager.startTask({ request: { ...turn, callId: "call-1", toolName: "greet", input: "world" } })
 * const update = await manager.waitForTurn(turn)
 * await manager.close()
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const createTaskManager = (options: CreateTaskManagerOptions): PromiseTaskManager => {
  checkOptions(options)
  // a tool runs only after all is built
  const tools = Record.map(options.tools, (tool) => toHandler(tool, (runtime) => operationsOver(parts, runtime)))
  const managed = ManagedRuntime.make(
    Layer.merge(TaskManagerLive, ToolExecutor.fromHandlers(tools)).pipe(
      Layer.provide([
        TaskManagerConfig.layer(options.config ?? {}),
        options.routing === undefined ? Layer.empty : RoutingPolicy.layer(toRoute(options.routing))
      ])
    )
  )
  // nothing of the layer is asynchronous
  const built = managed.runSyncExit(managed.runtimeEffect)
  if (Exit.isFailure(built)) throw Cause.squash(built.cause)
  const runtime = built.value
  const parts: Parts = managed.runSync(Effect.gen(function*() {
    const executor = yield* ToolExecutor
    return { manager: yield* TaskManager, executor, toolSpecs: yield* executor.specs }
  }))
  let closed: Promise<void> | undefined
  const close = () => closed ??= managed.dispose()
  return { ...operationsOver(parts, runtime), close, [Symbol.asyncDispose]: close }
}
