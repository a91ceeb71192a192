/** The handlers of the sessions of an agent loop. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { AgentLoop } from "../../ai/loop/AgentLoop.js"
import type { AgentSession } from "../../ai/loop/AgentSession.js"
import type { SessionId } from "../../model/ids.js"
import type { ProblemOf } from "../api/Problem.js"
import { TaskManagerApi } from "../api/TaskManagerApi.js"
import { agentFrame, stateFrame } from "./agentFrames.js"
import { opening, together } from "./frames.js"
import { problem } from "./problems.js"
import type { Streams } from "./Streams.js"

const none = problem(404, "NoSuchSession", "Not found", "No session with this id is open here.")
const noLoop = problem(404, "NoAgentLoop", "Not found", "The server has no agent loop.")
const tooMany = problem(429, "TooManySessions", "Too many requests", "Too many sessions are open.")
const isOpen = problem(409, "SessionAlreadyOpen", "Conflict", "A session with this id is open already.")
const unreadable = problem(503, "TranscriptStoreError", "Unavailable", "The conversation could not be read.")
const isClosed = problem(409, "SessionClosed", "Conflict", "The session is closed.")

interface Opened {
  readonly session: AgentSession
  /** Of one that was opened over HTTP. */
  readonly scope?: Scope.CloseableScope
}

/** The sessions that are open over HTTP, until the scope closes. */
export const makeSessions = (
  agentLoop: AgentLoop["Type"] | undefined,
  given: ReadonlyArray<AgentSession>,
  maxSessions: number
) =>
  Effect.map(Effect.scope, (parent) => {
    const opened = new Map<SessionId, Opened>(given.map((session) => [session.sessionId, { session }]))
    const opening = new Set<SessionId>()

    const find = (id: SessionId) =>
      Effect.suspend(() => {
        const found = opened.get(id)
        return found === undefined ? Effect.fail(none) : Effect.succeed(found)
      })

    type Opening = Effect.Effect<AgentSession, ProblemOf<404> | ProblemOf<409> | ProblemOf<429> | ProblemOf<503>>

    const open = (sessionId: SessionId): Opening =>
      Effect.suspend((): Opening => {
        if (agentLoop === undefined) return Effect.fail(noLoop)
        if (opened.has(sessionId) || opening.has(sessionId)) return Effect.fail(isOpen)
        if (opened.size + opening.size >= maxSessions) return Effect.fail(tooMany)
        opening.add(sessionId)
        return Effect.gen(function*() {
          const scope = yield* Scope.fork(parent, ExecutionStrategy.sequential)
          const session = yield* agentLoop.open({ sessionId }).pipe(
            Scope.extend(scope),
            Effect.mapError((error) => error._tag === "SessionAlreadyOpen" ? isOpen : unreadable),
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
          )
          opened.set(sessionId, { session, scope })
          return session
        }).pipe(Effect.ensuring(Effect.sync(() => opening.delete(sessionId))), Effect.uninterruptible)
      })

    const close = (id: SessionId) =>
      Effect.flatMap(find(id), ({ scope, session }) =>
        session.close.pipe(
          Effect.tap(() => Effect.sync(() => opened.delete(id))),
          Effect.tap(() => scope === undefined ? Effect.void : Scope.close(scope, Exit.void)),
          Effect.uninterruptible
        ))

    return { opened, open, find, close }
  })

export type Sessions = Effect.Effect.Success<ReturnType<typeof makeSessions>>

const streamSession = (session: AgentSession, streams: Streams) =>
  Effect.gen(function*() {
    const stream = yield* streams.open
    const { events, ...state } = yield* session.watch
    // one frame may be larger than what may wait
    stream.unsafeOffer(together(opening(), stateFrame(state)))
    yield* streams.feed(stream, events, agentFrame, "closed")
    return streams.respond(stream)
  })

export const sessionsGroup = ({ close, find, open, opened }: Sessions, streams: Streams) =>
  HttpApiBuilder.group(TaskManagerApi, "sessions", (handlers) =>
    handlers
      .handle("list", () => Effect.sync(() => ({ sessions: [...opened.keys()].map((sessionId) => ({ sessionId })) })))
      .handle("open", ({ payload: { sessionId } }) => Effect.as(open(sessionId), { sessionId }))
      .handle("get", ({ path: { id } }) =>
        Effect.gen(function*() {
          const { session } = yield* find(id)
          const { approvals, live, phase, turnId } = yield* Effect.scoped(session.watch)
          return { sessionId: id, phase, approvals, live, ...(turnId === undefined ? undefined : { turnId }) }
        }))
      .handle("transcript", ({ path: { id } }) => Effect.flatMap(find(id), ({ session }) => session.transcript))
      .handleRaw("events", ({ path: { id } }) =>
        Effect.flatMap(find(id), ({ session }) => streamSession(session, streams)))
      .handle("submit", ({ path: { id }, payload: { messageId, text } }) =>
        Effect.flatMap(find(id), ({ session }) =>
          Effect.mapError(session.submit(text, { messageId }), () =>
            isClosed)).pipe(Effect.map((messageId) => ({ messageId }))))
      .handle("interrupt", ({ path: { id } }) =>
        Effect.flatMap(find(id), ({ session }) =>
          streams.untilClosing(session.interrupt)))
      .handle("close", ({ path: { id } }) =>
        streams.untilClosing(close(id))))
