/**
 * An agent loop as an agent of the Agent Client Protocol.
 *
 * @since 0.1.0
 */
import type { Stream as AcpStream } from "@agentclientprotocol/sdk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import { AgentLoop } from "../ai/loop/AgentLoop.js"
import { TaskManager } from "../services/TaskManager.js"
import { onStdio } from "../shared/onStdio.js"
import { ndjsonStream } from "../shared/stdio/ndjson.js"
import { type AcpAgentOptions, AcpStreamError } from "./AcpAgentOptions.js"
import { serve } from "./internal/serve.js"

/**
 * The two byte streams of a client, and what else can be set of an agent that it starts as a process.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcpStdioOptions extends AcpAgentOptions {
  /** What the client writes: `NodeStream.stdin` of `@effect/platform-node`. */
  readonly stdin: Stream.Stream<Uint8Array, unknown>
  /** What the client reads: `NodeSink.stdout` of `@effect/platform-node`. */
  readonly stdout: Sink.Sink<unknown, Uint8Array, unknown, unknown>
  /**
   * How many bytes one message of the client may have: an integer from 1. A longer request is answered with an error, by its id; what
   * a longer response answers has failed; a longer notification is left out. Default: 32 MiB.
   */
  readonly maxLineBytes?: number | undefined
}

const defaultMaxLineBytes = 33_554_432

/**
 * Puts an `AgentLoop` on the Agent Client Protocol, in versions 1 and 2 for whichever the client asks for, so that it works in
 * editors. Background tasks are shown as such, turns that they start reach the client without a prompt, and requests
 * for approval ask the user of the editor. A client that is gone takes its sessions with it, unless the `TranscriptStore` keeps
 * them.
 *
 * @since 0.1.0
 * @category services
 */
export class AcpAgent extends Context.Tag("effect-task-manager/AcpAgent")<AcpAgent, {
  /** Serves one client on a stream of messages, and returns when it is gone and its sessions have ended. */
  readonly serve: (stream: AcpStream) => Effect.Effect<void>
}>() {
  /**
   * An agent for clients that are reached by streams of their own, such as sockets.
   *
   * @since 0.1.0
   */
  static readonly layer = (options: AcpAgentOptions = {}): Layer.Layer<AcpAgent, never, AgentLoop | TaskManager> =>
    Layer.effect(
      AcpAgent,
      Effect.gen(function*() {
        const loop = yield* AgentLoop
        const manager = yield* TaskManager
        return { serve: (stream) => serve({ loop, manager, options }, stream) }
      })
    )

  /**
   * Serves the client that has started this process, and returns when it is gone and its sessions have ended. `agent` is built
   * inside: what it logs, and what its tools write to the `Console` of Effect, goes to the error output, for the standard output
   * belongs to the protocol. What calls `console.log` itself must not. Fails with `AcpStreamError` once a stream has failed. Dies on a
   * `maxLineBytes` that is out of range.
   *
   * @example
   * ```ts
   * import type { LanguageModel } from "@effect/ai"
   * import { NodeContext, NodeRuntime, NodeSink, NodeStream } from "@effect/platform-node"
   * import { Effect, Layer } from "effect"
   * import { TaskManagerLive } from "effect-task-manager"
   * import { AcpAgent } from "effect-task-manager/acp"
   * import { AgentLoop, ShellTool, ToolkitExecutor } from "effect-task-manager/ai"
   *
   * declare const Model: Layer.Layer<LanguageModel.LanguageModel>
   *
   * const { toolkit } = ShellTool
   * const Tools = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(ShellTool.layer({ root: "." })))
   * const Agent = AgentLoop.layer(toolkit).pipe(
   *   Layer.provide([Tools, Model]),
   *   Layer.provideMerge(TaskManagerLive),
   *   Layer.provide(NodeContext.layer)
   * )
   *
   * AcpAgent.runStdio(Agent, { stdin: NodeStream.stdin, stdout: NodeSink.stdout }).pipe(
   *   // it has reported errors, and not to the standard output
   *   (program) => NodeRuntime.runMain(program, { disableErrorReporting: true })
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly runStdio = <ROut, E, R>(
    agent: Layer.Layer<AgentLoop | TaskManager | ROut, E, R>,
    options: AcpStdioOptions
  ): Effect.Effect<void, E | AcpStreamError, R> =>
    onStdio(
      Effect.gen(function*() {
        const { maxLineBytes = defaultMaxLineBytes, stdin, stdout } = options
        if (!(Number.isSafeInteger(maxLineBytes) && maxLineBytes >= 1)) {
          return yield* Effect.dieMessage("AcpStdioOptions.maxLineBytes takes an integer from 1")
        }
        const { check, stream } = yield* ndjsonStream(stdin, stdout, maxLineBytes)
        const loop = yield* AgentLoop
        const manager = yield* TaskManager
        // objects: which message one is, the connection looks itself
        yield* serve({ loop, manager, options }, stream as AcpStream)
        yield* Effect.mapError(check, ({ cause, message }) => new AcpStreamError({ cause, message }))
      }),
      { failure: "The ACP agent has failed", needs: agent }
    )
}
