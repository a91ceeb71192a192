/** The sessions of an agent loop that is asked over HTTP. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { SessionAlreadyOpen, SessionClosed } from "../../../ai/loop/errors.js"
import { checkMessageId } from "../../../ai/loop/internal/checks.js"
import type { SessionId } from "../../../model/ids.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { randomToken } from "../../../shared/randomToken.js"
import type { RemoteAgentSession, RemoteAgentSessions } from "../../RemoteAgentSession.js"
import type { openClient } from "./clientOptions.js"
import { isProblem } from "./Link.js"
import { watchSession } from "./SessionEvents.js"

/** As a value, what a problem document of one of these names says. */
const orNamed = <A, E, R, const Name extends string>(
  request: Effect.Effect<A, E, R>,
  ...names: ReadonlyArray<Name>
): Effect.Effect<Option.Option<A>, E, R> =>
  Effect.catchIf(
    Effect.asSome(request),
    (problem) => names.some((name) => isProblem(problem, name)),
    () => Effect.succeedNone
  )

const nothing: InterruptReceipt = { cancelled: [], kept: [] }

export const makeRemoteSessions = (
  { bounds, link }: Effect.Effect.Success<ReturnType<typeof openClient>>
): RemoteAgentSessions => {
  const { api: { sessions }, once, repeat } = link

  const sessionOf = (sessionId: SessionId): RemoteAgentSession => {
    const path = { id: sessionId }
    const orClosed = <A>(request: Effect.Effect<Option.Option<A>>): Effect.Effect<A, SessionClosed> =>
      Effect.flatMap(
        request,
        Option.match({
          onNone: () => new SessionClosed({ sessionId }),
          onSome: Effect.succeed
        })
      )
    const watch = watchSession(link, sessionId, bounds)
    const subscribe = Effect.map(watch, ({ events }) => events)
    return {
      sessionId,
      watch,
      subscribe,
      events: Stream.unwrapScoped(Effect.map(subscribe, (events) => Stream.fromQueue(events))),
      submit: (text, { messageId = randomToken() } = {}) =>
        Effect.zipRight(
          checkMessageId(messageId),
          Effect.map(
            orClosed(repeat(orNamed(
              sessions.submit({ path, payload: { text, messageId } }),
              "NoSuchSession",
              "SessionClosed"
            ))),
            (taken) => taken.messageId
          )
        ),
      transcript: orClosed(repeat(orNamed(sessions.transcript({ path }), "NoSuchSession"))),
      approvals: Effect.map(
        repeat(orNamed(sessions.get({ path }), "NoSuchSession")),
        Option.match({ onNone: () => [], onSome: ({ approvals }) => approvals })
      ),
      interrupt: Effect.map(
        once(orNamed(sessions.interrupt({ path, payload: {} }), "NoSuchSession")),
        Option.getOrElse(() => nothing)
      ),
      close: Effect.map(
        once(orNamed(sessions.close({ path, payload: {} }), "NoSuchSession")),
        Option.getOrElse(() => nothing)
      )
    }
  }

  return {
    list: Effect.map(repeat(sessions.list({})), (found) => found.sessions.map(({ sessionId }) => sessionId)),
    get: (sessionId) =>
      Effect.map(
        repeat(orNamed(sessions.get({ path: { id: sessionId } }), "NoSuchSession")),
        Option.map(() => sessionOf(sessionId))
      ),
    open: (sessionId) => {
      const opening: Effect.Effect<Option.Option<unknown>> = once(
        orNamed(sessions.open({ payload: { sessionId } }), "SessionAlreadyOpen")
      )
      return Effect.flatMap(
        opening,
        (opened): Effect.Effect<RemoteAgentSession, SessionAlreadyOpen> =>
          Option.isNone(opened) ? new SessionAlreadyOpen({ sessionId }) : Effect.succeed(sessionOf(sessionId))
      )
    }
  }
}
