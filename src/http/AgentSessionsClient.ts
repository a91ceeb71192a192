/**
 * The sessions of an agent loop in another process.
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { openClient } from "./internal/client/clientOptions.js"
import { makeRemoteSessions } from "./internal/client/remoteSessions.js"
import type { RemoteAgentSessions } from "./RemoteAgentSession.js"
import type { TaskManagerClientOptions } from "./TaskManagerClientOptions.js"

/**
 * The sessions that a server shows and opens (`TaskManagerHttpOptions.agentLoop`), for programs in other processes. A method that cannot reach the server dies with
 * `TaskManagerUnreachable`, as in `TaskManagerClient`. Each `events`, `subscribe` and `watch` of a session takes one event stream of the server,
 * and reads a `Reset` where its connection broke, or where it was not read.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { Console, Effect, Layer, Redacted, Stream } from "effect"
 * import { SessionId } from "effect-task-manager"
 * import { AgentSessionsClient } from "effect-task-manager/http"
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* AgentSessionsClient
 *   const session = yield* sessions.open(SessionId.make("session-1"))
 *   yield* session.submit("What is new?")
 *   yield* Stream.runForEach(session.events, (event) => Console.log(event._tag))
 * })
 *
 * const Client = AgentSessionsClient.layer({ url: "http://127.0.0.1:4860", token: Redacted.make("…") }).pipe(
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * const main = Effect.provide(program, Client)
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class AgentSessionsClient extends Context.Tag("effect-task-manager/AgentSessionsClient")<
  AgentSessionsClient,
  RemoteAgentSessions
>() {
  /**
   * A client of the server at an address. Makes no request until it is used. Dies on a wrong option.
   *
   * @since 0.1.0
   */
  static readonly layer = (
    options: TaskManagerClientOptions
  ): Layer.Layer<AgentSessionsClient, never, HttpClient.HttpClient> =>
    Layer.scoped(AgentSessionsClient, Effect.map(openClient(options), makeRemoteSessions))
}
