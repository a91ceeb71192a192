/**
 * Which MCP servers have tools for us, and what is done with their calls.
 *
 * @since 0.1.0
 */
import type { Transport } from "@modelcontextprotocol/client"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { RoutingDecision } from "../../model/RoutingDecision.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import { hidingCause } from "../../shared/hiddenCause.js"

/**
 * What a server says of a tool by itself. It may be a lie: a hint can be a reason to ask, and never one not to ask. Undefined where the
 * server says nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpToolHints {
  readonly readOnly: boolean | undefined
  readonly destructive: boolean | undefined
  readonly idempotent: boolean | undefined
  readonly openWorld: boolean | undefined
}

/**
 * A tool as its server lists it. `server` is the name that you have given the server, `name` what the server calls the tool: any text.
 * `title` and `description` are texts of the server for a model or a human, without characters that do not show.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpTool {
  readonly server: string
  readonly name: string
  readonly title: string
  readonly description: string
  /** A JSON Schema of an object. */
  readonly inputSchema: Readonly<Record<string, unknown>>
  readonly hints: McpToolHints
}

/**
 * Which calls ask a human before they are sent. `"always"`: each. `"destructive"`: those of tools of which the server says that they
 * destroy something, for servers that you believe. `"never"`: none. Or a function of the tool and its input, by which a call asks where it
 * gives `true`, or the reason as a text; one that throws fails the call.
 *
 * @since 0.1.0
 * @category models
 */
export type McpApproval =
  | "always"
  | "destructive"
  | "never"
  | ((tool: McpTool, input: unknown) => boolean | string)

/**
 * What can be said of each server. `name` is where the names of its tools begin: no two servers have the same. `approval` wins over that of
 * all servers. With `optional` a server that cannot be reached when the layer is built costs only its own tools, until it can be.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpServerSettings {
  readonly name: string
  readonly approval?: McpApproval | undefined
  readonly optional?: boolean | undefined
}

/**
 * A server that is a program: it is started with the layer, in a group of processes of its own, which ends with the layer. It has the
 * environment `env`, and of this process only what every program needs (`PATH`, `HOME` and the like). `stderr` is called with what it
 * writes to its error output, in pieces of any length; by default that is read and dropped. `cwd` is the folder it works in, by default that of
 * this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpStdioServer extends McpServerSettings {
  readonly _tag: "Stdio"
  readonly command: string
  readonly args?: ReadonlyArray<string> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
  readonly stderr?: ((text: string) => Effect.Effect<void>) | undefined
}

/**
 * A server on Streamable HTTP. `headers` go with every request, such as an `authorization`. `fetch` is used instead of that of the
 * platform, whose time limits for one answer hold otherwise (five minutes on Node).
 *
 * @since 0.1.0
 * @category models
 */
export interface McpHttpServer extends McpServerSettings {
  readonly _tag: "Http"
  readonly url: string
  readonly headers?: ReadonlyArray<readonly [name: string, value: string]> | undefined
  readonly fetch?: typeof globalThis.fetch | undefined
}

/**
 * A server that is reached in another way: `connect` gives a new transport of the official SDK for each connection, not started yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpTransportServer extends McpServerSettings {
  readonly _tag: "Transport"
  readonly connect: () => Transport
}

/**
 * A server that has tools.
 *
 * @since 0.1.0
 * @category models
 */
export type McpToolServer = McpStdioServer | McpHttpServer | McpTransportServer

/**
 * What `McpTools.layer` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpToolsOptions<Server extends McpToolServer = McpToolServer> {
  readonly servers: ReadonlyArray<Server>
  /** Which calls ask first, where the server has no `approval` of its own. Default: `"always"`. */
  readonly approval?: McpApproval | undefined
  /** Where calls run. Default: in the foreground, and a result that comes from the background asks for another turn. */
  readonly route?: ((tool: McpTool, request: ToolRequest) => RoutingDecision) | undefined
  /**
   * When a server that has ended is started, or connected to, again: a schedule, which begins anew once a connection has lasted a minute.
   * When it is over, the tools of the server are `Unavailable`. Default: after 250 milliseconds, then each time after twice as long, up to 30 seconds.
   */
  readonly restart?: Schedule.Schedule<unknown> | undefined
  /** How long a connection may take to be made, and its tools to be listed. A number is milliseconds. Default: 30 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** How long a call waits for a server that is being restarted before it fails as `Unavailable`. A number is milliseconds. Default: 30 seconds. */
  readonly callWait?: Duration.DurationInput | undefined
  /** How long the processes of a server have to end by themselves, and again after SIGTERM, before they are killed. A number is milliseconds. Default: 2 seconds. */
  readonly gracePeriod?: Duration.DurationInput | undefined
  /** How long a question of a server may stay without its answer before its call is given up. A number is milliseconds. Default: 1 hour. */
  readonly questionTimeout?: Duration.DurationInput | undefined
  /** How many bytes one message of a server may have: more ends the connection. An integer from 1 024. Default: 16 MiB. */
  readonly maxMessageBytes?: number | undefined
}

/**
 * A server that is not `optional` could not be connected to when the layer was built: its process ended, nothing answered within
 * `connectTimeout`, or what answered is not an MCP server. `cause` is for the program alone: it is in no log.
 *
 * @since 0.1.0
 * @category errors
 */
export class McpServerUnavailable extends hidingCause(
  Data.TaggedError("McpServerUnavailable")<{
    readonly server: string
    readonly message: string
    readonly cause: unknown
  }>
) {}
