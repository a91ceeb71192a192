/** Agents whose process is killed, and what the next one makes of it. */
import { Tool, Toolkit } from "@effect/ai"
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Cause, Chunk, Context, Effect, Exit, Fiber, Layer, Option, Queue, Schema, Stream, TestClock } from "effect"
import {
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import {
  type AgentSession,
  ResultStore,
  ResultStoreError,
  RetryPolicy,
  ToolkitExecutor,
  Transcript,
  TranscriptEntry,
  validatePrompt,
  WakePolicy
} from "effect-task-manager/ai"
import { ResultStoreSql, type ResultStoreSqlOptions, ToolsOfManager } from "effect-task-manager/ai/durable"
import { type ScriptedReply, ScriptedStep } from "effect-task-manager/ai/testing"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { randomBytes } from "node:crypto"
import { assert } from "vitest"
import { SimRandom } from "../../../src/testing/simulator/SimRandom.js"
import { isFull, oneIn } from "../../support/fullMode.js"
import {
  type AgentDatabases,
  type AgentProcess,
  type Connect,
  Hold,
  killed,
  playOn,
  type ProcessOptions,
  type Run,
  sessionId,
  startProcess,
  Text,
  ToolCall,
  withSql
} from "../agent/world.js"
import { codecOf, settled } from "../support.js"

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

/** What was taken stands in the transcript, and what stands there was taken: at every moment. */
const isTogether = (connect: Connect) =>
  withSql(connect, (sql) =>
    Effect.gen(function*() {
      const tables = yield* sql<{ id: unknown }>`select max(migration_id) as id from etm_migrations`.pipe(Effect.option)
      if (Option.isNone(tables) || Number(tables.value[0]?.id) < 3) return
      const rows = yield* sql<{ entry: string }>`select entry from etm_entries`
      const stored = new Set(rows.flatMap(({ entry }) => {
        const { outcome, taskId } = JSON.parse(entry)
        return taskId === undefined || outcome === "Placeholder" ? [] : [String(taskId)]
      }))
      const tasks = yield* sql<
        { id: string; result: unknown }
      >`select id, result from etm_tasks where settled is not null`
      for (const { id, result } of tasks) assert.strictEqual(stored.has(id), result === null, `${id} was taken`)
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

  describe("while a group is written", () => {
    it.scoped("a session can be watched, and tells of nothing that is not written", () =>
      Effect.gen(function*() {
        let isSlow = false
        const connect = yield* databases.make
        const process = yield* startProcess((options) =>
          connect({
            ...options,
            holds: (text) => options?.holds?.(text) === true || isSlow && text.includes("insert into etm_tasks")
          }), [])
        const session = yield* process.open(sessionId)
        isSlow = true
        yield* session.submit("go")
        yield* settled
        const { events, phase } = yield* session.watch
        assert.strictEqual(phase, "RunningTools")
        yield* settled
        assert.deepStrictEqual([...yield* Queue.takeAll(events)].filter(({ _tag }) => _tag === "Task"), [])
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

    const life = (dieBefore: ReadonlyArray<number>, options: ProcessOptions = {}) =>
      Effect.scoped(
        Effect.gen(function*() {
          const connect = yield* databases.make
          const runs: Array<Run> = []
          const statements = yield* killed(connect, runs, dieBefore, goOn, options, isTogether(connect))
          const { calls, transcript } = yield* prove(connect, runs)
          assert.lengthOf(calls, 5)
          assert.lengthOf(transcript.entries.filter(({ _tag }) => _tag === "UserMessage"), 1)
          return statements
        }).pipe(
          Effect.tapErrorCause((cause) =>
            Effect.logError(`killed before the statements ${dieBefore.join(", ")}`, cause)
          )
        )
      )

    /** One in so many moments of a life. */
    const everywhere = (many: number, options: ProcessOptions = {}) =>
      Effect.gen(function*() {
        const statements = yield* life([], options)
        assert.isAbove(statements, 60)
        for (let moment = 1; moment <= statements; moment += many) yield* life([moment], options)
      })

    // a server is slow, and does the same
    const few = isFull ? 48 : 96

    it.scoped("each result stands in the transcript once, and each call is answered", () =>
      everywhere(isFull && databases.dialect === "sqlite" ? 1 : few))

    it.scoped("runs no tool again that may not, where the manager has forgotten the tasks", () =>
      everywhere(isFull && databases.dialect === "sqlite" ? 3 : few, { settings: { historyLimit: 0 } }))

    it.scoped("has each result once where it is killed again and again", () =>
      Effect.forEach(
        Array.from({ length: isFull ? databases.dialect === "sqlite" ? 15 : 2 : 1 }, (_, index) => index),
        (seed) => {
          const random = new SimRandom(seed)
          return life(Array.from({ length: 3 }, () => 1 + random.int(120)))
        },
        { discard: true }
      ))
  })

  describe("a session goes on where it was", () => {
    /** A first process that is killed once `until` has returned, and a second one that has reopened its sessions. */
    const restarted = <A>(
      first: ProcessOptions,
      until: (process: AgentProcess, session: AgentSession) => Effect.Effect<A, unknown>,
      second: ProcessOptions = {},
      end: (process: AgentProcess) => Effect.Effect<void> = ({ kill }) => kill,
      before?: (text: string) => void
    ) =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const one = yield* startProcess(
          before === undefined ? connect : (options) => connect({ ...options, before }),
          runs,
          first
        )
        const left = yield* until(one, yield* one.open(sessionId))
        yield* settled
        yield* end(one)
        const process = yield* startProcess(connect, runs, second)
        const { failed, sessions } = yield* process.reopen
        assert.deepStrictEqual(failed, [])
        const session = sessions[0]
        assert(session !== undefined)
        return { connect, left, process, prompts: process.model.prompts, runs, session }
      })

    const calling = (...names: ReadonlyArray<string>): ScriptedReply => ({ prompt }) => {
      const shown = JSON.stringify(prompt.content)
      return shown.includes("c-park") || shown.includes(`c-${names[0]}`)
        ? [Text("Done.")]
        : names.map((name) => ToolCall(name, {}, { id: `c-${name}` }))
    }

    it.scoped("a request that was cut is made again, with the same prompt", () =>
      Effect.gen(function*() {
        const { connect, left, process, prompts, runs, session } = yield* restarted(
          { model: [Text("Half of what"), Hold, Text(" I say.")] },
          ({ model }, one) =>
            Effect.gen(function*() {
              yield* one.submit("go")
              yield* model.waitForRequest(1)
              yield* settled
              return (yield* model.prompts)[0]
            }),
          { model: [Text("All of it.")] }
        )
        yield* playOn(session, process)
        assert.deepStrictEqual(yield* prompts, left === undefined ? [] : [left])
        const { entries } = (yield* prove(connect, runs)).transcript
        assert.deepStrictEqual(entries.map(({ _tag }) => _tag), ["UserMessage", "AssistantMessage"])
      }))

    it.scoped("a deployment leaves it as a crash does: nothing of a reply that was cut is kept", () =>
      Effect.gen(function*() {
        const { connect, process, runs, session } = yield* restarted(
          { model: [Text("Half of what"), Hold] },
          ({ model }, one) => Effect.zipRight(one.submit("go"), model.waitForRequest(1)),
          { model: [Text("All of it.")] },
          ({ stop }) => stop
        )
        yield* playOn(session, process)
        const { entries } = (yield* prove(connect, runs)).transcript
        assert.include(JSON.stringify(entries.at(-1)), "All of it.")
        assert.lengthOf(entries, 2)
      }))

    it.scoped("messages that no turn had taken are taken", () =>
      Effect.gen(function*() {
        const { connect, process, prompts, runs, session } = yield* restarted(
          { model: [Text("Wait"), Hold] },
          ({ model }, one) =>
            Effect.zipRight(
              Effect.zipRight(one.submit("first"), model.waitForRequest(1)),
              Effect.zipRight(one.submit("second"), one.submit("third"))
            ),
          { model: [Text("Yes.")] }
        )
        yield* playOn(session, process)
        const [asked] = yield* prompts
        const text = JSON.stringify(asked)
        assert.isBelow(text.indexOf("first"), text.indexOf("second"))
        assert.isBelow(text.indexOf("second"), text.indexOf("third"))
        yield* prove(connect, runs)
      }))

    it.scoped("a message that is handed in again while it is written is not told to be there before it is", () =>
      Effect.gen(function*() {
        let isHeld = false
        let told = 0
        const connect = yield* databases.make
        const one = yield* startProcess((options) =>
          connect({
            ...options,
            holds: (text) => options?.holds?.(text) === true || isHeld && text.includes("etm_messages")
          }), [])
        const first = yield* one.open(sessionId)
        isHeld = true
        for (let time = 0; time < 2; time++) {
          yield* Effect.forkDaemon(
            Effect.exit(Effect.map(first.submit("go", { messageId: "m-1" }), () => void told++))
          )
        }
        yield* settled
        assert.strictEqual(told, 0)
        yield* one.kill
        // who was told nothing asks again, twice, in the process after it
        const process = yield* startProcess(connect, [], { model: [Text("Yes.")] })
        const session = (yield* process.reopen).sessions[0] ?? (yield* process.open(sessionId))
        const again = session.submit("go", { messageId: "m-1" })
        yield* Effect.all([again, again], { concurrency: "unbounded" })
        yield* playOn(session, process)
        const { entries } = (yield* prove(connect, [])).transcript
        assert.deepStrictEqual(entries.map(({ _tag }) => _tag), ["UserMessage", "AssistantMessage"])
      }))

    it.scoped("of a message that is written again after it could not be dropped, the next process has the later words", () =>
      Effect.gen(function*() {
        let isDiskFull = false
        const { connect, process, prompts, runs, session } = yield* restarted(
          { model: [Text("Wait"), Hold] },
          ({ model }, one) =>
            Effect.gen(function*() {
              yield* one.submit("first")
              yield* model.waitForRequest(1)
              yield* one.submit("second", { messageId: "m-1" })
              yield* one.submit("third")
              isDiskFull = true
              const withdrawing = yield* Effect.fork(Effect.exit(one.withdraw("m-1")))
              for (let step = 0; step < 12; step++) {
                yield* settled
                yield* TestClock.adjust("1 second")
              }
              assert.isTrue(Exit.isFailure(yield* Fiber.join(withdrawing)))
              isDiskFull = false
              yield* one.submit("fourth", { messageId: "m-1" })
            }),
          { model: [Text("Yes.")] },
          undefined,
          (text) => {
            if (isDiskFull && text.startsWith("delete from etm_messages")) throw new Error("disk full")
          }
        )
        yield* playOn(session, process)
        const [asked] = yield* prompts
        const text = JSON.stringify(asked)
        assert.notInclude(text, "second")
        assert.isAbove(text.indexOf("third"), 0)
        assert.isBelow(text.indexOf("third"), text.indexOf("fourth"))
        yield* prove(connect, runs)
      }))

    it.scoped("a message that a compaction has left out is not taken again by the next process", () =>
      Effect.gen(function*() {
        const { connect, process, prompts, runs, session } = yield* restarted(
          {
            model: [Text("Yes.")],
            defaults: {
              compact: (transcript) => Effect.succeed({ ...transcript, entries: transcript.entries.slice(-1) }),
              compactAt: 1
            }
          },
          (_, one) =>
            Effect.forEach(
              ["m-1", "m-2", "m-3"],
              (messageId) => Effect.zipRight(one.submit(messageId, { messageId }), settled)
            ),
          { model: [Text("Yes.")] }
        )
        for (const messageId of ["m-1", "m-2", "m-3", "m-4"]) {
          yield* session.submit(messageId, { messageId })
          yield* playOn(session, process)
        }
        assert.lengthOf(yield* prompts, 1)
        const rows = yield* withSql(connect, (sql) => sql`select number from etm_entries`)
        assert.lengthOf(rows, 4)
        assert.deepStrictEqual(runs, [])
      }))

    it.scoped("a message that was taken back is taken by no turn of the next process", () =>
      Effect.gen(function*() {
        const { connect, process, prompts, runs, session } = yield* restarted(
          { model: [Text("Wait"), Hold] },
          ({ model }, one) =>
            Effect.gen(function*() {
              yield* one.submit("first")
              yield* model.waitForRequest(1)
              yield* one.submit("second")
              assert.isTrue(yield* one.withdraw(yield* one.submit("third")))
            }),
          { model: [Text("Yes.")] }
        )
        yield* playOn(session, process)
        const [asked] = yield* prompts
        assert.include(JSON.stringify(asked), "second")
        assert.notInclude(JSON.stringify(asked), "third")
        yield* prove(connect, runs)
      }))

    it.scoped("a tool runs again if it may; of another one the model reads that it is not known", () =>
      Effect.gen(function*() {
        const { connect, process, prompts, runs, session } = yield* restarted(
          { model: calling("park", "parkSafely") },
          (_, one) => one.submit("go"),
          { model: [Text("Done.")] }
        )
        yield* settled
        assert.deepStrictEqual(runs.map(({ launch, tool }) => `${tool} ${launch}`), [
          "park 1",
          "parkSafely 1",
          "parkSafely 2"
        ])
        // the other one holds the turn up
        assert.deepStrictEqual(yield* prompts, [])
        yield* session.interrupt
        yield* session.submit("and?")
        yield* playOn(session, process)
        assert.include(JSON.stringify(yield* prompts), "not known whether")
        yield* prove(connect, runs)
      }))

    describe("a call that may not run twice, of which nothing waits to be taken, does not run again", () => {
      /** How often each tool ran, and what the model is told of the call. */
      const told = (
        { connectFirst = (connect) => connect, first, second = {}, spoil }: {
          readonly connectFirst?: (connect: Connect) => Connect
          readonly first: ProcessOptions
          readonly second?: ProcessOptions
          readonly spoil: (connect: Connect, process: AgentProcess) => Effect.Effect<void, unknown>
        },
        goOn: (session: AgentSession) => Effect.Effect<unknown, unknown> = () => Effect.void
      ) =>
        Effect.gen(function*() {
          const connect = yield* databases.make
          const runs: Array<Run> = []
          const one = yield* startProcess(connectFirst(connect), runs, first)
          yield* (yield* one.open(sessionId)).submit("go")
          yield* settled
          yield* spoil(connect, one)
          const process = yield* startProcess(connect, runs, { model: calling("write"), ...second })
          const [session] = (yield* process.reopen).sessions
          assert(session !== undefined)
          yield* goOn(session)
          yield* playOn(session, process)
          const { entries } = yield* session.transcript
          const results = entries.flatMap((entry) =>
            entry._tag === "ToolResult" ? [`${entry.outcome}: ${JSON.stringify(entry.output)}`] : []
          )
          yield* process.stop
          return { ran: runs.map(({ tool }) => tool), results: results.join() }
        })

      const damage = (connect: Connect, { kill }: AgentProcess) =>
        Effect.zipRight(kill, withSql(connect, (sql) => sql`update etm_tasks set doc = 'no json'`))

      it.scoped("whose row is damaged", () =>
        Effect.gen(function*() {
          const { ran, results } = yield* told({
            first: { model: calling("park") },
            second: { onDamaged: "setAside" },
            spoil: damage
          })
          assert.deepStrictEqual(ran, ["park"])
          assert.match(results, /^Interrupted: .*it may have run/)
        }))

      it.scoped("whose row is damaged, nor is it said that it did not run, where it is not to run any more", () =>
        Effect.gen(function*() {
          const { ran, results } = yield* told({
            first: { model: calling("park") },
            second: { onDamaged: "setAside" },
            spoil: (connect, process) => Effect.zipRight(process.stop, damage(connect, process))
          }, (session) => session.interrupt)
          assert.deepStrictEqual(ran, ["park"])
          assert.match(results, /^Interrupted: .*it may have run/)
        }))

      it.scoped("whose result somebody else took, and whose task is forgotten", () =>
        Effect.gen(function*() {
          let written = 0
          const taken: Array<boolean> = []
          const { ran, results } = yield* told({
            // the disk is full once the call is stored
            connectFirst: (connect) => (options) =>
              connect({
                ...options,
                before: (text) => {
                  if (text.startsWith("insert into etm_entries") && ++written > 2) throw new Error("disk full")
                }
              }),
            first: { model: calling("write") },
            second: { settings: { historyLimit: 0 } },
            spoil: (_, { kill, manager }) =>
              Effect.gen(function*() {
                for (let step = 0; step < 12; step++) {
                  yield* settled
                  yield* TestClock.adjust("1 second")
                }
                for (const { id } of (yield* manager.handle.history()).tasks) {
                  taken.push(Option.isSome(yield* manager.takeResult(id)))
                }
                yield* settled
                yield* kill
              })
            // the turn has failed
          }, (session) => session.resume)
          assert.deepStrictEqual(taken, [true])
          assert.deepStrictEqual(ran, ["write"])
          assert.match(results, /^Result: .*write is done/)
        }))
    })

    it.scoped("a call that was about to start runs once, whatever its id and that of its session are", () =>
      Effect.gen(function*() {
        const odd = {
          "a long session": { of: "s".repeat(512), callId: "c-write" },
          "a session of long characters": { of: "\u{1f600}".repeat(128), callId: "c-write" },
          "a long call": { of: "s", callId: "c".repeat(2_000) },
          "a NUL": { of: "s", callId: "c\0write" },
          "half of a character": { of: "s", callId: "c\ud800write" }
        }
        for (const [what, { callId, of }] of Object.entries(odd)) {
          const id = SessionId.make(of)
          for (const hasRun of [false, true]) {
            const store = { isGone: false }
            const connect = yield* databases.make
            const runs: Array<Run> = []
            const model: ScriptedReply = ({ prompt }) =>
              prompt.content.some(({ role }) => role === "tool")
                ? [Text("Done.")]
                : [ToolCall("write", {}, { id: callId })]
            const one = yield* startProcess(
              (options) =>
                connect({
                  ...options,
                  holds: (text) => {
                    store.isGone ||= hasRun ? runs.length > 0 : text.includes("insert into etm_tasks")
                    return options?.holds?.(text) === true || store.isGone
                  }
                }),
              runs,
              { model }
            )
            yield* (yield* one.open(id)).submit("go")
            // a digest is made outside of this program
            for (let round = 0; round < 500 && !store.isGone; round++) yield* settled
            yield* one.kill
            assert.lengthOf(runs, hasRun ? 1 : 0, what)
            const process = yield* startProcess(connect, runs, { model })
            const [session] = (yield* process.reopen).sessions
            assert(session !== undefined)
            yield* playOn(session, process)
            const results = (yield* session.transcript).entries.filter(({ _tag }) => _tag === "ToolResult")
            assert.lengthOf(results, 1, what)
            assert.include(JSON.stringify(results), hasRun ? "not known" : "write is done", what)
            assert.lengthOf(runs, 1, what)
            yield* process.kill
          }
        }
      }))

    it.scoped("what was asked is asked, and an answer from before counts", () =>
      Effect.gen(function*() {
        const { connect, left, process, runs, session } = yield* restarted(
          { model: calling("ask") },
          (_, one) =>
            Effect.gen(function*() {
              yield* one.submit("go")
              yield* settled
              return (yield* one.approvals)[0]
            }),
          { model: [Text("Done.")] }
        )
        yield* settled
        assert.strictEqual((yield* Effect.scoped(session.watch)).phase, "AwaitingApproval")
        assert.deepStrictEqual(yield* session.approvals, left === undefined ? [] : [left])
        assert(left !== undefined)
        yield* session.approve(left)
        yield* playOn(session, process)
        assert.deepStrictEqual(runs.map(({ tool }) => tool), ["ask"])
        yield* prove(connect, runs)
      }))

    it.scoped("a late result arrives and wakes the model, whether it came before or after the end of the process", () =>
      Effect.forEach([false, true], (isOver) =>
        Effect.gen(function*() {
          const latch = yield* Effect.makeLatch()
          const { connect, process, prompts, runs, session } = yield* restarted(
            {
              model: calling("later"),
              defaults: { wake: WakePolicy.WithNextMessage },
              later: isOver ? latch.await : Effect.never
            },
            (_, one) =>
              Effect.gen(function*() {
                yield* one.submit("go")
                yield* settled
                yield* one.waitForIdle
                yield* latch.open
              }),
            { model: [Text("Thanks.")] }
          )
          yield* playOn(session, process)
          const asked = JSON.stringify(yield* prompts)
          assert.include(asked, isOver ? "later is done" : "not known whether")
          yield* prove(connect, runs)
        }).pipe(Effect.scoped), { discard: true }))

    it.scoped("a turn that was interrupted, or has failed, begins again with a word of the user and not by itself", () =>
      Effect.forEach(["interrupted", "failed"] as const, (how) =>
        Effect.gen(function*() {
          const { connect, process, prompts, runs, session } = yield* restarted(
            { model: how === "failed" ? [] : calling("park"), defaults: { retry: RetryPolicy.never } },
            (_, one) =>
              Effect.gen(function*() {
                yield* one.submit("go")
                yield* settled
                yield* one.interrupt
              }),
            { model: [Text("Here I am.")] }
          )
          yield* playOn(session, process)
          assert.deepStrictEqual(yield* prompts, [])
          yield* session.submit("go on")
          yield* playOn(session, process)
          assert.lengthOf(yield* prompts, 1)
          yield* prove(connect, runs)
        }).pipe(Effect.scoped), { discard: true }))

    it.scoped("one that was closed does not; opened again, its conversation is continued", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const one = yield* startProcess(connect, runs, { model: [Text("Yes.")] })
        const session = yield* one.open(sessionId)
        yield* session.submit("go")
        yield* playOn(session, one)
        const before = yield* session.transcript
        const { sessions } = one.store
        assert(sessions !== undefined)
        assert.include(String(yield* Effect.flip(sessions.remove(sessionId))), "is open")
        yield* session.close
        yield* one.kill
        const process = yield* startProcess(connect, runs, { model: [Text("Yes.")] })
        assert.deepStrictEqual((yield* process.reopen).sessions, [])
        const kept = process.store.sessions
        assert(kept !== undefined)
        assert.deepStrictEqual(yield* kept.read(sessionId), before)
        const again = yield* process.open(sessionId)
        assert.deepStrictEqual(yield* again.transcript, before)
        yield* again.submit("and?")
        yield* playOn(again, process)
        assert.lengthOf((yield* prove(connect, runs)).transcript.entries, 4)
        yield* again.close
        yield* kept.remove(sessionId)
        assert.deepStrictEqual((yield* kept.read(sessionId)).entries, [])
      }))

    it.scoped("a call that was cut off in its reply is never run, however the process ends", () =>
      Effect.gen(function*() {
        const cutOff: ScriptedReply = ({ prompt }) =>
          JSON.stringify(prompt.content).includes("c-write")
            ? [Text("Done.")]
            : [ToolCall("write", {}, { id: "c-write" }), ScriptedStep.Finish("length")]
        for (let moment = 1;; moment += isFull && databases.dialect === "sqlite" ? 1 : 24) {
          const connect = yield* databases.make
          const runs: Array<Run> = []
          const statements = yield* killed(connect, runs, [moment], (process) =>
            Effect.gen(function*() {
              const { sessions } = yield* process.reopen
              const session = sessions[0] ?? (yield* process.open(sessionId))
              if ((yield* session.transcript).entries.length === 0) yield* session.submit("go")
              yield* playOn(session, process)
            }), { model: cutOff })
          assert.deepStrictEqual(runs, [], `killed before statement ${moment}`)
          if (statements < moment) break
        }
      }))

    it.scoped("a conversation that was given is stored; one that was continued, or given, does not begin by itself", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const given = Transcript.fromEntries(sessionId, [
          { _tag: "UserMessage", messageId: "m", content: [{ _tag: "Text", text: "from elsewhere" }] }
        ])
        for (const process of [1, 2, 3]) {
          const one = yield* startProcess(connect, [], { model: [Text("Nobody asked.")] })
          const { sessions } = yield* one.reopen
          const session = sessions[0] ?? (yield* one.open(sessionId, { transcript: given }))
          yield* playOn(session, one)
          assert.deepStrictEqual(yield* one.model.prompts, [])
          assert.deepStrictEqual(yield* session.transcript, given)
          // the third has a session that was closed
          if (process === 2) yield* session.close
          yield* one.kill
        }
      }))

    it.scoped("a rewritten transcript is one row, and no number of a turn comes again", () =>
      Effect.gen(function*() {
        const { connect, process, session } = yield* restarted(
          { model: calling("write") },
          (one, of) =>
            Effect.gen(function*() {
              yield* of.submit("go")
              yield* playOn(of, one)
              yield* of.rewrite((transcript) => ({ ...transcript, entries: transcript.entries.slice(0, 1) }))
            }),
          { model: calling("write") }
        )
        yield* settled
        // it does not begin by itself: it was idle
        const rows = yield* withSql(connect, (sql) => sql`select number from etm_entries`)
        assert.lengthOf(rows, 1)
        yield* session.submit("again")
        yield* playOn(session, process)
        const turns = (yield* session.transcript).entries.flatMap((entry) =>
          entry._tag === "AssistantMessage" ? [entry.turnId] : []
        )
        assert.strictEqual(turns[0], "turn-2")
      }))

    it.scoped("a database that refuses for a moment costs nothing", () =>
      Effect.gen(function*() {
        let failures = 0
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const process = yield* startProcess((options) =>
          connect({
            ...options,
            before: (text) => {
              if (!text.startsWith("insert into etm_entries") || failures % 3 === 2) return
              failures++
              throw new Error("busy")
            }
          }), runs)
        const session = yield* process.open(sessionId)
        yield* session.submit("go")
        for (let step = 0; step < 60; step++) {
          yield* settled
          yield* TestClock.adjust("100 millis")
        }
        yield* playOn(session, process)
        assert.isAbove(failures, 1)
        yield* prove(connect, runs)
      }))

    it.scoped("a message that is being written while its session is closed is refused, and nothing of it is kept", () =>
      Effect.gen(function*() {
        let isBusy = false
        const connect = yield* databases.make
        const process = yield* startProcess((options) =>
          connect({
            ...options,
            before: (text) => {
              if (isBusy && text.startsWith("insert into etm_messages")) throw new Error("busy")
            }
          }), [])
        const session = yield* process.open(sessionId)
        isBusy = true
        const submitting = yield* Effect.fork(Effect.flip(session.submit("go")))
        yield* settled
        const closing = yield* Effect.fork(session.close)
        yield* settled
        isBusy = false
        for (let step = 0; step < 4; step++) {
          yield* TestClock.adjust("1 second")
          yield* settled
        }
        assert.strictEqual((yield* Fiber.join(submitting))._tag, "SessionClosed")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* withSql(connect, (sql) => sql`select message_id from etm_messages`), [])
        assert.deepStrictEqual((yield* process.reopen).sessions, [])
        yield* process.kill
      }))

    it.scoped("a server that is cut off without a word holds up no close", () =>
      Effect.gen(function*() {
        let isCutOff = false
        const connect = yield* databases.make
        const process = yield* startProcess(
          (options) =>
            connect({
              ...options,
              holds: (text) => options?.holds?.(text) === true || isCutOff && text.includes("etm_")
            }),
          [],
          { model: [Text("Yes.")] }
        )
        const session = yield* process.open(sessionId)
        yield* session.submit("go")
        yield* playOn(session, process)
        isCutOff = true
        const acts = [
          Effect.asVoid(process.manager.handle.history()),
          Effect.asVoid(session.submit("and?")),
          Effect.asVoid(session.close)
        ]
        const ends: Array<string> = []
        for (const act of acts) {
          const acting = yield* Effect.fork(Effect.exit(act))
          for (let step = 0; step < 40 && Option.isNone(yield* Fiber.poll(acting)); step++) {
            yield* settled
            yield* TestClock.adjust("1 second")
          }
          assert.isTrue(Option.isSome(yield* Fiber.poll(acting)), `after ${ends.join()}`)
          ends.push((yield* Fiber.join(acting))._tag)
        }
        assert.deepStrictEqual(ends, ["Failure", "Success", "Success"])
        yield* process.kill
      }))

    it.scoped("one that cannot write fails its turn; what it has taken from the manager comes again", () =>
      Effect.gen(function*() {
        let isDiskFull = false
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const process = yield* startProcess(
          (options) =>
            connect({
              ...options,
              before: (text) => {
                if (isDiskFull && text.startsWith("insert into etm_entries")) throw new Error("secret disk")
              }
            }),
          runs,
          { model: calling("write") }
        )
        const session = yield* process.open(sessionId)
        const { events } = yield* session.watch
        yield* session.submit("go")
        yield* settled
        isDiskFull = true
        yield* session.submit("and?")
        for (let step = 0; step < 12; step++) {
          yield* settled
          yield* TestClock.adjust("1 second")
        }
        const ends = [...yield* Queue.takeAll(events)].filter(({ _tag }) => _tag === "TurnEnded")
        assert.include(JSON.stringify(ends), "Store")
        assert.notInclude(JSON.stringify(ends), "secret")
        isDiskFull = false
        yield* session.submit("now?")
        yield* playOn(session, process)
        yield* prove(connect, runs)
      }))

    it.scoped("a process that was taken over writes nothing into the conversation", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const runs: Array<Run> = []
        const zombie = yield* startProcess(connect, runs, { model: [Text("A"), Hold, Text("B")] })
        const old = yield* zombie.open(sessionId)
        yield* old.submit("go")
        yield* zombie.model.waitForRequest(1)
        const process = yield* startProcess(connect, runs, { model: [Text("Mine.")] })
        const { sessions: [session] } = yield* process.reopen
        assert(session !== undefined)
        yield* playOn(session, process)
        yield* zombie.model.release(1)
        yield* settled
        const { entries } = (yield* prove(connect, runs)).transcript
        assert.lengthOf(entries, 2)
        assert.include(JSON.stringify(entries), "Mine.")
      }))

    it.scoped("a process that was taken over lets go of whoever waits, and begins no turn again by itself", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const zombie = yield* startProcess(connect, [], { model: [ToolCall("park", {}, { id: "c-park" })] })
        const session = yield* zombie.open(sessionId)
        yield* session.submit("go")
        yield* settled
        const events = yield* session.subscribe
        const running = yield* Effect.fork(Stream.runCollect(session.run("second")))
        yield* settled
        yield* startProcess(connect, [], { model: [Text("Mine.")] })
        // now it learns of it
        assert.isTrue(Exit.isFailure(yield* Effect.exit(zombie.manager.closeSession(SessionId.make("other")))))
        yield* session.waitForIdle
        assert.strictEqual(Chunk.toReadonlyArray(yield* Fiber.join(running)).at(-1)?._tag, "TurnEnded")
        assert.deepStrictEqual(yield* session.interrupt, { cancelled: [], kept: [] })
        yield* session.close
        const told = [...yield* Queue.takeAll(events)]
        assert.deepStrictEqual(
          told.flatMap((event) => event._tag === "TurnEnded" ? [event.turnId, event.reason._tag] : []),
          ["turn-1", "Failed", "turn-2", "Failed"]
        )
      }))
  })

  describe("several sessions", () => {
    /** The sessions of which something is stored. */
    const storedIn = (connect: Connect) =>
      withSql(connect, (sql) =>
        Effect.map(
          sql<{ id: string }>`select session_id as id from etm_sessions
            union select session_id from etm_entries order by 1`,
          (rows) => rows.map(({ id }) => id)
        ))

    it.scoped("go when they were closed long ago, where a retention says so, and open ones never", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const options: ProcessOptions = { model: [Text("Yes.")] }
        const one = yield* startProcess(connect, [], options)
        const talk = (process: AgentProcess, name: string) =>
          Effect.gen(function*() {
            const session = yield* process.open(SessionId.make(name))
            yield* session.submit("Hello")
            yield* playOn(session, process)
            return session
          })
        for (const name of ["again", "old", "young"]) yield* Effect.flatMap(talk(one, name), ({ close }) => close)
        yield* talk(one, "open")
        const hour = 3_600_000
        yield* withSql(connect, (sql) =>
          Effect.gen(function*() {
            // more than one transaction removes
            for (let number = 0; number < 45; number++) {
              yield* sql`insert into etm_sessions (manager, session_id, is_resting, closed_at)
                select manager, ${`many-${number}`}, 0, closed_at from etm_sessions where session_id = 'old'`
            }
            yield* sql`update etm_sessions set closed_at = closed_at - ${hour} where session_id <> 'young'`
          }))
        // for ever, unless a retention is given
        yield* TestClock.adjust("3 minutes")
        yield* settled
        assert.lengthOf(yield* storedIn(connect), 49)
        yield* one.stop
        const two = yield* startProcess(connect, [], { ...options, store: { retention: hour - 0.5 } })
        yield* two.reopen
        yield* talk(two, "again")
        for (let minute = 0; minute < 10 && (yield* storedIn(connect)).length > 3; minute++) {
          yield* TestClock.adjust("1 minute")
          yield* settled
        }
        assert.deepStrictEqual(yield* storedIn(connect), ["again", "open", "young"])
        yield* two.stop
      }))

    it.scoped("take a retention that is a duration, and a codec that is one", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        // without types
        const noCodec = {} as never
        const uncoded = yield* Effect.exit(startProcess(connect, [], { store: { codec: noCodec } }))
        assert.include(
          Exit.isFailure(uncoded) ? Cause.pretty(uncoded.cause) : "",
          "TranscriptStoreSqlOptions.codec takes an object with the functions encode and decode, not an object"
        )
        const started = yield* Effect.exit(startProcess(connect, [], { store: { retention: -1 } }))
        assert.include(
          Exit.isFailure(started) ? Cause.pretty(started.cause) : "",
          "TranscriptStoreSqlOptions.retention takes a duration from 0, not -1"
        )
      }))

    it.scoped("go on, each with its own; one that is damaged is named, and holds up no other", () =>
      Effect.gen(function*() {
        const damages = {
          "update etm_entries set entry = 'secret{' where session_id = 'b' and number = 1": "Damaged",
          "update etm_entries set entry = '{\"_tag\":\"secret\"}' where session_id = 'b' and number = 1": "Damaged",
          "update etm_entries set entry = replace(entry, '\"messageId\"', '\"secret\"') where session_id = 'b'":
            "Damaged",
          "update etm_entries set version = 7 where session_id = 'b'": "Version",
          "update etm_messages set message = 'secret{' where session_id = 'b'": "Damaged"
        }
        for (const [damage, reason] of oneIn(2, Object.entries(damages))) {
          const connect = yield* databases.make
          const runs: Array<Run> = []
          const one = yield* startProcess(connect, runs, { model: [Text("Wait"), Hold] })
          for (const name of ["a", "b"]) {
            const session = yield* one.open(SessionId.make(name))
            yield* session.submit(`go ${name}`)
          }
          yield* one.model.waitForRequest(2)
          for (const name of ["a", "b"]) {
            yield* Effect.ignore(
              one.store.sessions?.keepMessage(SessionId.make(name), { messageId: "m", content: [] }) ?? Effect.void
            )
          }
          yield* one.kill
          yield* withSql(connect, (sql) => sql.unsafe(damage))
          const process = yield* startProcess(connect, runs, { model: [Text("Yes.")] })
          const { failed, sessions } = yield* process.reopen
          assert.deepStrictEqual(sessions.map((session) => session.sessionId), ["a"], damage)
          const [error] = failed.map(({ error }) => error)
          assert.strictEqual(error?.reason, reason, damage)
          assert.include(error?.message, "\"b\"")
          assert.notInclude(`${error?.message} ${JSON.stringify(error)}`, "secret", damage)
          // the host was told, and may look for itself
          assert.include(String(yield* Effect.flip(Effect.asVoid(process.open(SessionId.make("b"))))), "\"b\"")
          for (const session of sessions) yield* playOn(session, process)
          yield* withSql(connect, (sql) => sql`delete from etm_messages`)
          yield* prove(connect, runs, SessionId.make("a"))
        }
      }))

    it.scoped("a session whose id is none any more, and one on which the codec dies, hold up no other", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const options: ProcessOptions = { model: [Text("Yes.")] }
        const first = yield* startProcess(connect, [], options)
        for (const name of ["a", "b", "c"]) {
          const session = yield* first.open(SessionId.make(name))
          yield* session.submit(`hello ${name}`)
          yield* playOn(session, first)
        }
        yield* first.kill
        yield* withSql(connect, (sql) => sql`update etm_sessions set session_id = '' where session_id = 'b'`)
        const codec = {
          encode: Effect.succeed,
          decode: (text: string) => text.includes("hello c") ? Effect.die(new Error("secret")) : Effect.succeed(text)
        }
        const second = yield* startProcess(connect, [], { ...options, store: { codec } })
        const { failed, sessions } = yield* second.reopen
        assert.deepStrictEqual(sessions.map((session) => session.sessionId as string), ["a"])
        assert.deepStrictEqual(failed.map(({ error, sessionId }) => [sessionId as string, error.reason]), [[
          "c",
          "Damaged"
        ]])
        assert.notInclude(JSON.stringify(failed), "secret")
      }))

    it.scoped("nothing is written where a codec gives what databases do not store, or dies", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        for (const bad of [Effect.succeed("\ud800"), Effect.succeed("\u0000"), Effect.die(new Error("no key"))]) {
          const codec = { encode: () => bad, decode: Effect.succeed }
          const process = yield* startProcess(connect, [], { model: [Text("Yes.")], store: { codec } })
          const session = yield* process.open(sessionId)
          const told = yield* Effect.fork(Stream.runCollect(session.run("Hello")))
          yield* settled
          const last = Chunk.toReadonlyArray(yield* Fiber.join(told)).at(-1)
          assert.include(JSON.stringify(last), "Store")
          yield* process.stop
        }
        assert.lengthOf(
          yield* withSql(
            connect,
            (sql) => sql`select entry from etm_entries union all select message from etm_messages`
          ),
          0
        )
      }))

    it.scoped("ids that no database stores are refused by name, and any other is kept", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const process = yield* startProcess(connect, [], { model: [Text("Yes.")] })
        for (const text of ["a\u0000b", "\ud800", "x".repeat(513)]) {
          const exit = yield* Effect.exit(process.open(SessionId.make(text)))
          assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "opened", "sessionId that can be stored")
        }
        const odd = ["'; drop table etm_entries; --", "𝒳 \n\u202e", "x".repeat(512)]
        for (const text of odd) {
          const session = yield* process.open(SessionId.make(text))
          yield* session.submit("\u0000 \ud800 secret")
          yield* playOn(session, process)
        }
        yield* process.kill
        const next = yield* startProcess(connect, [])
        const { sessions } = yield* next.reopen
        assert.deepStrictEqual(sessions.map((session) => session.sessionId as string), odd)
        for (const session of sessions) {
          assert.include(JSON.stringify((yield* session.transcript).entries[0]), "\\u0000 ")
        }
      }))

    it.scoped("encrypted entries show nothing; with another key they cannot be read", () =>
      Effect.gen(function*() {
        const codec = codecOf(randomBytes(32))
        const connect = yield* databases.make
        const first = yield* startProcess(connect, [], { model: [Text("Wait"), Hold], store: { codec } })
        const session = yield* first.open(sessionId)
        yield* session.submit("the secret of the user")
        yield* first.model.waitForRequest(1)
        yield* session.submit("the second secret")
        yield* first.kill
        const shown = yield* withSql(connect, (sql) =>
          Effect.all([
            sql`select * from etm_entries`,
            sql`select * from etm_messages`,
            sql`select * from etm_sessions`
          ]))
        assert.strictEqual(shown.flat().length, 3)
        assert.notInclude(JSON.stringify(shown), "secret")
        const other = yield* startProcess(connect, [], { store: { codec: codecOf(randomBytes(32)) } })
        const { failed } = yield* other.reopen
        assert.deepStrictEqual(failed.map(({ error }) => error.reason), ["Damaged"])
        yield* other.kill
        const second = yield* startProcess(connect, [], { model: [Text("I see.")], store: { codec } })
        const { sessions: [again] } = yield* second.reopen
        assert(again !== undefined)
        yield* playOn(again, second)
        assert.include(JSON.stringify(yield* second.model.prompts), "the second secret")
      }))
  })

  describe("whole results", () => {
    const id = TaskId.make
    const stores = (connect: () => ReturnType<Connect>, options: ResultStoreSqlOptions) =>
      Effect.map(
        ResultStoreSql.layer(options).pipe(
          Layer.provide(TaskManagerDurable.layer({ onOwned: "take" })),
          Layer.provide(Layer.succeed(ToolExecutor, { specs: Effect.succeed([]), execute: () => Effect.never })),
          Layer.provide(connect().layer),
          Layer.build
        ),
        (context) => Context.get(context, ResultStore)
      )

    it.scoped("outlive the process, in ranges, encrypted, and within their cap", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const codec = codecOf(randomBytes(32))
        yield* Effect.scoped(Effect.gen(function*() {
          const store = yield* stores(connect, { maxBytes: 20, codec })
          yield* store.save(id("a"), "secret one")
          yield* store.save(id("b"), "twelve bytes")
          // the oldest is forgotten
          assert.isTrue(Option.isNone(yield* store.read(id("a"), {})))
          yield* store.save(id("c"), "x")
          yield* store.save(id("b"), "secret 😀")
        }))
        const rows = yield* withSql(connect, (sql) => sql`select * from etm_results`)
        assert.notInclude(JSON.stringify(rows), "secret")
        const store = yield* stores(connect, { maxBytes: 20, codec })
        assert.deepStrictEqual(
          yield* store.read(id("b"), { start: 7, maxBytes: 4 }),
          Option.some({ text: "😀", start: 7, end: 11, total: 11 })
        )
        assert.isTrue(Option.isNone(yield* store.read(id("a"), {})))
        yield* store.remove(id("c"))
        yield* store.save(id("d"), `${"-".repeat(30)}${"newest".repeat(3)}`)
        const kept = Option.getOrThrow(yield* store.read(id("d"), {}))
        assert.deepStrictEqual([kept.start, kept.end, kept.total], [28, 48, 48])
        assert.isTrue(Option.isNone(yield* store.read(id("b"), {})))
        assert.lengthOf(yield* withSql(connect, (sql) => sql`select * from etm_results`), 1)
      }))

    it.scoped("have NULs, and whatever looks like what stands for them, in the bytes that they have", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const texts = ["a\u0000b", "\"a\u0000😀\"", JSON.stringify("a\u0000b"), "\"", "\"\"", "\"b\" and \\u0000"]
        for (const codec of [undefined, codecOf(randomBytes(32))]) {
          yield* Effect.scoped(Effect.flatMap(
            stores(connect, { maxBytes: 1_000, codec }),
            (store) => Effect.forEach(texts, (text, index) => store.save(id(`${index}`), text), { discard: true })
          ))
          const store = yield* stores(connect, { maxBytes: 1_000, codec })
          for (const [index, text] of texts.entries()) {
            const total = Buffer.byteLength(text)
            assert.deepStrictEqual(
              yield* store.read(id(`${index}`), {}),
              Option.some({ text, start: 0, end: total, total })
            )
          }
          assert.deepStrictEqual(
            yield* store.read(id("0"), { start: 1, maxBytes: 1 }),
            Option.some({ text: "\u0000", start: 1, end: 2, total: 3 })
          )
        }
        // earlier versions wrote every text as it is
        yield* withSql(
          connect,
          (sql) =>
            Effect.forEach(
              texts.slice(2),
              (text, index) => sql`update etm_results set result = ${text} where task_id = ${`${index + 2}`}`
            )
        )
        const store = yield* stores(connect, { maxBytes: 1_000 })
        for (const [index, text] of texts.entries()) {
          if (index > 1) assert.strictEqual(Option.getOrThrow(yield* store.read(id(`${index}`), {})).text, text)
        }
        // the newest bytes of a text that is too long begin behind those that are not kept
        const short = yield* stores(connect, { maxBytes: 4 })
        yield* short.save(id("cut"), "123\u0000\u0000ab")
        assert.deepStrictEqual(
          yield* short.read(id("cut"), {}),
          Option.some({ text: "\u0000\u0000ab", start: 3, end: 7, total: 7 })
        )
      }))

    it.scoped("are not saved under an id that cannot be stored, which is named at once", () =>
      Effect.gen(function*() {
        const store = yield* stores(yield* databases.make, { maxBytes: 100 })
        for (const bad of ["a\u0000", "a\ud800", "a".repeat(513)]) {
          const exit = yield* Effect.exit(store.save(id(bad), "text"))
          assert(Exit.isFailure(exit))
          assert.include(Cause.pretty(exit.cause), "taskId")
          assert.isTrue(Option.isNone(yield* store.read(id(bad), {})))
          yield* store.remove(id(bad))
        }
      }))

    it.scoped("that could not be removed are not read any more, and are removed once it is asked again", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        let isAway = false
        const failing = () =>
          connect({
            before: (text) => {
              if (isAway && text.startsWith("delete")) throw new Error("disk I/O error")
            }
          })
        const store = yield* stores(failing, { maxBytes: 100 })
        yield* store.save(id("a"), "text")
        isAway = true
        const removing = yield* Effect.fork(Effect.flip(store.remove(id("a"))))
        for (let second = 0; second < 8; second++) {
          yield* settled
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual((yield* Fiber.join(removing)).operation, "remove")
        assert.isTrue(Option.isNone(yield* store.read(id("a"), {})))
        isAway = false
        yield* store.remove(id("a"))
        assert.lengthOf(yield* withSql(connect, (sql) => sql`select * from etm_results`), 0)
      }))

    it.scoped("that could not be saved in a transaction of the caller leave it whole", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        let isAway = false
        const { layer } = connect({
          before: (text) => {
            if (isAway && text.startsWith("delete")) throw new Error("disk I/O error")
          }
        })
        const client = yield* Layer.build(layer)
        const sql = Context.get(client, SqlClient.SqlClient)
        const store = yield* stores(() => ({ layer: Layer.succeedContext(client), kill: Effect.void }), {
          maxBytes: 100
        })
        yield* sql`create table mine (number integer)`
        const saving = yield* Effect.gen(function*() {
          yield* sql`insert into mine values (1)`
          isAway = true
          yield* Effect.flip(store.save(id("a"), "text"))
          isAway = false
          yield* sql`insert into mine values (2)`
          return yield* Effect.dieMessage("not this time")
        }).pipe(sql.withTransaction, Effect.exit, Effect.fork)
        for (let second = 0; second < 8; second++) {
          yield* settled
          yield* TestClock.adjust("1 second")
        }
        assert.include(String(yield* Fiber.join(saving)), "not this time")
        assert.deepStrictEqual(yield* sql`select * from mine`, [])
      }))

    it.scoped("are not written where a codec gives what databases do not store", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        for (const bad of ["\u0000", "\ud800"]) {
          const codec = { encode: (text: string) => Effect.succeed(text + bad), decode: Effect.succeed }
          const store = yield* stores(connect, { maxBytes: 100, codec })
          assert.strictEqual((yield* Effect.flip(store.save(id("a"), "text"))).operation, "save")
        }
        assert.lengthOf(yield* withSql(connect, (sql) => sql`select * from etm_results`), 0)
      }))

    it.scoped("that cannot be read are errors that show nothing", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        yield* Effect.scoped(
          Effect.flatMap(stores(connect, { maxBytes: 100 }), (store) => store.save(id("a"), "secret"))
        )
        const other = codecOf(randomBytes(32))
        const store = yield* stores(connect, { maxBytes: 100, codec: other })
        const error = yield* Effect.flip(store.read(id("a"), {}))
        assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "secret")
        yield* withSql(connect, (sql) => sql`update etm_results set size = -1, task_id = ''`)
        assert(
          yield* Effect.map(
            Effect.flip(stores(connect, { maxBytes: 100 })),
            (error) => error instanceof ResultStoreError
          )
        )
      }))
  })

  describe("tools that need their manager", () => {
    it.scoped("run again as soon as both are there", () =>
      Effect.gen(function*() {
        const connect = yield* databases.make
        const runs: Array<string> = []
        const toolkit = Toolkit.make(Tool.make("count", { success: Schema.String }).annotate(Tool.Readonly, true))
        const start = (then: Effect.Effect<string>) =>
          ToolsOfManager.layer({
            toolkit,
            manager: TaskManagerDurable.layer({ onOwned: "take" }),
            tools: ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer(
              Effect.map(TaskManager, ({ handle }) => ({
                count: () =>
                  Effect.flatMap(handle.list(), (tasks) => {
                    runs.push(`${tasks.length}`)
                    return then
                  })
              }))
            )))
          }).pipe(Layer.provide(connect().layer))
        const request = {
          sessionId,
          turnId: TurnId.make("t"),
          callId: ToolCallId.make("c"),
          toolName: "count",
          input: {}
        }
        const first = yield* Layer.build(start(Effect.never))
        yield* Context.get(first, TaskManager).startTask(
          TaskLaunchRequest.plain({ request: { ...request, metadata: {} } })
        ).pipe(Effect.provide(first))
        yield* settled
        const second = yield* Layer.build(start(Effect.succeed("counted")))
        const update = yield* Context.get(second, TaskManager).waitForTurn(request)
        assert.include(JSON.stringify(update), "counted")
        assert.deepStrictEqual(runs, ["1", "1"])
      }))
  })
}
