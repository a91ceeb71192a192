/**
 * The handle of a manager in another process.
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { TaskManagerHandle } from "../services/TaskManager.js"
import { openClient } from "./internal/client/clientOptions.js"
import { makeRemoteHandle } from "./internal/client/remoteHandle.js"
import { SharedEvents } from "./internal/client/SharedEvents.js"
import type { TaskManagerClientOptions } from "./TaskManagerClientOptions.js"

/**
 * The handle of a manager that `TaskManagerHttp` serves, for programs in other processes: the same methods, streams and typed errors.
 *
 * - Streams and subscriptions go on behind the last event that has come, when the connection breaks or the server starts again; all of them
 *   share one event stream of the server. One that is not read loses its own oldest events, as in the manager.
 * - A method that cannot reach the server dies with `TaskManagerUnreachable`.
 * - `list` is read page by page: it does not show one moment.
 * - An update of `turnUpdates` is held by the server until it is used. It goes back to the turn where the server has not heard of this client
 *   for a while (`updateHold`).
 * - `answerApproval` runs the tool with the executor of the server, not with one of the caller.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { Effect, Layer, Redacted } from "effect"
 * import { TaskManagerClient } from "effect-task-manager/http"
 *
 * const program = Effect.gen(function*() {
 *   const handle = yield* TaskManagerClient
 *   const running = yield* handle.listRunning
 *   yield* Effect.forEach(running, ({ id }) => handle.cancel(id), { discard: true })
 * })
 *
 * const Client = TaskManagerClient.layer({ url: "http://127.0.0.1:4860", token: Redacted.make("…") }).pipe(
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * const main = Effect.provide(program, Client)
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TaskManagerClient extends Context.Tag("effect-task-manager/TaskManagerClient")<
  TaskManagerClient,
  TaskManagerHandle
>() {
  /**
   * A client of the server at an address. Makes no request until it is used. Dies on a wrong option.
   *
   * @since 0.1.0
   */
  static readonly layer = (
    options: TaskManagerClientOptions
  ): Layer.Layer<TaskManagerClient, never, HttpClient.HttpClient> =>
    Layer.scoped(
      TaskManagerClient,
      Effect.flatMap(openClient(options), ({ bounds, link }) =>
        Effect.map(SharedEvents.make(link, bounds), (shared) => makeRemoteHandle(link, shared)))
    )
}
