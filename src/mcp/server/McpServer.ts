/**
 * The tools of a `ToolExecutor` as a server of the Model Context Protocol.
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { Transport } from "@modelcontextprotocol/server"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { TaskManager } from "../../services/TaskManager.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import { isLoopback } from "../../shared/loopback.js"
import { onStdio } from "../../shared/onStdio.js"
import { integerOf } from "../../shared/refusals.js"
import { ndjsonStream } from "../../shared/stdio/ndjson.js"
import { makeSettings } from "./internal/settings.js"
import { type McpHttpOptions, type McpServerOptions, McpStreamError } from "./McpServerOptions.js"

/**
 * The two byte streams of a client, and what else can be set of a server that it starts as a process.
 *
 * @since 0.1.0
 * @category models
 */
export interface McpStdioOptions extends McpServerOptions {
  /** What the client writes: `NodeStream.stdin` of `@effect/platform-node`. */
  readonly stdin: Stream.Stream<Uint8Array, unknown>
  /** What the client reads: `NodeSink.stdout` of `@effect/platform-node`. */
  readonly stdout: Sink.Sink<unknown, Uint8Array, unknown, unknown>
  /**
   * How many bytes one message of the client may have: an integer from 1. A longer request is answered with an error, by its id; what
   * a longer response answers has failed; a longer notification is left out. Default: 4 MiB.
   */
  readonly maxLineBytes?: number | undefined
}

const defaultMaxLineBytes = 4_194_304

const endpoints = Effect.promise(() => import("./internal/endpoints.js"))

/** The app at its path, and nothing beside it. */
const at = <E, R>(path: string, app: HttpApp.Default<E, R>) =>
  Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    ({ url }) => url.split("?")[0] === path ? app : Effect.succeed(HttpServerResponse.empty({ status: 404 }))
  )

/**
 * Serves the tools of a `ToolExecutor` to MCP clients. A call is a task of the `TaskManager`, and for clients that have tasks (the extension of
 * 2026-07-28, or the experimental ones of 2025-11-25) one that they ask about later; others wait for it. Approvals and questions ask the user
 * of the client. What one client starts, no other sees, and a client that is gone takes its tasks with it.
 *
 * @since 0.1.0
 * @category services
 */
export class McpServer extends Context.Tag("effect-task-manager/McpServer")<McpServer, {
  /** Serves one client on a transport of the official SDK, and returns when it is closed and the tasks of the client have ended. */
  readonly serve: (transport: Transport) => Effect.Effect<void>
  /**
   * The endpoint, at whatever path your server has it. Without a `token` one is made, and written once to the error output. Clients that
   * have no sessions are there until the scope closes.
   */
  readonly httpApp: (options?: McpHttpOptions) => Effect.Effect<HttpApp.Default<never, Scope.Scope>, never, Scope.Scope>
}>() {
  /**
   * A server for clients that are reached by transports of their own, and for those of HTTP.
   *
   * @since 0.1.0
   */
  static readonly layer = (
    options: McpServerOptions = {}
  ): Layer.Layer<McpServer, never, TaskManager | ToolExecutor> =>
    Layer.effect(
      McpServer,
      Effect.zipWith(makeSettings(options), endpoints, (settings, { makeApp, makeGuard, serve }) => ({
        serve: (transport) => serve(settings, transport),
        httpApp: (http = {}) =>
          Effect.flatMap(makeGuard(http), (guard) =>
            Effect.tap(makeApp(settings, http, guard), () =>
              guard.made === undefined
                ? Effect.void
                : Console.error(`The bearer token of the MCP server is ${guard.made}`)))
      }))
    )

  /**
   * Serves clients by Streamable HTTP, at `/mcp` of an `HttpServer`. A server that other machines reach is a defect unless `hosts` says
   * under which names it may be asked for.
   *
   * @example
   * ```ts
   * import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
   * import { Effect, Layer, Redacted } from "effect"
   * import { TaskManagerLive, ToolExecutor } from "effect-task-manager"
   * import { McpServer } from "effect-task-manager/mcp"
   * import { createServer } from "node:http"
   *
   * const Tools = ToolExecutor.fromHandlers({ now: () => Effect.map(Effect.clock, (clock) => clock.unsafeCurrentTimeMillis()) })
   *
   * McpServer.layerHttp({ token: Redacted.make("a-long-random-text") }).pipe(
   *   Layer.provide([Tools, TaskManagerLive, NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 3333 })]),
   *   Layer.launch,
   *   NodeRuntime.runMain
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly layerHttp = (
    options: McpServerOptions & McpHttpOptions = {}
  ): Layer.Layer<McpServer, never, HttpServer.HttpServer | TaskManager | ToolExecutor> =>
    Layer.scopedDiscard(
      Effect.gen(function*() {
        const { address } = yield* HttpServer.HttpServer
        if (options.hosts === undefined && address._tag === "TcpAddress" && !isLoopback(address.hostname)) {
          return yield* Effect.dieMessage(
            "McpServer.layerHttp: the server is reached by other machines: bind it to 127.0.0.1, or say in `hosts` under which names"
          )
        }
        const { httpApp } = yield* McpServer
        yield* HttpServer.serveEffect(at(options.path ?? "/mcp", yield* httpApp(options)))
      })
    ).pipe(Layer.provideMerge(McpServer.layer(options)))

  /**
   * Serves the client that has started this process, and returns when it is gone and its tasks have ended. `tools` is built inside: what it
   * logs, and what its tools write to the `Console` of Effect, goes to the error output, for the standard output belongs to the protocol.
   * What calls `console.log` itself must not. Fails with `McpStreamError` once a stream has failed. Dies on options that are out of range.
   *
   * @example
   * ```ts
   * import { NodeRuntime, NodeSink, NodeStream } from "@effect/platform-node"
   * import { Effect, Layer } from "effect"
   * import { TaskManagerLive, ToolExecutor } from "effect-task-manager"
   * import { McpServer } from "effect-task-manager/mcp"
   *
   * const Tools = Layer.merge(TaskManagerLive, ToolExecutor.fromHandlers({ echo: ({ input }) => Effect.succeed(input) }))
   *
   * McpServer.runStdio(Tools, { stdin: NodeStream.stdin, stdout: NodeSink.stdout }).pipe(
   *   // it has reported errors, and not to the standard output
   *   (program) => NodeRuntime.runMain(program, { disableErrorReporting: true })
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly runStdio = <ROut, E, R>(
    tools: Layer.Layer<TaskManager | ToolExecutor | ROut, E, R>,
    options: McpStdioOptions
  ): Effect.Effect<void, E | McpStreamError, R> =>
    onStdio(
      Effect.gen(function*() {
        const { maxLineBytes = defaultMaxLineBytes, stdin, stdout } = options
        const maxBytes = yield* Effect.sync(() => integerOf("McpStdioOptions.maxLineBytes", maxLineBytes, 1))
        const settings = yield* makeSettings(options)
        const { serve, transportOf } = yield* endpoints
        const { check, stream } = yield* ndjsonStream(stdin, stdout, maxBytes)
        yield* serve(settings, transportOf(stream))
        yield* Effect.mapError(check, ({ cause, message }) => new McpStreamError({ cause, message }))
      }),
      { failure: "The MCP server has failed", needs: tools }
    )
}
