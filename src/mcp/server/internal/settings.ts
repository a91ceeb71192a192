/** What all clients of a server share. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ToolError } from "../../../errors.js"
import type { ToolSpec } from "../../../model/ToolCall.js"
import { TaskManager } from "../../../services/TaskManager.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { millisOf } from "../../../shared/durations.js"
import { integerOf, refuseUnless } from "../../../shared/refusals.js"
import type { McpProtocolError, McpServerOptions, McpTaskSupport } from "../McpServerOptions.js"

/** The options as they are meant. Times are milliseconds. */
interface Meant {
  readonly info: NonNullable<McpServerOptions["info"]>
  readonly instructions: string | undefined
  readonly taskSupport: (tool: ToolSpec) => McpTaskSupport
  readonly protocolError: (error: ToolError) => McpProtocolError | undefined
  readonly ttl: number
  readonly pollInterval: number
  readonly maxTasks: number
}

export interface Settings {
  readonly manager: Context.Tag.Service<TaskManager>
  readonly executor: Context.Tag.Service<ToolExecutor>
  readonly tools: Effect.Effect<ReadonlyArray<ToolSpec>>
  readonly options: Meant
  /** How many tasks of all clients are known. */
  readonly known: { tasks: number }
}

const defaultInfo: Meant["info"] = { name: "effect-task-manager", version: "0.1.0" }

const meant = (options: McpServerOptions): Meant => {
  const { maxTasks = 1_000, pollInterval = "1 second", ttl = "1 hour" } = options
  const interval = millisOf("McpServerOptions.pollInterval", pollInterval)
  refuseUnless(
    interval > 0 && interval !== Infinity,
    "McpServerOptions.pollInterval",
    "a duration of more than 0",
    pollInterval
  )
  const time = millisOf("McpServerOptions.ttl", ttl)
  refuseUnless(time > 0, "McpServerOptions.ttl", "a duration of more than 0", ttl)
  return {
    info: options.info ?? defaultInfo,
    instructions: options.instructions,
    taskSupport: options.taskSupport ?? (() => "optional"),
    protocolError: options.protocolError ?? (() => undefined),
    // the protocol counts whole milliseconds
    ttl: Math.ceil(time),
    pollInterval: Math.ceil(interval),
    maxTasks: integerOf("McpServerOptions.maxTasks", maxTasks, 1)
  }
}

export const makeSettings = (options: McpServerOptions): Effect.Effect<Settings, never, TaskManager | ToolExecutor> =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const executor = yield* ToolExecutor
    return {
      manager,
      executor,
      tools: options.tools === undefined ? executor.specs : Effect.succeed(options.tools),
      options: yield* Effect.sync(() => meant(options)),
      known: { tasks: 0 }
    }
  })
