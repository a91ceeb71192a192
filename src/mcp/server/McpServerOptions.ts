/**
 * The options of an MCP server.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { ToolError } from "../../errors.js"
import type { ToolSpec } from "../../model/ToolCall.js"
import { hidingCause } from "../../shared/hiddenCause.js"

/**
 * Whether a call of a tool becomes a task that its client asks about later. `never`: the call is answered when it has ended.
 * `optional`: it is a task for clients that have tasks, and for others as with `never`. `required`: clients without tasks are refused.
 *
 * @since 0.1.0
 * @category models
 */
export type McpTaskSupport = "never" | "optional" | "required"

/**
 * An error of JSON-RPC.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpProtocolError {
  readonly code: number
  readonly message: string
}

/**
 * What can be set of an MCP server. Values out of range are defects that name the field.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpServerOptions {
  /** Who the server is, for the client. Default: `effect-task-manager` in the version of this package. */
  readonly info?: { readonly name: string; readonly title?: string | undefined; readonly version: string } | undefined
  /** The instructions for a model that uses the server. Default: none. */
  readonly instructions?: string | undefined
  /** The tools that clients see and may call. Default: all that the `ToolExecutor` has. */
  readonly tools?: ReadonlyArray<ToolSpec> | undefined
  /** Which calls become tasks. Default: `optional` for every tool. */
  readonly taskSupport?: ((tool: ToolSpec) => McpTaskSupport) | undefined
  /**
   * Which failures of tools are reported as an error of the protocol (task status `failed`). Default: none: a call that has failed is
   * completed with `isError`, which a model reads.
   */
  readonly protocolError?: ((error: ToolError) => McpProtocolError | undefined) | undefined
  /**
   * How long a task is known from its creation; one that is live then is cancelled. A client of 2025-11-25 may ask for less. The history of the manager
   * (`historyLimit`, `historyBytes`) has to keep results for as long. `Infinity` keeps tasks until their client is gone. A number is milliseconds. Default: 1 hour.
   */
  readonly ttl?: Duration.DurationInput | undefined
  /** How often a client is asked to poll a task. More than 0; a number is milliseconds. Default: 1 second. */
  readonly pollInterval?: Duration.DurationInput | undefined
  /** How many tasks of all clients are known at the same time, calls that are waited for included: an integer from 1. Default: 1 000. */
  readonly maxTasks?: number | undefined
}

/**
 * What can be set of an MCP server on HTTP.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpHttpOptions {
  /**
   * The bearer token that every request must have, or tokens by the names of the clients that have them: what one client starts,
   * another one does not see. Of letters, digits and `-._~+/=`. Default: a token is made, and written once to the error output.
   */
  readonly token?:
    | Redacted.Redacted<string>
    | Readonly<Record<string, Redacted.Redacted<string>>>
    | undefined
  /** The path of the endpoint, for `layerHttp`. Default: `/mcp`. */
  readonly path?: `/${string}` | undefined
  /**
   * The host names, without ports, under which clients may ask for the server. Default: those of this machine alone; then a server that
   * other machines reach is a defect.
   */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** The origins of pages that may ask, such as `https://chat.example`. Default: none. A client that is not a page has no origin. */
  readonly origins?: ReadonlyArray<string> | undefined
  /** The largest body of a request, in bytes: an integer from 1. Default: 1 048 576. */
  readonly maxBodyBytes?: number | undefined
  /** How many sessions of clients of 2025-11-25 and before are open at the same time: an integer from 1. Default: 100. */
  readonly maxSessions?: number | undefined
  /** After which time without a request such a session is closed, and its tasks are cancelled. More than 0; a number is milliseconds. Default: 30 minutes. */
  readonly sessionIdle?: Duration.DurationInput | undefined
}

/**
 * A stream of the client has failed, such as an output that nobody reads any more: `McpServer.runStdio` fails with it, once the
 * tasks of the client have ended. `cause` is for the host alone.
 *
 * @since 0.1.0
 * @category errors
 */
export class McpStreamError extends hidingCause(
  Data.TaggedError("McpStreamError")<{ readonly message: string; readonly cause: unknown }>
) {}
