/**
 * A random agent program on a durable manager, to be killed at any moment. It says in a file what it was told and what its tools
 * did, line by line, before it goes on. `run` makes calls until it is killed; `drain` takes what is left and ends.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Layer, Option, Stream } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  type TaskResolution,
  ToolCallId,
  ToolExecutor,
  TurnId,
  type TurnTaskUpdate
} from "effect-task-manager"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { appendFileSync } from "node:fs"
import { sqliteLayer } from "../../support/sqlite.js"

const [database = "", logFile = "", run = "", mode = ""] = process.argv.slice(2)
let seed = Number(run) * 7_919 + 13
const random = (below: number): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
  return Math.floor(seed / 2_147_483_648 * below)
}
const log = (line: string): void => appendFileSync(logFile, `${run} ${line}\n`)

const begun = Effect.tap(
  CurrentTask,
  (task) =>
    Effect.sync(() =>
      log(
        `begin ${task.taskId} ${task.launch} ${task.request.toolName} ${
          Option.isSome(task.approval) ? "approved" : "-"
        }`
      )
    )
)

const body = (millis: () => number) => () =>
  Effect.gen(function*() {
    const task = yield* begun
    const rest = millis()
    if (rest > 0) yield* Effect.sleep(rest)
    return `done ${task.taskId}`
  })

const Tools = ToolExecutor.fromHandlers({
  quick: body(() => 0),
  slow: body(() => random(40)),
  repeat: body(() => random(40)),
  ask: () =>
    Effect.gen(function*() {
      const task = yield* begun
      if (Option.isSome(task.approval)) return `approved ${task.taskId}`
      return yield* new ApprovalRequired({
        approval: {
          id: ApprovalId.make(`ok-${task.taskId}`),
          requestKind: "k",
          reason: "r",
          summary: "s",
          metadata: {}
        }
      })
    })
})

const routes: Record<string, () => RoutingDecision> = {
  background: () => RoutingDecision.Background({}),
  manual: () => RoutingDecision.Background({ deliveryMode: "Manual" }),
  detach: () => RoutingDecision.ForegroundThenDetachAfter({ duration: "5 millis" })
}

const Manager = TaskManagerDurable.layer({
  name: "kill",
  onInterrupted: ({ toolName }) => toolName === "repeat" || toolName === "quick" ? "Repeat" : "Fail"
}).pipe(
  Layer.provide(TaskManagerConfig.layer({ historyLimit: 1_000_000, concurrency: 12 })),
  Layer.provide(
    RoutingPolicy.layer(({ metadata }) => (routes[String(metadata["how"])] ?? (() => RoutingDecision.Foreground({})))())
  )
)

const said = (update: TurnTaskUpdate | TaskResolution): { readonly what: string; readonly id: string } => {
  switch (update._tag) {
    case "Resolution":
      return said(update.resolution)
    case "Detached":
      return { what: "detached", id: update.snapshot.id }
    case "Approval":
      return { what: "approval", id: update.approval.taskId }
    case "Item": {
      const { output } = update.item.parts[0]
      const isUnknown = output._tag === "Text" && output.text.includes("not known whether")
      return { what: isUnknown ? "unknown" : "result", id: update.taskId }
    }
  }
}

const tell = (how: string, update: TurnTaskUpdate | TaskResolution): void => {
  const { id, what } = said(update)
  log(`${how} ${what} ${id}`)
}

const sessions = Array.from({ length: 6 }, (_, index) => SessionId.make(`s${index}`))

const program = Effect.gen(function*() {
  const manager = yield* TaskManager
  const journal = yield* TaskJournal
  const sql = yield* SqlClient.SqlClient
  const { handle } = manager
  yield* sql`create table if not exists got (id text not null, what text not null, run text not null)`
  yield* Effect.forkDaemon(
    Stream.runForEach(
      handle.events,
      (event) => Effect.sync(() => log(`event ${event.seq} ${event._tag} ${event.taskId ?? ""}`))
    )
  )
  yield* Effect.forkDaemon(Effect.tap(journal.lost, (error) => Effect.sync(() => log(`LOST ${error.reason}`))))

  /** What is taken, and the word that it was, in one transaction. */
  const save = (
    updates: Parameters<typeof journal.acknowledge>[0],
    all: ReadonlyArray<TurnTaskUpdate | TaskResolution>
  ) =>
    sql.withTransaction(Effect.zipRight(
      Effect.forEach(all, (update) => {
        const { id, what } = said(update)
        return sql`insert into got (id, what, run) values (${id}, ${what}, ${run})`
      }, { discard: true }),
      journal.acknowledge(updates)
    ))
  const drainTurn = (sessionId: SessionId, turnId: TurnId): Effect.Effect<void> =>
    Effect.flatMap(
      Effect.orDie(manager.consumeTurnUpdate({ sessionId, turnId }, (update) => save(update, [update]))),
      (taken) => Option.isNone(taken) ? Effect.void : drainTurn(sessionId, turnId)
    )
  const drainSession = (sessionId: SessionId, index: number) =>
    Effect.gen(function*() {
      if (index % 2 === 0) {
        yield* manager.consumePendingLoopUpdates(
          sessionId,
          (updates) => updates.resolutions.length === 0 ? Effect.void : save(updates, updates.resolutions)
        )
      } else {
        const { resolutions } = yield* manager.takePendingLoopUpdates(sessionId)
        for (const resolution of resolutions) tell("took", resolution)
      }
      for (const item of yield* handle.drainReadyItemsOf(sessionId)) tell("took", item)
    })
  const answerAll = (some: boolean) =>
    Effect.gen(function*() {
      for (const asked of yield* handle.listSuspended) {
        if (some && random(3) === 0) continue
        const rejects = random(4) === 0
        log(`${rejects ? "rejecting" : "approving"} ${asked.taskId}`)
        yield* Effect.ignore(manager.answerApproval(asked, rejects ? { reject: "no" } : "approve"))
      }
    })

  const rows = yield* sql<{ readonly session_id: string; readonly turn_id: string }>`
    select distinct session_id, turn_id from etm_tasks
    where settled is null or result is not null or detached is not null or approval is not null`
  log(`ready ${rows.length}`)
  const recover = Effect.forEach(
    rows,
    (row) => drainTurn(SessionId.make(row.session_id), TurnId.make(row.turn_id)),
    { concurrency: "unbounded", discard: true }
  )
  if (mode === "drain") {
    yield* Effect.fork(recover)
    const live = Effect.map(
      handle.list({ status: ["Queued", "Running", "Cancelling", "Suspended"] }),
      ({ length }) => length
    )
    while ((yield* live) > 0) {
      yield* answerAll(false)
      yield* Effect.forEach(sessions, drainSession)
      yield* Effect.sleep(10)
    }
    yield* recover
    yield* Effect.forEach(sessions, drainSession)
    log("drained")
    return
  }
  yield* Effect.forkDaemon(recover)
  yield* Effect.forkDaemon(Effect.forever(Effect.zipRight(answerAll(true), Effect.sleep(7))))
  yield* Effect.forkDaemon(Effect.forever(Effect.zipRight(Effect.forEach(sessions, drainSession), Effect.sleep(3))))
  const agent = (sessionId: SessionId) =>
    Effect.gen(function*() {
      for (let round = 0;; round++) {
        const turnId = TurnId.make(`t${run}-${round}`)
        for (let call = random(4); call >= 0; call--) {
          const toolName = ["quick", "slow", "repeat", "ask"][random(4)] ?? ""
          const how = ["", "", "background", "manual", "detach"][random(5)] ?? ""
          const taskId = TaskId.make(`${sessionId}-${run}-${round}-${call}`)
          yield* manager.startTask(TaskLaunchRequest.plain({
            taskId,
            request: { sessionId, turnId, callId: ToolCallId.make(`c${call}`), toolName, input: {}, metadata: { how } }
          }))
          log(`accepted ${taskId} ${toolName}`)
        }
        if (random(6) === 0) yield* manager.onTurnInterrupted({ sessionId, turnId })
        if (random(2) === 0) yield* drainTurn(sessionId, turnId)
        else {
          for (;;) {
            const update = yield* manager.waitForTurn({ sessionId, turnId })
            if (Option.isNone(update)) break
            tell("took", update.value)
          }
        }
      }
    })
  yield* Effect.forEach(sessions, agent, { concurrency: "unbounded", discard: true })
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.provideMerge(
    Layer.provideMerge(Manager, Tools),
    // FULL would outlive a loss of power, which no test can make
    sqliteLayer({ filename: database, synchronous: "NORMAL" })
  ))
)

Effect.runPromise(program).then(
  () => process.exit(0),
  (error: unknown) => {
    log(`ERROR ${String(error).slice(0, 300).replaceAll("\n", " ")}`)
    process.exit(1)
  }
)
