/**
 * The tools of MCP servers as tools of ours.
 *
 * @since 0.1.0
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import type {
  McpHttpServer,
  McpServerUnavailable,
  McpStdioServer,
  McpToolServer,
  McpToolsOptions
} from "./McpToolsOptions.js"

/**
 * How a server is at the moment. `Connecting`: calls of its tools wait for it. `Down`: its restarts are over, and they are `Unavailable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpServerStatus {
  readonly server: string
  readonly state: "Connecting" | "Ready" | "Down"
  /** How many tools it has listed last. */
  readonly tools: number
}

/**
 * The servers behind the tools of `McpTools.layer`.
 *
 * @since 0.1.0
 * @category services
 */
export class McpTools extends Context.Tag("effect-task-manager/McpTools")<McpTools, {
  /** How the servers are, in the order in which they were given. */
  readonly status: Effect.Effect<ReadonlyArray<McpServerStatus>>
}>() {
  /**
   * A server that is a program: it is started with the layer, and ends with it.
   *
   * @since 0.1.0
   */
  static readonly stdio = (server: Omit<McpStdioServer, "_tag">): McpStdioServer => ({ ...server, _tag: "Stdio" })

  /**
   * A server on Streamable HTTP.
   *
   * @since 0.1.0
   */
  static readonly http = (server: Omit<McpHttpServer, "_tag">): McpHttpServer => ({ ...server, _tag: "Http" })

  /**
   * The tools of all servers as a `ToolExecutor`, each under `server__tool` (where providers would not take that name, or where it is that of
   * two tools, with something at the end that tells it from others). `ToolExecutor.merge` adds tools of your own, and an `AgentLoop` with
   * `offer: "executor"` shows them to the model.
   *
   * - Every call asks a human first, unless `approval` says otherwise. What a server says of a tool never takes an approval away.
   * - Progress of the server is progress of the task. A task that is cancelled cancels the call, and the task that the server may run it as.
   * - `isError` ends the call as `ExecutionFailed`. Images, sounds and resources are media, structured content is JSON.
   * - A question of the server (elicitation) is a question of the task: its answer, or null to decline, goes back to the server, and the call
   *   goes on. A rejection cancels the call.
   * - A server that ends is started again as `restart` says. Calls that it had open end as `Interrupted`: nobody knows what they have done.
   *   Calls that begin meanwhile wait for `callWait`.
   * - `notifications/tools/list_changed` changes the list.
   *
   * Fails with `McpServerUnavailable` if one that is not `optional` cannot be connected to. Dies on a wrong option,
   * and names it. Needs the `CommandExecutor` of the platform only for servers that are programs.
   *
   * @example
   * ```ts
   * import type { LanguageModel } from "@effect/ai"
   * import { Toolkit } from "@effect/ai"
   * import { NodeContext } from "@effect/platform-node"
   * import { Layer } from "effect"
   * import { TaskManagerLive } from "effect-task-manager"
   * import { AgentLoop } from "effect-task-manager/ai"
   * import { McpTools } from "effect-task-manager/mcp"
   *
   * declare const Model: Layer.Layer<LanguageModel.LanguageModel>
   *
   * const Tools = McpTools.layer({
   *   servers: [
   *     McpTools.stdio({ name: "files", command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem", "."] }),
   *     McpTools.http({ name: "issues", url: "https://example.com/mcp", headers: [["authorization", "Bearer …"]] })
   *   ],
   *   approval: (tool) => !(tool.server === "files" && tool.name.startsWith("read_"))
   * })
   *
   * const Agent = AgentLoop.layer(Toolkit.empty, { offer: "executor" }).pipe(
   *   Layer.provide([Tools, Model, TaskManagerLive]),
   *   Layer.provide(NodeContext.layer)
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly layer = <Server extends McpToolServer>(
    options: McpToolsOptions<Server>
  ): Layer.Layer<
    McpTools | ToolExecutor,
    McpServerUnavailable,
    [Extract<Server, McpStdioServer>] extends [never] ? never : CommandExecutor.CommandExecutor
  > =>
    Layer.scopedContext(Effect.gen(function*() {
      // not with the module: who only serves does not have the SDK for clients
      const { makeMcpTools } = yield* Effect.promise(() => import("./internal/makeMcpTools.js"))
      const { executor, servers } = yield* makeMcpTools(
        options,
        yield* Effect.serviceOption(CommandExecutor.CommandExecutor)
      )
      const status = Effect.forEach(servers, ({ server, state, tools }) =>
        Effect.map(state, (now): McpServerStatus => ({ server: server.name, state: now, tools: tools().length })))
      return Context.make(McpTools, { status }).pipe(Context.add(ToolExecutor, executor))
    }))
}
