/** Conversations on two real runners, one fault in the middle of their turns, and what came of it. */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Layer, Logger, LogLevel, Schema, Stream } from "effect"
import { SessionId } from "effect-task-manager"
import { type AgentEvent, AgentLoop, Transcript, TranscriptEntry } from "effect-task-manager/ai"
import { AgentCluster } from "effect-task-manager/ai/cluster"
import { clusterShardingConfig } from "effect-task-manager/cluster"
import type { PostgresServer } from "../../support/postgres.js"
import { inSchema } from "./chaos.js"
import { Cluster } from "./Cluster.js"
import { Struck } from "./Struck.js"

/** The clock of a runner is asked by its tasks alone. */
export const agentFaults = ["kill", "stop", "term", "cut", "database", "join"] as const
export type AgentFault = typeof agentFaults[number]

export interface AgentOutcome {
  readonly sessions: number
  /** Sessions whose host saw the end of the turn that it had asked for. */
  readonly ended: number
  /** Calls in the transcripts, those with exactly one result, and those with another number of them. */
  readonly calls: number
  readonly answered: number
  readonly wrong: number
  /** Entries that stand in a transcript twice. */
  readonly doubled: number
  /** Results that say that it is not known whether the tool had effects. */
  readonly unknown: number
  /** Tools that must not run twice, and did. */
  readonly forbidden: number
  /** Results that nobody took. */
  readonly left: number
  /** Sessions whose host read a `Reset`: they had moved. */
  readonly moved: number
}

const Entry = Schema.parseJson(TranscriptEntry)

export const runAgentChaos = async (
  server: PostgresServer,
  fault: AgentFault,
  options: { readonly sessions?: number; readonly patience?: number } = {}
): Promise<AgentOutcome> => {
  const { patience = 100_000, sessions = 12 } = options
  const cluster = await Cluster.withAgents(await inSchema(server), {
    // a runner takes seconds to begin, and the turns must not be over by then
    slowness: fault === "join" ? 4 : 1
  })
  const Client = AgentCluster.layer({ groups: cluster.groups }).pipe(
    Layer.provide(NodeClusterSocket.layer({
      clientOnly: true,
      storage: "sql",
      shardingConfig: clusterShardingConfig()
    })),
    Layer.provideMerge(PgClient.layer({ url: cluster.url, maxConnections: 6 })),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Warning))
  )
  const struck = await Struck.start(cluster, server)
  try {
    const ids = Array.from({ length: sessions }, (_, index) => SessionId.make(`session-${index}`))

    const work = Effect.gen(function*() {
      const loop = yield* AgentLoop
      const sql = yield* SqlClient.SqlClient
      const begun = yield* Effect.makeLatch(false)
      const ends: Array<ReadonlyArray<AgentEvent>> = []
      const notOver = new Map<SessionId, ReadonlyArray<AgentEvent>>()
      const converse = (sessionId: SessionId) =>
        Effect.gen(function*() {
          const session = yield* loop.open({ sessionId })
          const events: Array<AgentEvent> = []
          notOver.set(sessionId, events)
          yield* Stream.runForEach(session.run("go"), (event) => {
            events.push(event)
            return event._tag === "ToolCall" ? begun.open : Effect.void
          })
          ends.push(events)
          // with the turn that the late result starts
          const isOver = Effect.map(session.transcript, (transcript) =>
            transcript.entries.some(({ _tag }) =>
              _tag === "LateResult"
            ) && !Transcript.awaitsReply(transcript))
          yield* Effect.zipRight(session.waitForIdle, isOver).pipe(
            Effect.tap((is) => is ? Effect.void : Effect.sleep("200 millis")),
            Effect.repeat({ until: (is) => is })
          )
          notOver.delete(sessionId)
        })
      const striking = begun.await.pipe(
        Effect.zipRight(Effect.sleep("700 millis")),
        Effect.zipRight(Effect.promise(() => struck.strike(fault, 12_000)))
      )
      const entriesOf = (sessionId: SessionId) =>
        sql<{ entry: string }>`select entry from etm_entries where session_id = ${sessionId} order by number`.pipe(
          Effect.flatMap(Effect.forEach(({ entry }) => Schema.decode(Entry)(entry)))
        )
      /** Says what the hosts and the database know of the conversations that have not ended. */
      const tooLate = Effect.forEach(notOver, ([sessionId, events]) =>
        Effect.gen(function*() {
          const entries = yield* entriesOf(sessionId)
          const tasks = yield* sql`select id, status from etm_tasks where session_id = ${sessionId}`
          return JSON.stringify({ sessionId, events: events.slice(-20), entries, tasks })
        })).pipe(Effect.flatMap((texts) => Effect.dieMessage(`not over after ${patience} ms:\n${texts.join("\n")}`)))
      yield* Effect.all([striking, ...ids.map(converse)], { concurrency: "unbounded", discard: true }).pipe(
        // what hangs may hang when it is interrupted as well
        Effect.disconnect,
        Effect.timeoutTo({ duration: patience, onSuccess: () => Effect.void, onTimeout: () => tooLate }),
        Effect.flatten
      )

      let calls = 0
      let answered = 0
      let doubled = 0
      let unknown = 0
      for (const sessionId of ids) {
        const entries = yield* entriesOf(sessionId)
        doubled += entries.length - Transcript.fromEntries(sessionId, entries).entries.length
        for (const entry of entries) {
          if (entry._tag !== "AssistantMessage") continue
          for (const { callId } of Transcript.calls(entry)) {
            calls++
            const results = entries.filter((found) => found._tag === "ToolResult" && found.callId === callId)
            if (results.length === 1) answered++
            if (JSON.stringify(results).includes("It is not known")) unknown++
          }
        }
      }
      const [left] = yield* sql<{ left: unknown }>`select count(*) as left from etm_tasks where result is not null`
      return {
        calls,
        answered,
        wrong: calls - answered,
        doubled,
        unknown,
        left: Number(left?.left),
        ended: ends.filter((events) => events.at(-1)?._tag === "TurnEnded" || events.at(-1)?._tag === "Reset").length,
        moved: ends.filter((events) => events.some(({ _tag }) => _tag === "Reset")).length
      }
    })
    const found = await Effect.runPromise(
      work.pipe(Effect.provide(Client), Effect.scoped)
    )
    const runs = new Map<string, number>()
    for (const { launch, task, what } of cluster.lines()) {
      if (what === "begin") runs.set(task, (runs.get(task) ?? 0) + (launch === 0 ? 0 : 1))
    }
    // which tool a task has is in the database no more than in its name: what ran again must be one that may
    const again = [...runs].filter(([, times]) => times > 1).map(([task]) => task)
    const forbidden = await Effect.runPromise(
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        let count = 0
        for (const task of again) {
          const [row] = yield* sql<{ request: string }>`select request from etm_tasks where id = ${task}`
          if (row?.request.includes("\"read\"") !== true) count++
        }
        return count
      }).pipe(Effect.provide(PgClient.layer({ url: cluster.url })), Effect.scoped)
    )
    return { ...found, forbidden, sessions }
  } finally {
    await cluster.remove()
    await struck.close()
  }
}
