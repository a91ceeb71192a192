/** The endpoint on HTTP: who is let in, and which generation answers. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { createMcpHandler, isLegacyRequest, type McpHttpHandler } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { millisOf } from "../../../shared/durations.js"
import { integerOf, refuseUnless } from "../../../shared/refusals.js"
import type { McpHttpOptions } from "../McpServerOptions.js"
import { makeRun } from "./bridge.js"
import type { Guard } from "./guard.js"
import * as LegacySessions from "./legacySessions.js"
import { makeClient, serverOf } from "./serverOf.js"
import type { Settings } from "./settings.js"
import { type Exchange, exchanged, refusal } from "./web.js"

/** How many streams of changes are open at the same time; the tools of this server do not change. */
const maxSubscriptions = 100

const meant = ({ maxBodyBytes = 1_048_576, maxSessions = 100, sessionIdle = "30 minutes" }: McpHttpOptions) => {
  const idle = millisOf("McpHttpOptions.sessionIdle", sessionIdle)
  refuseUnless(idle > 0, "McpHttpOptions.sessionIdle", "a duration of more than 0", sessionIdle)
  return {
    maxBodyBytes: integerOf("McpHttpOptions.maxBodyBytes", maxBodyBytes, 1),
    maxSessions: integerOf("McpHttpOptions.maxSessions", maxSessions, 1),
    idle
  }
}

type Limits = ReturnType<typeof meant>

/** Answers requests of the clients of these names, in the generation that each speaks. */
const makeAnswer = (
  settings: Settings,
  limits: Limits
): Effect.Effect<(name: string, exchange: Exchange) => Effect.Effect<Response>, never, Scope.Scope> =>
  Effect.gen(function*() {
    /** Clients without sessions are known by their tokens: as many as there are names. */
    const handlers = new Map<string, McpHttpHandler>()
    const scope = yield* Effect.scope
    const opening = yield* Effect.makeSemaphore(1)

    // not the fiber of the request that comes first: it is uninterruptible, and so would be what it starts
    const run = yield* makeRun
    const legacySessions = yield* LegacySessions.make(settings, limits, run)

    const open = (name: string) =>
      Effect.gen(function*() {
        const client = yield* makeClient(settings)
        const handler = yield* Effect.acquireRelease(
          Effect.sync(() => createMcpHandler(() => serverOf(client, "modern"), { legacy: "reject", maxSubscriptions })),
          ({ close }) => Effect.promise(close)
        )
        handlers.set(name, handler)
        return handler
      }).pipe(Effect.provideService(Scope.Scope, scope))

    const handlerOf = (name: string) =>
      Effect.suspend(() => {
        const handler = handlers.get(name)
        return handler === undefined ? Effect.promise(() => run(open(name))) : Effect.succeed(handler)
      }).pipe(opening.withPermits(1))

    return (name, exchange) =>
      Effect.gen(function*() {
        const { body, request } = exchange
        if (yield* Effect.promise(() => isLegacyRequest(request, body))) {
          return yield* legacySessions.handle(name, exchange)
        }
        const { fetch } = yield* handlerOf(name)
        return yield* Effect.promise(() => fetch(request, { parsedBody: body }))
      })
  })

export const makeApp = (
  settings: Settings,
  options: McpHttpOptions,
  guard: Guard
): Effect.Effect<HttpApp.Default<never, Scope.Scope>, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.sync(() => meant(options)),
    (limits) =>
      Effect.map(makeAnswer(settings, limits), (answer) =>
        Effect.gen(function*() {
          const incoming = yield* HttpServerRequest.HttpServerRequest
          const verdict = yield* guard.check(incoming)
          if (verdict._tag === "Refused") {
            const headers: Record<string, string> = verdict.status === 401 ? { "www-authenticate": "Bearer" } : {}
            return HttpServerResponse.fromWeb(refusal(verdict.status, -32000, verdict.message, headers))
          }
          return yield* exchanged(incoming, limits.maxBodyBytes, (exchange) => answer(verdict.name, exchange))
        }).pipe(
          // an app is run uninterruptible unless it says otherwise, and a client that is gone interrupts
          Effect.interruptible
        ))
  )
