/**
 * The agent as a process of its own, to be killed at any moment. It says line by line what it was told and what its tools do, and
 * goes on with whatever the process before it has left.
 */
import { NodeContext } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import { CurrentTask, SessionId, TaskManager, ToolExecutor } from "effect-task-manager"
import { type AgentEvent, AgentLoop, type AgentSession, ToolkitExecutor } from "effect-task-manager/ai"
import { ToolsOfManager, TranscriptStoreSql } from "effect-task-manager/ai/durable"
import { TestLanguageModel } from "effect-task-manager/ai/testing"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { appendFileSync } from "node:fs"
import { sqliteLayer } from "../../test/support/sqlite.js"
import { handlers, Routing, system, toolkit } from "../agent/tools.js"
import { fit, plain } from "../text.js"
import { lostCode, Orders, ordersVariable } from "./orders.js"
import { script } from "./script.js"

const orders = Schema.decodeUnknownSync(Schema.parseJson(Orders))(process.env[ordersVariable])
// what it starts need not know
delete process.env[ordersVariable]
const sessionId = SessionId.make("demo")
const request = "Run the tests of this repository, mend the fault, and delete what the README names."

const say = (line: string): void => appendFileSync(orders.log, `${plain(line)}\n`)

const Sql = orders.database._tag === "Sqlite"
  ? sqliteLayer({ filename: orders.database.filename })
  : PgClient.layer({ url: Redacted.make(orders.database.url) })

/** Every run of a tool is told before it begins. */
const Told = Layer.effect(
  ToolExecutor,
  Effect.map(ToolExecutor, (tools) => ({
    ...tools,
    execute: (of) =>
      Effect.flatMap(CurrentTask, ({ approval, launch }) => {
        say(`ran ${of.callId} ${launch} ${Option.isSome(approval) ? "approved" : "-"}`)
        return tools.execute(of)
      })
  }))
)

const Agent = AgentLoop.layer(toolkit, { system }).pipe(
  Layer.provideMerge(TranscriptStoreSql.layer()),
  Layer.provideMerge(ToolsOfManager.layer({
    toolkit,
    manager: TaskManagerDurable.layer({ shutdown: "keep" }).pipe(Layer.provide(Routing)),
    tools: Told.pipe(
      Layer.provide(ToolkitExecutor.layer(toolkit)),
      Layer.provide(handlers({ ...orders.workshop, permissions: [] }))
    )
  })),
  Layer.provide(TestLanguageModel.layer([], { otherwise: script })),
  Layer.provide(Sql),
  Layer.provide(NodeContext.layer)
)

const tell = (event: AgentEvent): void => {
  switch (event._tag) {
    case "ToolCall":
      return say(`model calls ${event.callId} ${event.toolName} ${fit(JSON.stringify(event.params), 100)}`)
    case "Task": {
      const { event: of } = event
      if (of._tag === "Progress" || !("snapshot" in of)) return
      return say(`task ${of.snapshot.callId} ${of._tag}`)
    }
    case "LateResult":
      return say(`late ${event.callId}`)
    case "TurnStarted":
      return say(`turn ${event.turnId} begins: ${event.cause._tag}`)
    case "TurnEnded":
      return say(`turn ${event.turnId} ends: ${event.reason._tag}`)
    default:
      return
  }
}

/** Whether nothing is about to happen, after a moment. */
const isIdle = (session: AgentSession): Effect.Effect<boolean> =>
  Effect.map(Effect.timeoutOption(session.waitForIdle, "50 millis"), Option.isSome)

/** Approves what is asked, until nothing runs and nothing waits. */
const work = (session: AgentSession) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const { events } = yield* session.watch
    yield* Effect.forkScoped(Stream.runForEach(Stream.fromQueue(events), (event) => Effect.sync(() => tell(event))))
    while (true) {
      for (const asked of yield* session.approvals) {
        say(`approved ${asked.toolRequest.callId} ${asked.approval.summary}`)
        yield* Effect.ignore(session.approve(asked))
      }
      const live = yield* manager.handle.list({ sessionId, status: ["Queued", "Running", "Suspended", "Cancelling"] })
      const isWaiting = yield* Effect.isSuccess(manager.waitForLoopUpdate(sessionId, { timeout: 0 }))
      if ((yield* isIdle(session)) && live.length === 0 && !isWaiting) return
      yield* Effect.sleep("50 millis")
    }
  }).pipe(Effect.scoped)

const program = Effect.gen(function*() {
  const journal = yield* TaskJournal
  yield* Effect.forkDaemon(Effect.map(journal.lost, ({ reason }) => {
    say(`lost ${reason}`)
    process.exit(lostCode)
  }))
  const loop = yield* AgentLoop
  const { failed, sessions } = yield* loop.reopen()
  for (const { error } of failed) say(`failed ${error.message}`)
  const session = sessions[0] ?? (yield* loop.open({ sessionId }))
  const { entries } = yield* session.transcript
  say(`ready, epoch ${journal.epoch}, ${entries.length} entries`)
  // a message that no turn has stored yet goes on as well: then a turn is running
  if (entries.length === 0 && (yield* isIdle(session))) yield* session.submit(request)
  yield* work(session)
  say("done")
}).pipe(Effect.scoped, Effect.provide(Agent))

Effect.runPromise(program).then(
  () => process.exit(0),
  (error: unknown) => {
    say(`failed ${String(error).slice(0, 500)}`)
    process.exit(1)
  }
)
