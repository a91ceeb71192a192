/**
 * The options of an ACP agent, and what its hooks are given.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { AgentLoop } from "../ai/loop/AgentLoop.js"
import type { AgentSessionDefaults } from "../ai/loop/AgentSession.js"
import type { TaskApproval } from "../model/Approval.js"
import type { TaskManager } from "../services/TaskManager.js"
import { hidingCause } from "../shared/hiddenCause.js"

/**
 * An MCP server that a client names. Its environment and its headers hold secrets: they must not be logged, and not be part of an error.
 *
 * @since 0.1.0
 * @category models
 */
export type AcpMcpServer =
  | {
    readonly _tag: "Stdio"
    readonly name: string
    /** The absolute path of the program. */
    readonly command: string
    readonly args: ReadonlyArray<string>
    readonly env: Readonly<Record<string, string>>
  }
  | {
    readonly _tag: "Http"
    readonly name: string
    readonly url: string
    readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  }

/**
 * What a client says of a session that it opens: where it works, and the MCP servers whose tools it is to have.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcpWorkspace {
  /** The absolute path of the folder that the user works in. */
  readonly cwd: string
  readonly mcpServers: ReadonlyArray<AcpMcpServer>
}

/**
 * A session is not opened: `loopOf` fails with it. The client is shown `message`, as an answer to that request alone.
 *
 * @since 0.1.0
 * @category errors
 */
export class AcpSessionRefused extends Data.TaggedError("AcpSessionRefused")<{ readonly message: string }> {}

/**
 * A stream of the client has failed, such as an output that nobody reads any more: `AcpAgent.runStdio` fails with it, once the
 * sessions have ended. `cause` is for the host alone.
 *
 * @since 0.1.0
 * @category errors
 */
export class AcpStreamError extends hidingCause(
  Data.TaggedError("AcpStreamError")<{ readonly message: string; readonly cause: unknown }>
) {}

/**
 * What a client shows of a tool call. `title` is one line; `kind` chooses an icon; `locations` are the files that the
 * call is about, by absolute path, with lines from 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcpToolCallView {
  readonly title: string
  readonly kind?: "read" | "edit" | "delete" | "move" | "search" | "execute" | "think" | "fetch" | "other" | undefined
  readonly locations?:
    | ReadonlyArray<{ readonly path: string; readonly line?: number | undefined }>
    | undefined
}

/**
 * What can be set of an ACP agent.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcpAgentOptions {
  /** Who the agent is, for the client. Default: `effect-task-manager` in the version of this package. */
  readonly info?: { readonly name: string; readonly title?: string | undefined; readonly version: string } | undefined
  /**
   * Makes the loop of one session, in the scope of the session, instead of the one `AgentLoop` of all: for tools that work in the
   * folder of the client, or that its MCP servers have. It must be over the `TaskManager` that it is given.
   */
  readonly loopOf?:
    | ((
      workspace: AcpWorkspace
    ) => Effect.Effect<Context.Tag.Service<AgentLoop>, AcpSessionRefused, Scope.Scope | TaskManager>)
    | undefined
  /**
   * Whether `loopOf` makes tools of the MCP servers that a client names. Default: false. Then a client of version 2 that names one
   * is refused, and for one of version 1, which names all that its user has, they are left out with a warning.
   */
  readonly mcp?: boolean | undefined
  /** What every session has, where the loop says otherwise. */
  readonly session?: AgentSessionDefaults | undefined
  /**
   * What the client shows of a call. Where it throws, or gives no title, the name of the tool is shown. Default: the command of a tool
   * named `shell` or `bash`, the name of any other.
   */
  readonly describe?: ((toolName: string, input: unknown) => AcpToolCallView) | undefined
  /**
   * What "always allow" does for an approval, before the call goes on; where it gives `None`, or throws, the client is not offered it. What
   * throws or dies is logged as an error, and the call that the user has allowed goes on. Default: never offered.
   */
  readonly always?: ((approval: TaskApproval) => Option.Option<Effect.Effect<void>>) | undefined
  /** Which files a prompt may hold, for the model that is asked. Default: `["image"]`. */
  readonly accepts?: ReadonlyArray<"image" | "audio"> | undefined
  /**
   * Under which folder (an absolute path) `session/list` shows the sessions of earlier processes, where the `TranscriptStore` keeps sessions.
   * Default: they are not listed, and can be loaded by a client that knows their ids.
   */
  readonly root?: string | undefined
}
