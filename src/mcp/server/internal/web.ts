/** Requests and responses of a platform's server as those of the web, which the SDK takes. */
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"

/** One request with its body, which has been read. */
export interface Exchange {
  readonly request: Request
  readonly body: unknown
  /** The ids of the requests of JSON-RPC in it. */
  readonly requestIds: ReadonlyArray<string | number>
  /** Calls back once, when the response has been written or its client is gone. */
  readonly onEnd: (end: () => void) => void
}

export const refusal = (
  status: number,
  code: number,
  message: string,
  headers: Record<string, string> = {}
): Response => Response.json({ jsonrpc: "2.0", id: null, error: { code, message } }, { status, headers })

const requestIdsOf = (body: unknown): ReadonlyArray<string | number> =>
  (Array.isArray(body) ? body : [body]).flatMap((message: unknown) =>
    Predicate.hasProperty(message, "method") && Predicate.hasProperty(message, "id") &&
      (Predicate.isString(message.id) || Predicate.isNumber(message.id))
      ? [message.id]
      : []
  )

type Body = { readonly _tag: "Body"; readonly body: unknown } | {
  readonly _tag: "Refused"
  readonly response: Response
}

const refusedBody = (status: number, code: number, message: string): Body => ({
  _tag: "Refused",
  response: refusal(status, code, message)
})

const tooLarge = (): Body => refusedBody(413, -32000, "The body is too large")

/** The body of a request: bounded JSON, and none where there is none. */
const readBody = (request: HttpServerRequest.HttpServerRequest, maxBytes: number): Effect.Effect<Body> => {
  if (request.method !== "POST") return Effect.succeed({ _tag: "Body", body: undefined })
  const { "content-length": length, "content-type": type } = request.headers
  if (type?.split(";")[0]?.trim().toLowerCase() !== "application/json") {
    return Effect.succeed(refusedBody(415, -32000, "The body must be application/json"))
  }
  if (Number(length ?? 0) > maxBytes) return Effect.succeed(tooLarge())
  return request.text.pipe(
    HttpIncomingMessage.withMaxBodySize(Option.some(maxBytes)),
    Effect.match({
      onFailure: tooLarge,
      onSuccess: (text): Body => {
        try {
          return { _tag: "Body", body: JSON.parse(text) }
        } catch {
          return refusedBody(400, -32700, "Parse error")
        }
      }
    })
  )
}

/**
 * Answers a request of the platform with what `handle` answers. A client that is gone aborts the signal of the request: the scope of
 * a request closes when its response was written, or cannot be.
 */
export const exchanged = (
  incoming: HttpServerRequest.HttpServerRequest,
  maxBytes: number,
  handle: (exchange: Exchange) => Effect.Effect<Response>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope> =>
  Effect.gen(function*() {
    const read = yield* readBody(incoming, maxBytes)
    if (read._tag === "Refused") return HttpServerResponse.fromWeb(read.response)
    const url = Option.getOrElse(HttpServerRequest.toURL(incoming), () => new URL("http://localhost"))
    const controller = new AbortController()
    const { signal } = controller
    yield* Effect.addFinalizer(() => Effect.sync(() => controller.abort()))
    const response = yield* handle({
      request: new Request(url, { method: incoming.method, headers: incoming.headers, signal }),
      body: read.body,
      requestIds: requestIdsOf(read.body),
      onEnd: (end) => signal.addEventListener("abort", end, { once: true })
    })
    return HttpServerResponse.fromWeb(response)
  })
