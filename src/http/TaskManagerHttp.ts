/**
 * The server.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Path from "@effect/platform/Path"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { TaskManager } from "../services/TaskManager.js"
import type { ToolExecutor } from "../services/ToolExecutor.js"
import { isLoopback, loopbackNames } from "../shared/loopback.js"
import { randomToken } from "../shared/randomToken.js"
import { refuseUnless } from "../shared/refusals.js"
import { TaskManagerApi } from "./api/TaskManagerApi.js"
import { boardRoutes } from "./board/routes.js"
import { makeAccess } from "./internal/Access.js"
import { approvalsGroup } from "./internal/approvalHandlers.js"
import { makeDrained } from "./internal/Drained.js"
import { guard } from "./internal/guard.js"
import { loginRoutes } from "./internal/login.js"
import { respondWith, undecodable } from "./internal/problems.js"
import { scopesLayer } from "./internal/scopes.js"
import { makeSessions, sessionsGroup } from "./internal/sessionHandlers.js"
import { settingsOf } from "./internal/settings.js"
import { makeSharedStreams } from "./internal/SharedStreams.js"
import { makeStreams } from "./internal/Streams.js"
import { controlGroup, type TaskParts, tasksGroup } from "./internal/taskHandlers.js"
import { makeConsumers } from "./internal/turns/Consumers.js"
import { turnsGroup } from "./internal/turns/turnHandlers.js"
import type { ServerAnnouncement, TaskManagerHttpOptions } from "./TaskManagerHttpOptions.js"

const print = ({ pageUrl, token, url }: ServerAnnouncement): Effect.Effect<void> =>
  Console.log(
    [
      `The task manager listens on ${url}`,
      `Open it once: ${Redacted.value(pageUrl)}`,
      ...(token === undefined ? [] : [`Token: ${Redacted.value(token)}`])
    ].join("\n")
  )

/** Requests that cannot be read: the documents of HttpApi would show what was in them. */
const describeUndecodable = HttpApiBuilder.middleware((app) =>
  Effect.catchAllCause(app, (cause) => {
    const error = Cause.squash(cause)
    return error instanceof HttpApiDecodeError
      ? Effect.succeed(respondWith(undecodable(error)))
      : Effect.failCause(cause)
  })
)

const makeLayer = (options: TaskManagerHttpOptions) =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const settings = settingsOf(options)
    const server = yield* HttpServer.HttpServer
    refuseUnless(
      settings.hosts.length > 0 || server.address._tag === "UnixAddress" || isLoopback(server.address.hostname),
      "TaskManagerHttpOptions.hosts",
      "the names under which a server is asked that does not listen on loopback",
      settings.hosts
    )
    const files = { fileSystem: yield* FileSystem.FileSystem, path: yield* Path.Path }
    const manager = yield* TaskManager
    const { handle } = manager
    const executor = yield* Effect.context<ToolExecutor>()
    const made = Redacted.make(randomToken())
    const [first = { name: "default", token: made }, ...others] = options.tokens ?? []
    const access = yield* makeAccess([first, ...others])
    // closed before the server stops to answer: what came after would never be answered, and the server would wait for it
    const open = yield* Scope.make()
    const close = Effect.addFinalizer((exit) => Scope.close(open, exit))
    yield* close
    const { consumers, sessions, streams } = yield* Scope.extend(
      Effect.gen(function*() {
        const sessions = yield* makeSessions(options.agentLoop, options.sessions ?? [], settings.maxSessions)
        const streams = yield* makeStreams(settings)
        const consumers = yield* makeConsumers(manager, {
          closing: streams.closing,
          heldForMillis: settings.updateHoldMillis
        })
        return { consumers, sessions, streams }
      }),
      open
    )
    let isClosing = false
    yield* Scope.addFinalizer(open, Effect.sync(() => void (isClosing = true)))
    const parts: TaskParts = {
      handle,
      streams,
      shared: makeSharedStreams(handle, streams, settings.maxSubscriptions),
      drained: makeDrained(handle),
      showInputs: settings.showInputs,
      hasSessions: options.agentLoop !== undefined || sessions.opened.size > 0
    }
    const groups = Layer.mergeAll(
      tasksGroup(parts),
      controlGroup(parts),
      turnsGroup(consumers),
      approvalsGroup(handle, executor),
      sessionsGroup(sessions, streams)
    ).pipe(Layer.provideMerge(scopesLayer))
    const api = HttpApiBuilder.api(TaskManagerApi).pipe(Layer.provideMerge(groups))
    const names = { hosts: new Set([...loopbackNames, ...settings.hosts]), origins: settings.origins }
    const app = Effect.map(
      // an id may be of any length; the head of a request is bounded by the server
      HttpRouter.withRouterConfig(HttpApiBuilder.httpApp, { maxParamLength: Infinity }),
      guard({ access, names, maxBodyBytes: settings.maxBodyBytes, isClosing: () => isClosing })
    )
    const serving = Layer.unwrapEffect(Effect.map(app, (guarded) => HttpServer.serve(guarded)))

    const url = HttpServer.formatAddress(server.address)
    const announce = (options.announce ?? print)({
      url,
      pageUrl: Redacted.make(`${url}/#token=${access.loginCode}`),
      ...(options.tokens === undefined ? { token: made } : undefined)
    })

    return Layer.scopedDiscard(Effect.zipRight(close, announce)).pipe(
      Layer.provide(serving),
      Layer.provide(Layer.mergeAll(
        boardRoutes(files),
        loginRoutes(access, settings.pageSessionMillis),
        describeUndecodable,
        HttpApiSwagger.layer({ path: "/api/docs" }),
        HttpApiBuilder.middlewareOpenApi({ path: "/api/openapi.json" })
      )),
      Layer.provide(api),
      Layer.provide([HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer]),
      Layer.provide(HttpServer.layerContext)
    )
  }))

/**
 * Serves a task manager over HTTP.
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerHttp: {
  /**
   * The manager in the context, on the server in the context: its tasks, events and approvals, the board, and the sessions of a loop if it is
   * given one. Answers to approvals run the tools of the `ToolExecutor` in the context. It is closed by default: docs/http.md says who has access.
   * Dies on an option that is out of range, and on a server that is not on loopback and has no `hosts`.
   *
   * @example
   * ```ts
   * import { NodeHttpServer } from "@effect/platform-node"
   * import { Effect, Layer } from "effect"
   * import { TaskManagerLive, ToolExecutor } from "effect-task-manager"
   * import { TaskManagerHttp } from "effect-task-manager/http"
   * import { createServer } from "node:http"
   *
   * const Tools = ToolExecutor.fromHandlers({ echo: (request) => Effect.succeed(request.input) })
   *
   * const Server = TaskManagerHttp.layer().pipe(
   *   Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 4860 })),
   *   Layer.provideMerge(TaskManagerLive),
   *   Layer.provideMerge(Tools)
   * )
   * ```
   */
  readonly layer: (
    options?: TaskManagerHttpOptions
  ) => Layer.Layer<
    never,
    never,
    FileSystem.FileSystem | HttpServer.HttpServer | Path.Path | TaskManager | ToolExecutor
  >
} = { layer: (options = {}) => makeLayer(options) }
