/** Agents whose process is killed, and what the next one makes of it. */
import { describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Transcript, TranscriptEntry, validatePrompt } from "effect-task-manager/ai"
import { assert } from "vitest"
import { oneIn } from "../../support/fullMode.js"
import {
  type AgentDatabases,
  type AgentProcess,
  type Connect,
  killed,
  playOn,
  type Run,
  sessionId,
  startProcess,
  withSql
} from "../agent/world.js"
import { settled } from "../support.js"

/** What must hold once everything has come to its end, whatever was killed. */
const prove = (connect: Connect, runs: ReadonlyArray<Run>, of = sessionId) =>
  withSql(connect, (sql) =>
    Effect.gen(function*() {
      const rows = yield* sql<{ entry: string }>`select entry from etm_entries where session_id = ${of} order by number`
      const entries = rows.map(({ entry }) => Schema.decodeUnknownSync(Schema.parseJson(TranscriptEntry))(entry))
      const transcript = Transcript.fromEntries(of, entries)
      // nothing was stored twice
      assert.lengthOf(transcript.entries, entries.length)
      assert.deepStrictEqual(Transcript.openCalls(transcript), [])
      assert.deepStrictEqual(Transcript.runningTasks(transcript), [])
      const calls = transcript.entries.flatMap((entry) =>
        entry._tag === "AssistantMessage" ? Transcript.calls(entry) : []
      )
      for (const { callId } of calls) {
        const results = entries.filter((entry) => entry._tag === "ToolResult" && entry.callId === callId)
        assert.lengthOf(results, 1, callId)
      }
      const [left] = yield* sql<{ left: unknown }>`select count(*) as left from etm_tasks
        where result is not null or detached is not null or approval is not null`
      assert.strictEqual(Number(left?.left), 0, "nothing is left undelivered")
      const [waiting] = yield* sql<{ waiting: unknown }>`select count(*) as waiting from etm_messages`
      assert.strictEqual(Number(waiting?.waiting), 0)
      for (const { callId } of calls) {
        const of = runs.filter((run) => run.callId === callId)
        if (of[0]?.tool === "write") assert.isAtMost(of.length, 1, `${callId} may not run twice`)
      }
      return { transcript, calls, entries }
    }))

export const agentSuite = (databases: AgentDatabases): void => {
  describe("an agent on a durable manager", () => {
    it.scoped("runs as in memory, and everything stands in the database", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const process = yield* startProcess(connect, runs)
        const session = yield* process.open(sessionId)
        yield* session.submit("go")
        yield* playOn(session, process)
        const { calls, transcript } = yield* prove(connect, runs)
        assert.deepStrictEqual(transcript, yield* session.transcript)
        assert.lengthOf(calls, 5)
        for (const prompt of yield* process.model.prompts) assert.deepStrictEqual(validatePrompt(prompt), [])
      }))
  })

  describe("killed before any statement", () => {
    /** Goes on with what there is, and says "go" if nobody has. */
    const goOn = (process: AgentProcess) =>
      Effect.gen(function*() {
        const { failed, sessions } = yield* process.reopen
        assert.deepStrictEqual(failed, [])
        const session = sessions[0] ?? (yield* process.open(sessionId))
        yield* settled
        const { entries } = yield* session.transcript
        const { phase } = yield* Effect.scoped(session.watch)
        if (entries.length === 0 && phase === "Idle") yield* session.submit("go")
        yield* playOn(session, process)
      })

    const life = (dieBefore: ReadonlyArray<number>) =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const statements = yield* killed(connect, runs, dieBefore, goOn)
        const { calls, transcript } = yield* prove(connect, runs)
        assert.lengthOf(calls, 5)
        assert.lengthOf(transcript.entries.filter(({ _tag }) => _tag === "UserMessage"), 1)
        return statements
      })

    it.scoped("each result stands in the transcript once, and each call is answered", () =>
      Effect.gen(function*() {
        const all = yield* Effect.scoped(life([]))
        assert.isAbove(all, 60)
        const moments = Array.from({ length: all }, (_, index) => index + 1)
        for (const moment of oneIn(4, moments)) {
          yield* Effect.scoped(life([moment])).pipe(
            Effect.tapErrorCause((cause) => Effect.logError(`killed before statement ${moment}`, cause))
          )
        }
      }))
  })
}
