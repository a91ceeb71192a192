/**
 * The HTTP side of `DefaultChatTransport`.
 *
 * @since 0.1.0
 */
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { millisOf } from "../shared/durations.js"
import { integerOf, refuseUnless } from "../shared/refusals.js"
import { isForeignOrigin, isJsonBody } from "../shared/requestHeaders.js"
import { readAnswer, readPageRequest } from "./internal/requests.js"
import type { UiMessageChunk } from "./UiMessageChunk.js"
import type { UiMessageStream } from "./UiMessageStream.js"

/**
 * What `UiMessageStreamHttp.router` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface UiMessageStreamHttpOptions<E, R> {
  /**
   * The chat of an id, which comes from the browser; `None` answers 404. It can read the `HttpServerRequest`: who may see
   * which chat is decided here, for each request.
   */
  readonly chat: (
    chatId: string
  ) => Effect.Effect<Option.Option<UiMessageStream>, E, R | HttpServerRequest.HttpServerRequest>
  /**
   * Pages of other origins that may use it, such as `https://chat.example`. A page of this host may always. Their browsers ask first: put
   * `HttpMiddleware.cors({ allowedOrigins })` around the app too. Default: none.
   */
  readonly origins?: ReadonlyArray<string> | undefined
  /** The largest body of a request, in bytes: an integer from 1. Default: 1 048 576. */
  readonly maxBodyBytes?: number | undefined
  /** How often a stream without chunks sends a comment, so that no proxy ends it. More than 0; a number is milliseconds. Default: 15 seconds. */
  readonly heartbeat?: Duration.DurationInput | undefined
}

const problem = (status: number, error: string) => HttpServerResponse.unsafeJson({ error }, { status })

const encoder = new TextEncoder()
const encode = (text: string): Uint8Array => encoder.encode(text)

const headers = {
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
  "x-vercel-ai-ui-message-stream": "v1"
}

const eventStream = (chunks: Stream.Stream<UiMessageChunk>, heartbeat: number) => {
  const lines = Stream.concat(
    Stream.map(chunks, (chunk) => `data: ${JSON.stringify(chunk)}\n\n`),
    Stream.make("data: [DONE]\n\n")
  )
  const beats = Stream.as(Stream.fromSchedule(Schedule.spaced(heartbeat)), ": \n\n")
  return HttpServerResponse.stream(Stream.map(Stream.merge(lines, beats, { haltStrategy: "left" }), encode), {
    contentType: "text/event-stream",
    headers
  })
}

/** A page that the browser has from elsewhere does not use what the user may. */
const isOfForeignPage = (
  { headers: { host, origin } }: HttpServerRequest.HttpServerRequest,
  origins: ReadonlyArray<string>
) => origin !== undefined && isForeignOrigin(host, origin, origins)

const makeRouter = <E, R>(
  { chat, heartbeat = "15 seconds", maxBodyBytes = 1_048_576, origins = [] }: UiMessageStreamHttpOptions<E, R>
): HttpRouter.HttpRouter<E, R> => {
  const maxBytes = integerOf("UiMessageStreamHttpOptions.maxBodyBytes", maxBodyBytes, 1)
  const pause = millisOf("UiMessageStreamHttpOptions.heartbeat", heartbeat)
  refuseUnless(pause > 0, "UiMessageStreamHttpOptions.heartbeat", "more than 0", heartbeat)

  const guarded = <E2, R2>(handle: Effect.Effect<HttpServerResponse.HttpServerResponse, E2, R2>) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      isOfForeignPage(request, origins)
        ? Effect.succeed(problem(403, "Pages of this origin are not let in."))
        : request.method === "POST" && !isJsonBody(request.headers)
        ? Effect.succeed(problem(415, "The body must be application/json."))
        : Number(request.headers["content-length"] ?? 0) > maxBytes
        ? Effect.succeed(problem(413, "The body is too large."))
        : handle)

  const body = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => Effect.option(text)).pipe(
    HttpIncomingMessage.withMaxBodySize(Option.some(maxBytes))
  )

  const withChat = <E2, R2>(
    chatId: string,
    use: (found: UiMessageStream) => Effect.Effect<HttpServerResponse.HttpServerResponse, E2, R2>
  ) =>
    Effect.flatMap(
      chat(chatId),
      Option.match({ onNone: () => Effect.succeed(problem(404, "There is no such chat.")), onSome: use })
    )

  const withNamedChat = <E2, R2>(
    use: (found: UiMessageStream) => Effect.Effect<HttpServerResponse.HttpServerResponse, E2, R2>
  ) => Effect.flatMap(HttpRouter.params, ({ chatId = "" }) => withChat(chatId, use))

  const streamed = (chunks: Stream.Stream<UiMessageChunk>) => eventStream(chunks, pause)
  const conflict = ({ message }: { readonly message: string }) => problem(409, message)

  const post = Effect.gen(function*() {
    const read = Option.flatMapNullable(yield* body, readPageRequest)
    if (Option.isNone(read)) return problem(400, "The body must be what DefaultChatTransport sends, and not too large.")
    const { chatId, request } = read.value
    if (request._tag === "Refused") return problem(400, request.why)
    return yield* withChat(chatId, ({ answer, send }) =>
      request._tag === "Message"
        ? Effect.match(send(request.input), {
          onSuccess: streamed,
          onFailure: (error) => error._tag === "QuestionOpen" ? conflict(error) : problem(410, "This chat is closed.")
        })
        : Effect.match(answer(request.answers), { onSuccess: streamed, onFailure: conflict }))
  })

  const answer = Effect.gen(function*() {
    const read = Option.flatMapNullable(yield* body, readAnswer)
    if (Option.isNone(read)) return problem(400, "The body must be { approvalId, approved, reason? }.")
    return yield* withNamedChat((found) =>
      Effect.match(found.answer([read.value]), {
        // what comes of it is told to who resumes
        onSuccess: () => HttpServerResponse.empty({ status: 204 }),
        onFailure: conflict
      })
    )
  })

  const resume = withNamedChat((found) =>
    Effect.map(
      found.resume,
      Option.match({ onNone: () => HttpServerResponse.empty({ status: 204 }), onSome: streamed })
    )
  )

  const messages = withNamedChat((found) => Effect.map(found.history, (all) => HttpServerResponse.unsafeJson(all)))

  const stop = withNamedChat((found) =>
    Effect.map(found.stop, ({ cancelled, kept }) =>
      HttpServerResponse.unsafeJson({
        cancelled: cancelled.map(({ id }) => id),
        kept: kept.map(({ id }) => id)
      }))
  )

  return HttpRouter.empty.pipe(
    HttpRouter.post("/", guarded(post)),
    HttpRouter.get("/:chatId/stream", guarded(resume)),
    HttpRouter.get("/:chatId/messages", guarded(messages)),
    HttpRouter.post("/:chatId/stop", guarded(stop)),
    HttpRouter.post("/:chatId/answer", guarded(answer))
  )
}

/**
 * The routes that a `useChat` page asks with `DefaultChatTransport`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const UiMessageStreamHttp: {
  /**
   * Routes to be mounted under the `api` of the transport (`HttpRouter.mount("/api/chat", router)`):
   *
   * - `POST /`: a message of the user, or the answers to approvals: the stream of the message that comes of it.
   * - `GET /:chatId/stream`: what `resumeStream` asks: the message that is being said or comes next; 204 if nothing is to come.
   * - `GET /:chatId/messages`: the conversation for a page that opens late, a list of `UiMessage`.
   * - `POST /:chatId/stop`: interrupts the turn. The page's own `stop()` only ends its stream.
   * - `POST /:chatId/answer`: answers one approval (`{ approvalId, approved, reason? }`), such as that of a `data-approval` part.
   *
   * Errors are JSON, `{ error }`: 400 for what cannot be read, 403 for a page of another origin, 404 where `chat` gives none, 409 for an
   * answer to a question that is not open or does not take it (one with a form can only be denied) and a message while one is, 410 for a closed chat, 413 for a body that is too large, 415 for a body that is not JSON. Who may see which chat is for
   * `chat` to decide. Dies with an option that is out of range, and names it.
   *
   * @example
   * ```ts
   * import { HttpRouter, HttpServer } from "@effect/platform"
   * import { Effect, Option } from "effect"
   * import { SessionId } from "effect-task-manager"
   * import { AgentLoop } from "effect-task-manager/ai"
   * import { UiMessageStream, UiMessageStreamHttp } from "effect-task-manager/ui-stream"
   *
   * const Host = Effect.gen(function*() {
   *   const loop = yield* AgentLoop
   *   const chats = new Map<string, UiMessageStream>()
   *   // wherever the program lets a user begin a chat
   *   const session = yield* loop.open({ sessionId: SessionId.make("chat-1") })
   *   chats.set("chat-1", yield* UiMessageStream.make(session))
   *   const router = UiMessageStreamHttp.router({ chat: (chatId) => Effect.sync(() => Option.fromNullable(chats.get(chatId))) })
   *   yield* HttpRouter.empty.pipe(HttpRouter.mount("/api/chat", router), HttpServer.serveEffect())
   * })
   * ```
   */
  readonly router: <E, R>(options: UiMessageStreamHttpOptions<E, R>) => HttpRouter.HttpRouter<E, R>
} = { router: makeRouter }
