/** The sessions of one client. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { AgentLoop } from "../../ai/loop/AgentLoop.js"
import { SessionId } from "../../model/ids.js"
import { TaskManager } from "../../services/TaskManager.js"
import { randomToken } from "../../shared/randomToken.js"
import type { AcpAgentOptions, AcpWorkspace } from "../AcpAgentOptions.js"
import * as ClientSession from "./ClientSession.js"
import { type ClientGone, type ClientPort, internalError, invalidParams, noSuchSession, type Refused } from "./port.js"

interface ListedSession {
  readonly sessionId: string
  readonly cwd: string
}

export interface Sessions {
  /** Opens a new session, and says under which id. */
  readonly open: (workspace: AcpWorkspace) => Effect.Effect<string, Refused | ClientGone>
  /** Goes on with a session of this client, or with one that is stored. */
  readonly reopen: (
    sessionId: string,
    workspace: AcpWorkspace,
    withHistory: boolean
  ) => Effect.Effect<void, Refused | ClientGone>
  readonly list: (cwd: string | undefined) => Effect.Effect<ReadonlyArray<ListedSession>, Refused>
  readonly get: (sessionId: string) => Effect.Effect<ClientSession.ClientSession, Refused>
  /** Closes a session; false if the client has none of this id. */
  readonly close: (sessionId: string) => Effect.Effect<boolean>
}

interface OpenSession {
  readonly session: ClientSession.ClientSession
  readonly end: Effect.Effect<void>
}

/** The sessions of one connection, which end with it, for the client behind a port. */
export const make = (settings: {
  readonly loop: Context.Tag.Service<AgentLoop>
  readonly manager: Context.Tag.Service<TaskManager>
  readonly options: AcpAgentOptions
}): Effect.Effect<(port: ClientPort) => Sessions, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { loop, manager, options } = settings
    const { handle } = manager
    // a session that takes its time to end holds up no other
    const connection = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.parallel)
    /** One is opened after the other, so that none is opened twice. */
    const opening = yield* Effect.makeSemaphore(1)
    const sessions = new Map<string, OpenSession>()

    const begin = (port: ClientPort, id: string, workspace: AcpWorkspace, beginning: ClientSession.Beginning) =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(connection, ExecutionStrategy.sequential)
        const session = yield* Effect.gen(function*() {
          const its = options.loopOf === undefined
            ? loop
            : yield* Effect.provideService(options.loopOf(workspace), TaskManager, manager)
          const opened = yield* its.open({ ...options.session, sessionId: SessionId.make(id) })
          return yield* ClientSession.make({ session: opened, beginning, handle, port, options, cwd: workspace.cwd })
        }).pipe(
          Scope.extend(scope),
          Effect.catchTags({
            AcpSessionRefused: ({ message }) => Effect.fail(invalidParams(message)),
            SessionAlreadyOpen: () => Effect.fail(invalidParams("The session is open somewhere else")),
            TranscriptStoreError: ({ message }) => Effect.fail(internalError(message))
          }),
          Effect.onError(() => Scope.close(scope, Exit.void))
        )
        const end = Effect.suspend(() => {
          sessions.delete(id)
          return Scope.close(scope, Exit.void)
        })
        sessions.set(id, { session, end })
        // one that something else has closed is not open any more
        yield* session.over.pipe(Effect.zipRight(end), Effect.forkIn(connection))
      })

    /** Whether an earlier process, or another client, has left the session. */
    const isStored = (sessionId: string): Effect.Effect<boolean, Refused> => {
      const stored = loop.store.sessions
      if (stored === undefined || sessionId === "") return Effect.succeed(false)
      const id = SessionId.make(sessionId)
      return stored.listOpen.pipe(
        Effect.flatMap((open) =>
          open.includes(id) ? Effect.succeed(true) : Effect.map(stored.read(id), ({ entries }) => entries.length > 0)
        ),
        Effect.mapError(({ message }) => internalError(message)),
        // no id that could be stored
        Effect.catchAllDefect(() => Effect.succeed(false))
      )
    }

    return (port) => ({
      open: (workspace) =>
        Effect.suspend(() => {
          const id = `session-${randomToken()}`
          return Effect.as(begin(port, id, workspace, "New"), id)
        }).pipe(opening.withPermits(1)),
      reopen: (sessionId, workspace, withHistory) =>
        Effect.gen(function*() {
          const known = sessions.get(sessionId)
          if (known !== undefined) return yield* known.session.tellAgain(withHistory)
          if (!(yield* isStored(sessionId))) return yield* noSuchSession(sessionId)
          yield* begin(port, sessionId, workspace, withHistory ? "HistoryAndState" : "State")
        }).pipe(opening.withPermits(1)),
      list: (cwd) =>
        Effect.gen(function*() {
          const listed: Array<ListedSession> = [...sessions.values()].map(({ session }) => session)
            .map(({ cwd, sessionId }) => ({ cwd, sessionId }))
          const { root } = options
          if (root !== undefined && loop.store.sessions !== undefined) {
            const stored = yield* Effect.mapError(
              loop.store.sessions.listOpen,
              ({ message }) => internalError(message)
            )
            for (const sessionId of stored) if (!sessions.has(sessionId)) listed.push({ sessionId, cwd: root })
          }
          return cwd === undefined ? listed : listed.filter((one) => one.cwd === cwd)
        }),
      get: (sessionId) =>
        Effect.suspend(() => {
          const known = sessions.get(sessionId)
          return known === undefined ? noSuchSession(sessionId) : Effect.succeed(known.session)
        }),
      close: (sessionId) =>
        Effect.suspend(() => {
          const known = sessions.get(sessionId)
          if (known === undefined) return Effect.succeed(false)
          return known.session.close.pipe(Effect.zipRight(known.end), Effect.as(true))
        })
    })
  })
