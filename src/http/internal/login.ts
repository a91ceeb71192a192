/** How a page gets its cookie, and gives it back. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { LoginBody } from "../api/internal/bodies.js"
import type { Access } from "./Access.js"
import { audit } from "./audit.js"
import { cookieName } from "./guard.js"
import { problem, respondWith } from "./problems.js"

const readBody = Schema.decodeUnknown(Schema.parseJson(LoginBody))

const refused = respondWith(
  problem(401, "Unauthorized", "Unauthorized", "No token, or an unknown one.", { field: "token" })
)
const unreadable = respondWith(
  problem(400, "InvalidRequest", "Invalid request", "This field is not what it takes.", { field: "token" })
)

const options = (request: HttpServerRequest.HttpServerRequest) => ({
  httpOnly: true,
  sameSite: "strict",
  path: "/",
  // behind something that speaks TLS; a browser takes no such cookie from a plain address
  secure: request.headers["origin"]?.startsWith("https:") === true
} as const)

const setCookie = (request: HttpServerRequest.HttpServerRequest, value: string, millis: number) =>
  HttpServerResponse.setCookie(HttpServerResponse.empty({ status: 204 }), cookieName(request), value, {
    ...options(request),
    maxAge: millis
  }).pipe(Effect.orDie)

/** Adds `POST /login` and `POST /logout`. The guard has read the bodies, and lets in pages of this origin alone. */
export const loginRoutes = (access: Access, pageSessionMillis: number): Layer.Layer<never> => {
  const login = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* Effect.option(Effect.flatMap(request.text, readBody))
    if (body._tag === "None") return unreadable
    const grant = yield* access.ofLogin(body.value.token)
    if (grant === undefined) return refused
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const given = yield* setCookie(request, yield* access.cookieOf(grant, now + pageSessionMillis), pageSessionMillis)
    yield* audit(request, { token: grant.name, route: "/login" }, given.status)
    return given
  })
  const logout = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => setCookie(request, "", 0))
  return HttpApiBuilder.Router.use((router) =>
    Effect.zipRight(router.post("/login", login), router.post("/logout", logout))
  )
}
