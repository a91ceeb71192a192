/**
 * A session of an agent loop in another process.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { AgentSession, SubmitOptions } from "../ai/loop/AgentSession.js"
import type { SessionAlreadyOpen, SessionClosed } from "../ai/loop/errors.js"
import type { Transcript } from "../ai/transcript/Transcript.js"
import type { SessionId } from "../model/ids.js"

/**
 * A session of an agent loop that a server has: the methods of `AgentSession` that HTTP has. Approvals of its tasks are answered with
 * `TaskManagerClient`.
 *
 * @since 0.1.0
 * @category services
 */
export interface RemoteAgentSession
  extends Pick<AgentSession, "sessionId" | "events" | "subscribe" | "watch" | "interrupt" | "approvals" | "close">
{
  /**
   * Hands in a message and returns its id. It is handed in once, also where the answer was lost and it is sent again. `SessionClosed` once the
   * session is closed. Dies on a `messageId` that `AgentSession.submit` does not take.
   */
  readonly submit: (message: string, options?: SubmitOptions) => Effect.Effect<string, SessionClosed>
  /** The conversation as it is now; `SessionClosed` once the session is closed. */
  readonly transcript: Effect.Effect<Transcript, SessionClosed>
}

/**
 * The sessions that a server shows and opens.
 *
 * @since 0.1.0
 * @category services
 */
export interface RemoteAgentSessions {
  /** The sessions that the server shows. */
  readonly list: Effect.Effect<ReadonlyArray<SessionId>>
  /** One of them; `None` where the server shows none with this id. */
  readonly get: (sessionId: SessionId) => Effect.Effect<Option.Option<RemoteAgentSession>>
  /** Opens a session in the server; it stays open until somebody closes it. */
  readonly open: (sessionId: SessionId) => Effect.Effect<RemoteAgentSession, SessionAlreadyOpen>
}
