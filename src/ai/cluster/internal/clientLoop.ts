/** The agent loop as a client: its sessions are on the runners. */
import type { Sharding } from "@effect/cluster/Sharding"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { journalOf } from "../../../cluster/internal/journals.js"
import { refuseUnlessObject } from "../../../shared/refusals.js"
import type { AgentSession, AgentSessionOptions } from "../../loop/AgentSession.js"
import { TranscriptStoreError } from "../../loop/errors.js"
import { checkSession } from "../../loop/internal/checks.js"
import type { AgentLoopService } from "../../loop/internal/makeAgentLoop.js"
import type { TranscriptSessions } from "../../loop/TranscriptStore.js"
import { type ClientSession, clientSession } from "./clientSession.js"
import { connect } from "./Connection.js"
import { Feeds } from "./Feeds.js"
import { checkTranscript } from "./given.js"
import { storedSessions } from "./stored.js"

/** What a client can give a session. Everything else holds wherever the session is, so its runner has it. */
const takes: ReadonlySet<string> = new Set(["sessionId", "transcript", "eventBuffer", "eventBytes"])

const checkOptions = (options: AgentSessionOptions): void => {
  refuseUnlessObject("AgentLoop.open", "an object", options)
  for (const [field, value] of Object.entries(options)) {
    if (takes.has(field) || value === undefined) continue
    throw new TypeError(
      `AgentSessionOptions.${field} is said on the runners (defaults or sessionOptions of AgentCluster.runner): the session outlives this process`
    )
  }
  checkSession(options)
  if (options.transcript !== undefined) checkTranscript("AgentSessionOptions.transcript", options.transcript)
}

/** What only the runner of a session does. */
const ofRunner = (method: string) => () =>
  Effect.die(new TypeError(`TranscriptStore.${method}: the conversations of a cluster are written by its runners`))

export const makeClientLoop = (options: {
  readonly name: string
  readonly groups: number
  readonly patienceMillis: number
  readonly eventBuffer: number
  readonly eventBytes: number
}): Effect.Effect<AgentLoopService, never, Sharding | SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const { eventBuffer, eventBytes, groups, name } = options
    const connection = yield* connect(options)
    const { ask, groupOf } = connection
    const feeds = new Feeds(connection)
    connection.news = {
      positions: (group, sessionId) => feeds.positions(group, sessionId),
      hear: (group, news) => feeds.hear(group, news)
    }
    const stored = yield* Effect.forEach(
      Array.from({ length: groups }, (_, group) => journalOf(name, group)),
      storedSessions
    )
    const opened = new Set<ClientSession>()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const { leave } of opened) leave()
      })
    )

    const handleOf = (given: AgentSessionOptions): Effect.Effect<AgentSession, never, Scope.Scope> =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const handle = clientSession({
              sessionId: given.sessionId,
              connection,
              feeds,
              eventBuffer: given.eventBuffer ?? eventBuffer,
              eventBytes: given.eventBytes ?? eventBytes
            })
            opened.add(handle)
            return handle
          }),
          (handle) =>
            Effect.sync(() => {
              opened.delete(handle)
              handle.leave()
            })
        ),
        ({ session }) => session
      )

    const listOpen: TranscriptSessions["listOpen"] = Effect.forEach(stored, (group) => group.listOpen, {
      concurrency: 8
    }).pipe(
      Effect.map((ids) => ids.flat()),
      Effect.mapError((cause) =>
        new TranscriptStoreError({ message: "The open sessions could not be read.", reason: "Unavailable", cause })
      )
    )
    return {
      store: {
        append: ofRunner("append"),
        sessions: {
          listOpen,
          read: (sessionId) =>
            Effect.suspend(() => ask(groupOf(sessionId), (client, header) => client.Read({ header, sessionId }))),
          remove: (sessionId) =>
            Effect.suspend(() =>
              Effect.asVoid(ask(groupOf(sessionId), (client, header) => client.Remove({ header, sessionId })))
            ),
          open: ofRunner("open"),
          commit: ofRunner("commit"),
          keepMessage: ofRunner("keepMessage"),
          dropMessage: ofRunner("dropMessage"),
          rest: ofRunner("rest"),
          close: ofRunner("close")
        }
      },
      open: (given) =>
        Effect.gen(function*() {
          checkOptions(given)
          const { sessionId, transcript } = given
          yield* ask(groupOf(sessionId), (client, header) =>
            client.Open({
              header,
              sessionId,
              transcript: transcript === undefined ? null : { ...transcript, sessionId }
            }))
          return yield* handleOf(given)
        }),
      reopen: (optionsOf = () => ({})) =>
        Effect.flatMap(listOpen, (ids) =>
          Effect.map(
            Effect.forEach(ids, (sessionId) =>
              Effect.suspend(() => {
                const given = { ...optionsOf(sessionId), sessionId }
                checkOptions(given)
                return handleOf(given)
              })),
            (sessions) => ({ sessions, failed: [] })
          ))
    }
  })
