/**
 * A random agent program on a durable manager, to be killed or stopped at any moment. It says, line by line, what it was told and what
 * its tools did, before it goes on.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Fiber, Layer, Option, Stream } from "effect"
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

export interface KillProgram {
  /** The number of the process. */
  readonly run: number
  /** `run` makes calls without end; `drain` takes what is left and ends. */
  readonly mode: "run" | "drain"
  readonly sql: Layer.Layer<SqlClient.SqlClient, unknown>
  readonly onOwned: "wait" | "take"
  readonly tell: (line: string) => void
}
interface Tools {
  readonly log: (line: string) => void
  readonly random: (below: number) => number
}

const begun = ({ log }: Tools) =>
  Effect.tap(
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

const body = (tools: Tools, millis: () => number) => () =>
  Effect.gen(function*() {
    const task = yield* begun(tools)
    const rest = millis()
    if (rest > 0) yield* Effect.sleep(rest)
    return `done ${task.taskId}`
  })

const toolsLayer = (tools: Tools) =>
  ToolExecutor.fromHandlers({
    quick: body(tools, () => 0),
    slow: body(tools, () => tools.random(40)),
    repeat: body(tools, () => tools.random(40)),
    ask: () =>
      Effect.gen(function*() {
        const task = yield* begun(tools)
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

const managerLayer = (onOwned: "wait" | "take") =>
  TaskManagerDurable.layer({
    name: "kill",
    onOwned,
    onInterrupted: ({ toolName }) => toolName === "repeat" || toolName === "quick" ? "Repeat" : "Fail"
  }).pipe(
    Layer.provide(TaskManagerConfig.layer({ historyLimit: 1_000_000, concurrency: 12 })),
    Layer.provide(
      RoutingPolicy.layer(({ metadata }) =>
        (routes[String(metadata["how"])] ?? (() => RoutingDecision.Foreground({})))()
      )
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

const sessions = Array.from({ length: 6 }, (_, index) => SessionId.make(`s${index}`))

const program = ({ mode, run }: KillProgram, { log, random }: Tools) =>
  Effect.gen(function*() {
    const tell = (how: string, update: TurnTaskUpdate | TaskResolution): void => {
      const { id, what } = said(update)
      log(`${how} ${what} ${id}`)
    }
    const manager = yield* TaskManager
    const journal = yield* TaskJournal
    const sql = yield* SqlClient.SqlClient
    const { handle } = manager
    yield* sql`create table if not exists got (id text not null, what text not null, run text not null)`
    yield* Effect.forkScoped(
      Stream.runForEach(
        handle.events,
        (event) => Effect.sync(() => log(`event ${event.seq} ${event._tag} ${event.taskId ?? ""}`))
      )
    )

    /** What is taken, and the word that it was, in one transaction. */
    const save = (
      updates: Parameters<typeof journal.acknowledge>[0],
      all: ReadonlyArray<TurnTaskUpdate | TaskResolution>
    ) =>
      sql.withTransaction(Effect.zipRight(
        Effect.forEach(all, (update) => {
          const { id, what } = said(update)
          return sql`insert into got (id, what, run) values (${id}, ${what}, ${String(run)})`
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
      const recovering = yield* Effect.fork(recover)
      const live = Effect.map(
        handle.list({ status: ["Queued", "Running", "Cancelling", "Suspended"] }),
        ({ length }) => length
      )
      while ((yield* live) > 0) {
        yield* answerAll(false)
        yield* Effect.forEach(sessions, drainSession)
        yield* Effect.sleep(10)
      }
      // what it has in hand is in no turn, and would be put back if the program ended before it
      yield* Fiber.join(recovering)
      yield* recover
      yield* Effect.forEach(sessions, drainSession)
      log("drained")
      return
    }
    yield* Effect.forkScoped(recover)
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(answerAll(true), Effect.sleep(7))))
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.forEach(sessions, drainSession), Effect.sleep(3))))
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
              request: {
                sessionId,
                turnId,
                callId: ToolCallId.make(`c${call}`),
                toolName,
                input: {},
                metadata: { how }
              }
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
  })

/** Runs until it ends: drained, or lost. What it forks is of its scope: nothing of it goes on. */
export const killProgram = (options: KillProgram): Effect.Effect<"drained" | "lost", unknown> => {
  const { onOwned, run, sql, tell } = options
  let seed = run * 7_919 + 13
  const tools: Tools = {
    log: (line) => tell(`${run} ${line}`),
    random: (below) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor(seed / 2_147_483_648 * below)
    }
  }
  tools.log("opening")
  return Effect.scoped(Effect.gen(function*() {
    const { lost } = yield* TaskJournal
    const running = yield* Effect.forkScoped(program(options, tools))
    const ended = Effect.as(Fiber.join(running), "drained" as const).pipe(
      // every method dies once the journal is lost: then that is why it failed
      Effect.catchAllCause((cause) => Effect.zipRight(Effect.sleep("1 second"), Effect.failCause(cause)))
    )
    const end = yield* Effect.raceFirst(lost, ended)
    if (end === "drained") return end
    tools.log(`LOST ${end.reason}`)
    return "lost" as const
  })).pipe(Effect.provide(Layer.provideMerge(Layer.provideMerge(managerLayer(onOwned), toolsLayer(tools)), sql)))
}
