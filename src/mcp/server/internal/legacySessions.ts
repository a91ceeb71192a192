/** Sessions of HTTP, which clients of 2025-11-25 and before have: each is a client of its own, and is closed when nobody asks for long. */
import { isInitializeRequest, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { monotonicMillis } from "../../../shared/monotonic.js"
import { randomToken } from "../../../shared/randomToken.js"
import type { Run } from "./bridge.js"
import { makeClient, serverOf } from "./serverOf.js"
import type { Settings } from "./settings.js"
import { type Exchange, refusal } from "./web.js"

interface Session {
  readonly owner: string
  readonly transport: WebStandardStreamableHTTPServerTransport
  readonly close: Effect.Effect<void>
  /** How many requests are being answered. */
  open: number
  lastAt: number
}

export interface LegacySessions {
  /** Answers a request of the client of this name. */
  readonly handle: (owner: string, exchange: Exchange) => Effect.Effect<Response>
}

const sessionHeader = "mcp-session-id"

export const make = (
  settings: Settings,
  limits: { readonly maxSessions: number; readonly idle: number },
  run: Run
): Effect.Effect<LegacySessions, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const now = () => monotonicMillis(clock)
    // one that takes its time to end holds up no other
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.parallel)
    const sessions = new Map<string, Session>()

    const open = (owner: string) =>
      Effect.gen(function*() {
        const id = randomToken()
        const its = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const close = Effect.suspend(() => {
          sessions.delete(id)
          return Scope.close(its, Exit.void)
        })
        const client = yield* Scope.extend(makeClient(settings), its)
        const transport = new WebStandardStreamableHTTPServerTransport({
          sessionIdGenerator: () => id,
          // not in a fiber of its own, which ends with it
          onsessionclosed: () => run(Effect.asVoid(Effect.forkIn(close, scope)))
        })
        const server = serverOf(client, "legacy")
        yield* Effect.promise(() => server.connect(transport))
        yield* Scope.addFinalizer(its, Effect.promise(() => server.close().catch(() => {})))
        const session: Session = { owner, transport, close, open: 0, lastAt: now() }
        sessions.set(id, session)
        yield* Effect.forkIn(closeWhenIdle(session), its)
        return session
      })

    /** How many are being opened. */
    let opening = 0
    const opened = (owner: string) =>
      Effect.promise(() => {
        opening++
        return run(open(owner)).finally(() => opening--)
      })

    const closeWhenIdle = (session: Session): Effect.Effect<void> =>
      Effect.gen(function*() {
        while (true) {
          const left = session.lastAt + limits.idle - now()
          if (session.open === 0 && left <= 0) break
          yield* Effect.sleep(session.open === 0 ? left : limits.idle)
        }
        // not in its own fiber, which ends with it
        yield* Effect.forkIn(session.close, scope)
      })

    const answer = (session: Session, exchange: Exchange): Effect.Effect<Response> =>
      Effect.suspend(() => {
        session.open++
        exchange.onEnd(() => {
          session.open--
          session.lastAt = now()
          // without its stream an answer reaches nobody: what has not been answered by now is cancelled
          for (const requestId of exchange.requestIds) {
            session.transport.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } })
          }
        })
        return Effect.promise(() => session.transport.handleRequest(exchange.request, { parsedBody: exchange.body }))
      })

    /** Opens a session, which ends where its client does not learn its id: it is refused, or gone, or the server broke down. */
    const begin = (owner: string, exchange: Exchange): Effect.Effect<Response> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(opened(owner), (session) =>
          Effect.onExit(restore(answer(session, exchange)), (exit) =>
            Exit.isSuccess(exit) && exit.value.ok && exit.value.headers.has(sessionHeader)
              ? Effect.void
              : Effect.forkIn(session.close, scope)))
      )

    return {
      handle: (owner, exchange) =>
        Effect.suspend(() => {
          const id = exchange.request.headers.get(sessionHeader)
          if (id !== null) {
            const session = sessions.get(id)
            return session === undefined || session.owner !== owner
              ? Effect.succeed(refusal(404, -32001, "Session not found"))
              : answer(session, exchange)
          }
          if (!isInitializeRequest(exchange.body)) {
            return Effect.succeed(refusal(400, -32000, "Bad Request: Mcp-Session-Id header is required"))
          }
          if (sessions.size + opening >= limits.maxSessions) {
            return Effect.succeed(refusal(503, -32000, "Too many sessions are open"))
          }
          return begin(owner, exchange)
        })
    }
  })
