/** What every request goes through before it is routed, and every answer after. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isJsonBody } from "../../shared/requestHeaders.js"
import type { Access, Grant } from "./Access.js"
import { audit, auditRefused } from "./audit.js"
import { type Caller, CurrentCaller } from "./CurrentCaller.js"
import { isForeign, isHostKnown, isOwnPage, type Names } from "./origins.js"
import { closing, problem, respondWith } from "./problems.js"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** Has the port in it: browsers give a cookie to all ports of a host. */
export const cookieName = ({ headers: { host = "" } }: Request): string => {
  const port = /:(\d+)$/.exec(host)?.[1]
  return port === undefined ? "effect-task-manager" : `effect-task-manager-${port}`
}

const policyOfPages = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

/** The page of Swagger has its script in itself, and shows nothing that comes from tools. */
const policyOfDocs = [
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

const secured = (
  response: Response,
  path: string,
  { isClosing, names }: GuardOptions,
  origin: string | undefined
): Response =>
  HttpServerResponse.setHeaders(response, {
    ...(isClosing() ? { connection: "close" } : undefined),
    "content-security-policy": path === "/api/docs" ? policyOfDocs : policyOfPages,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    ...(response.headers["cache-control"] === undefined ? { "cache-control": "no-store" } : undefined),
    ...(names.origins.length === 0 ? undefined : { vary: "origin" }),
    ...(origin !== undefined && names.origins.includes(origin)
      ? {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after",
        "cross-origin-resource-policy": "cross-origin"
      }
      : undefined)
  })

const preflight = HttpServerResponse.empty({
  status: 204,
  headers: {
    "access-control-allow-methods": "GET, POST, PUT",
    "access-control-allow-headers": "authorization, content-type, last-event-id",
    "access-control-max-age": "600"
  }
})

const refusals = {
  host: respondWith(
    problem(421, "UnknownHost", "Misdirected", "The server is not asked under this name: see `hosts`.", {
      field: "host"
    })
  ),
  origin: respondWith(
    problem(403, "ForeignOrigin", "Forbidden", "Pages of this origin are not let in: see `origins`.", {
      field: "origin"
    })
  ),
  token: respondWith(
    problem(401, "Unauthorized", "Unauthorized", "No token, or an unknown one.", { field: "authorization" }),
    { "www-authenticate": "Bearer" }
  ),
  type: respondWith(
    problem(415, "NoJson", "Unsupported media type", "The body must be application/json.", { field: "content-type" })
  ),
  size: respondWith(problem(413, "TooLarge", "Content too large", "The body is too large.")),
  syntax: respondWith(
    problem(400, "InvalidRequest", "Invalid request", "The body is not JSON.", { field: "the request" })
  ),
  route: respondWith(problem(404, "NoSuchPage", "Not found", "There is no such page.")),
  closing: respondWith(closing),
  defect: respondWith(problem(500, "Defect", "Internal error", "A defect: the log of the server has it."))
}

const isRead = ({ method }: Request): boolean => method === "GET" || method === "HEAD" || method === "OPTIONS"

const pathOf = ({ url }: Request): string => url.split("?", 1)[0] ?? ""

/** What can be had without a token: the files of the page, which hold nothing, and the way in. */
const isPublic = ({ method }: Request, path: string): boolean =>
  method === "POST"
    ? path === "/login" || path === "/logout"
    : (method === "GET" || method === "HEAD") && (path === "/" || path.startsWith("/board/"))

/** What a write brings must be JSON of a size; it is read here, and kept for the handler. */
const refusalOfBody = (request: Request, maxBytes: number): Effect.Effect<Response | undefined> => {
  if (!isJsonBody(request.headers)) return Effect.succeed(refusals.type)
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Effect.succeed(refusals.size)
  return Effect.match(Effect.interruptible(request.text), {
    onFailure: () => refusals.size,
    onSuccess: (text) => {
      try {
        JSON.parse(text)
        return undefined
      } catch {
        return refusals.syntax
      }
    }
  })
}

/** What became of a request that no handler has answered. */
const answerTo = (cause: Cause.Cause<unknown>): Effect.Effect<Response> => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure) && failure.value instanceof HttpServerError.RouteNotFound) {
    return Effect.succeed(refusals.route)
  }
  if (Cause.isInterruptedOnly(cause)) return Effect.succeed(HttpServerResponse.empty({ status: 499 }))
  return Effect.as(Effect.logError("A request over HTTP has ended with a defect", cause), refusals.defect)
}

const bearer = ({ headers: { authorization } }: Request): string | undefined =>
  authorization !== undefined && /^bearer /i.test(authorization) ? authorization.slice(7).trim() : undefined

export interface GuardOptions {
  readonly access: Access
  readonly names: Names
  readonly maxBodyBytes: number
  /** Whether the server closes: nothing more is begun, and nobody answers what comes next on the same connection. */
  readonly isClosing: () => boolean
}

const noGrant: Effect.Effect<Grant | undefined> = Effect.sync(() => undefined)

/** Lets in who may, and answers everything that goes wrong with a problem document. */
export const guard = (options: GuardOptions) => <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<never, R> => {
  const { access, maxBodyBytes, names } = options
  const grantOf = (request: Request): Effect.Effect<Grant | undefined> => {
    const token = bearer(request)
    if (token !== undefined) return access.ofToken(token)
    const cookie = request.cookies[cookieName(request)]
    // what a cookie allows, a page of this origin asks for, and none of those that are listed
    if (cookie === undefined || (!isRead(request) && !isOwnPage(request.headers, { ...names, origins: [] }))) {
      return noGrant
    }
    return isForeign(request.headers, { ...names, origins: [] }) ? noGrant : access.ofCookie(cookie)
  }

  const run = (request: Request): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest> =>
    isRead(request)
      ? app
      : Effect.flatMap(
        refusalOfBody(request, maxBodyBytes),
        (refusal) => refusal === undefined ? app : Effect.succeed(refusal)
      )

  const answered = (request: Request) =>
    options.isClosing() ? Effect.succeed(refusals.closing) : Effect.catchAllCause(run(request), answerTo)

  const guarded = (
    request: Request,
    path: string
  ): Effect.Effect<Response, never, R | HttpServerRequest.HttpServerRequest> => {
    if (!isHostKnown(request.headers, names)) return Effect.succeed(refusals.host)
    // a link on another page may lead to the board, which then asks for itself
    const isNavigation = isPublic(request, path) && isRead(request) && request.headers["origin"] === undefined
    if (!isNavigation && isForeign(request.headers, names)) return Effect.succeed(refusals.origin)
    if (request.method === "OPTIONS" && request.headers["origin"] !== undefined) return Effect.succeed(preflight)
    if (isPublic(request, path)) return answered(request)
    return Effect.flatMap(grantOf(request), (grant) => {
      if (grant === undefined) return Effect.succeed(refusals.token)
      const caller: Caller = { grant, audit: { route: undefined, id: undefined } }
      const response = Effect.provideService(answered(request), CurrentCaller, caller)
      return isRead(request)
        ? response
        : Effect.tap(response, ({ status }) => audit(request, { token: grant.name, ...caller.audit }, status))
    })
  }

  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const path = pathOf(request)
    return guarded(request, path).pipe(
      Effect.tap((response) =>
        response.status === 401 || response.status === 403 || response.status === 421
          ? auditRefused(request, response.status)
          : Effect.void
      ),
      Effect.map((response) => secured(response, path, options, request.headers["origin"])),
      HttpIncomingMessage.withMaxBodySize(Option.some(maxBodyBytes))
    )
  })
}
