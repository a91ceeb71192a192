/**
 * The soak: very many tasks of every fate, over thousands of turns and hundreds of sessions, while subscribers come, lag
 * and go. At the end nothing may be left but the history.
 */
import { Effect, Fiber, Layer, Option, Random, type Scope, Stream } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  type TaskId,
  TaskLaunchRequest,
  type TaskManager,
  TaskManagerConfig,
  type TaskResolution,
  ToolCallId,
  ToolError,
  ToolExecutor,
  type ToolRequest,
  type ToolResult,
  TurnId,
  type TurnRef
} from "effect-task-manager"
import type { Engine } from "../src/runtime/Engine.js"
import { makeEngine, makeManager } from "../src/runtime/make.js"
import { startConcurrently } from "../src/runtime/starting/startTask.js"
import { makeDurable } from "./durable.js"
import { usedHeap } from "./measuring.js"
import { blocked } from "./targets/managers.js"
import { resultOf } from "./work.js"

export interface SoakReport {
  readonly tasks: number
  readonly turns: number
  readonly sessions: number
  readonly subscriptions: number
  readonly events: number
  readonly seconds: number
  /** How many results were taken, and how many a closed session discarded. */
  readonly taken: number
  readonly discarded: number
  readonly fates: Record<string, number>
  /** Used heap in MB after each tenth, everything drained. */
  readonly heaps: ReadonlyArray<number>
  readonly left: Record<string, number>
  readonly failures: ReadonlyArray<string>
}

const historyLimit = 1_000
const callsPerTurn = 40
const turnsPerSession = 60
const sessionsAtOnce = 32

// ---- tools of every fate ----

const succeed = (request: ToolRequest) => Effect.sync(() => resultOf(request))

const askFirst = (request: ToolRequest): Effect.Effect<ToolResult, ApprovalRequired, CurrentTask> =>
  Effect.flatMap(
    CurrentTask,
    ({ approval }): Effect.Effect<ToolResult, ApprovalRequired> =>
      Option.isSome(approval) ? succeed(request) : Effect.fail(
        new ApprovalRequired({
          approval: {
            id: ApprovalId.make(`approval-${request.callId}`),
            requestKind: "soak",
            reason: "it asks",
            summary: "may it?",
            metadata: {}
          }
        })
      )
  )

const tools: Record<
  string,
  (request: ToolRequest) => Effect.Effect<ToolResult, ToolError | ApprovalRequired, CurrentTask>
> = {
  atOnce: succeed,
  afterYield: (request) => Effect.zipRight(Effect.yieldNow(), succeed(request)),
  afterSleep: (request) => Effect.zipRight(Effect.sleep(1), succeed(request)),
  talks: (request) =>
    Effect.flatMap(
      CurrentTask,
      (task) => Effect.zipRight(task.reportProgress({ message: "halfway", fraction: 0.5 }), succeed(request))
    ),
  cleansUp: (request) =>
    Effect.scoped(Effect.zipRight(
      Effect.addFinalizer(() => Effect.yieldNow()),
      Effect.zipRight(Effect.forkScoped(blocked), succeed(request))
    )),
  fails: ({ toolName }) => new ToolError({ reason: "ExecutionFailed", toolName, message: "no" }),
  dies: () => Effect.die(new Error("broken")),
  interruptsItself: () => Effect.interrupt,
  // cancelled, timed out, interrupted with its turn, or closed with its session
  blocks: () => Effect.onInterrupt(blocked, () => Effect.yieldNow()),
  timesOut: () => blocked,
  // detached by its timer, then done
  outlivesItsTurn: (request) => Effect.zipRight(Effect.sleep(4), succeed(request)),
  background: (request) => Effect.zipRight(Effect.yieldNow(), succeed(request)),
  manual: (request) => Effect.zipRight(Effect.yieldNow(), succeed(request)),
  backgroundBlocks: () => blocked,
  asks: askFirst,
  backgroundAsks: askFirst
}

const fates = Object.keys(tools)

const route = ({ toolName }: ToolRequest): RoutingDecision => {
  switch (toolName) {
    case "background":
      return RoutingDecision.Background({ continuePolicy: "RequestContinue" })
    case "backgroundBlocks":
    case "backgroundAsks":
      return RoutingDecision.Background()
    case "manual":
      return RoutingDecision.Background({ deliveryMode: "Manual" })
    case "outlivesItsTurn":
      return RoutingDecision.ForegroundThenDetachAfter({ duration: 2 })
    case "timesOut":
      return RoutingDecision.Foreground({ timeout: 2 })
    default:
      // armed, and as good as never fired
      return RoutingDecision.ForegroundThenDetachAfter({ duration: "10 minutes", timeout: "20 minutes" })
  }
}

const executor = ToolExecutor.of({
  specs: Effect.succeed([]),
  execute: (request) => tools[request.toolName]?.(request) ?? Effect.dieMessage("no such tool")
})

// ---- what is counted ----

interface Tally {
  started: number
  turns: number
  sessions: number
  taken: number
  discarded: number
  subscriptions: number
  readonly failures: Array<string>
  readonly fates: Record<string, number>
}

const complain = (tally: Tally, what: string): void => {
  if (tally.failures.length < 20) tally.failures.push(what)
}

type Manager = TaskManager["Type"]

// ---- one session: turns of mixed calls, then what came late ----

interface SessionState {
  readonly manager: Manager
  readonly tally: Tally
  readonly sessionId: SessionId
  /** Background tasks that nothing ends by itself. */
  readonly hanging: Set<TaskId>
  results: number
  started: number
}

/** Approves, rejects or cancels what is asked; an item is a result. */
const answer = (state: SessionState, resolution: TaskResolution): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { manager } = state
    if (resolution._tag === "Item") {
      state.results++
      return
    }
    const { approval, taskId, toolRequest } = resolution.approval
    const choice = yield* Random.nextIntBetween(0, 3)
    if (choice === 0) yield* manager.rejectApproval({ taskId, asking: approval.asking, reason: "no" })
    else if (choice === 1) yield* manager.handle.cancel(taskId)
    else {
      yield* Effect.provideService(
        manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })),
        ToolExecutor,
        executor
      )
    }
  }).pipe(
    // its turn was interrupted meanwhile: the answer comes too late, and the cancelled result is on its way
    Effect.catchTags({
      ApprovalMismatch: () => Effect.void,
      TaskNotFound: () => Effect.void,
      TaskNotSuspended: () => Effect.void
    }),
    Effect.orDie
  )

const startCall = (state: SessionState, turn: TurnRef, index: number): Effect.Effect<TaskId | undefined> =>
  Effect.gen(function*() {
    const fate = fates[yield* Random.nextIntBetween(0, fates.length)] ?? "atOnce"
    const request: ToolRequest = {
      ...turn,
      callId: ToolCallId.make(`${turn.sessionId}-${turn.turnId}-${index}`),
      toolName: fate,
      input: { index },
      metadata: {}
    }
    const outcome = yield* Effect.provideService(
      state.manager.startTask(TaskLaunchRequest.plain({ request })),
      ToolExecutor,
      executor
    )
    state.started++
    state.tally.started++
    state.tally.fates[fate] = (state.tally.fates[fate] ?? 0) + 1
    if (outcome._tag === "Ready") return undefined
    if (fate === "backgroundBlocks") state.hanging.add(outcome.taskId)
    return fate === "blocks" ? outcome.taskId : undefined
  }).pipe(Effect.orDie)

const drain = (state: SessionState, turn: TurnRef): Effect.Effect<void> =>
  Effect.flatMap(state.manager.waitForTurn(turn), (update) => {
    if (Option.isNone(update)) return Effect.void
    const answered = update.value._tag === "Resolution" ? answer(state, update.value.resolution) : Effect.void
    return Effect.zipRight(answered, Effect.suspend(() => drain(state, turn)))
  })

const runTurn = (state: SessionState, number: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { manager, sessionId } = state
    const turn = { sessionId, turnId: TurnId.make(`turn-${number}`) }
    const blocking: Array<TaskId> = []
    for (let index = 0; index < callsPerTurn; index++) {
      const id = yield* startCall(state, turn, index)
      if (id !== undefined) blocking.push(id)
    }
    const choice = yield* Random.nextIntBetween(0, 4)
    // by the host, while the loop drains
    const byHost = yield* Effect.fork(
      choice === 0
        ? Effect.asVoid(manager.onTurnInterrupted(turn))
        : Effect.forEach(blocking, (id, index) =>
          Effect.zipRight(
            // some are sent to the background first
            index % 3 === 0 ? Effect.ignore(manager.handle.detach(id)) : Effect.void,
            manager.handle.cancel(id)
          ), { discard: true })
    )
    yield* drain(state, turn)
    yield* Fiber.join(byHost)
    // a turn that is interrupted after it has drained has to be drained again
    yield* drain(state, turn)
    state.tally.turns++
    if (number % 4 === 3) {
      // before what hangs in the background takes every place of the concurrency limit
      yield* cancelHanging(state)
      yield* takeLate(state)
    }
  }).pipe(Effect.orDie)

const cancelHanging = ({ hanging, manager }: SessionState): Effect.Effect<void> =>
  Effect.suspend(() => {
    const ids = [...hanging]
    hanging.clear()
    return Effect.forEach(ids, (id) => Effect.ignore(manager.handle.cancel(id)), { discard: true })
  })

/** What came the background way meanwhile. */
const takeLate = (state: SessionState): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { manager, sessionId } = state
    const { resolutions } = yield* manager.takePendingLoopUpdates(sessionId)
    for (const resolution of resolutions) yield* answer(state, resolution)
    state.results += (yield* manager.handle.drainReadyItemsOf(sessionId)).length
  })

const runSession = (manager: Manager, tally: Tally, number: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const sessionId = SessionId.make(`session-${number}`)
    const state: SessionState = { manager, tally, sessionId, hanging: new Set(), results: 0, started: 0 }
    for (let turn = 0; turn < turnsPerSession; turn++) yield* runTurn(state, turn)
    tally.sessions++
    if (number % 3 === 0) {
      // closed in the middle of its background work
      yield* manager.closeSession(sessionId)
      tally.taken += state.results
      tally.discarded += state.started - state.results
      return
    }
    yield* cancelHanging(state)
    // resumed tasks and late results, until nothing of the session is live
    for (;;) {
      yield* takeLate(state)
      const live = yield* manager.handle.list({ sessionId, status: ["Queued", "Running", "Suspended", "Cancelling"] })
      if (live.length === 0) break
      yield* Effect.sleep(1)
      for (let turn = 0; turn < turnsPerSession; turn++) {
        // an approval that was resumed in the foreground after its turn had drained
        const ref = { sessionId, turnId: TurnId.make(`turn-${turn}`) }
        if (!live.some(({ turnId }) => turnId === ref.turnId)) continue
        const update = yield* manager.waitForTurn(ref)
        if (Option.isSome(update) && update.value._tag === "Resolution") yield* answer(state, update.value.resolution)
      }
    }
    yield* takeLate(state)
    tally.taken += state.results
    if (state.results !== state.started) {
      complain(tally, `${sessionId}: ${state.started} calls, ${state.results} results`)
    }
  })

// ---- subscribers ----

/** Comes, reads a while or not at all, and goes; and again. */
const restlessSubscriber = (manager: Manager, tally: Tally): Effect.Effect<never> =>
  Effect.forever(Effect.scoped(Effect.gen(function*() {
    const events = yield* manager.handle.subscribe
    tally.subscriptions++
    const reads = yield* Random.nextIntBetween(0, 40)
    for (let read = 0; read < reads; read++) {
      yield* events.takeBetween(1, 64)
      if (read % 8 === 0) yield* Effect.sleep(1)
    }
    yield* Effect.sleep(yield* Random.nextIntBetween(1, 20))
  })))

/** Reads everything, and sees each event once and in order. */
const faithfulSubscriber = (manager: Manager, tally: Tally): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { events, seq } = yield* manager.handle.watch
    let last = seq
    yield* Effect.forkScoped(Effect.forever(Effect.map(events.takeBetween(1, 4_096), (batch) => {
      for (const event of batch) {
        // it may lose the oldest when it lags, but never sees one twice or late
        if (event.seq <= last) complain(tally, `event ${event.seq} after ${last}`)
        last = event.seq
      }
    })))
  })

const left = (engine: Engine, rootsBefore: number): Record<string, number> => {
  const { table } = engine.state
  return {
    fibers: Fiber.unsafeRoots().length - rootsBefore,
    timers: engine.timers.size(),
    sessions: table.sessions.size,
    live: table.live.size,
    suspended: table.suspended.size,
    queued: table.waiting,
    active: table.idle.active,
    places: table.places,
    manual: table.manual.size,
    idleWaiters: table.idle.waiters.size,
    changeWaiters: table.changeWaiters.size,
    tasksBesidesHistory: table.tasks.size - table.history.length,
    historyBeyondLimit: Math.max(0, table.history.length - historyLimit)
  }
}

interface Subject {
  readonly engine: Engine
  readonly manager: Manager
  /** What a durable manager has left beside that, once everything is written. */
  readonly leftInJournal: Effect.Effect<Record<string, number>>
}

const makeInMemory = Effect.map(makeEngine, (engine): Subject => ({
  engine,
  manager: makeManager(engine, startConcurrently),
  leftInJournal: Effect.succeed({})
}))

export const soak = ({ isDurable, tasks }: {
  readonly tasks: number
  readonly isDurable: boolean
}): Effect.Effect<SoakReport> =>
  Effect.scoped(Effect.gen(function*() {
    const start = performance.now()
    const { engine, leftInJournal, manager } = yield* (isDurable ? makeDurable(historyLimit) : makeInMemory).pipe(
      Effect.provide(
        // past events are kept for each of thousands of sessions: with so few bytes for them they are full in the first tenth
        Layer.merge(
          RoutingPolicy.layer(route),
          TaskManagerConfig.layer({ historyLimit, concurrency: 512, eventBytes: 250_000 })
        )
      )
    )
    // those of a journal live as long as the manager
    const rootsBefore = Fiber.unsafeRoots().length
    const tally: Tally = {
      started: 0,
      turns: 0,
      sessions: 0,
      taken: 0,
      discarded: 0,
      subscriptions: 0,
      failures: [],
      fates: {}
    }
    const heaps: Array<number> = []
    const sessions = Math.ceil(tasks / (callsPerTurn * turnsPerSession))
    const tenth = Math.ceil(sessions / 10)
    for (let first = 0; first < sessions; first += tenth) {
      const numbers = Array.from({ length: Math.min(tenth, sessions - first) }, (_, index) => first + index)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* faithfulSubscriber(manager, tally)
        for (let count = 0; count < 4; count++) yield* Effect.forkScoped(restlessSubscriber(manager, tally))
        yield* Effect.forkScoped(Stream.runDrain(manager.handle.events))
        yield* Effect.forkScoped(Stream.runForEach(manager.handle.changes, () => Effect.sleep(5)))
        yield* Effect.forEach(numbers, (number) => runSession(manager, tally, number), {
          concurrency: sessionsAtOnce,
          discard: true
        })
        yield* manager.handle.waitForIdle
      }))
      heaps.push((yield* usedHeap) / 1e6)
      console.log(
        `${tally.started.toLocaleString("en")} tasks, ${tally.sessions} sessions, heap ${
          (heaps[heaps.length - 1] ?? 0).toFixed(2)
        } MB, left ${JSON.stringify(left(engine, rootsBefore))}`
      )
    }
    const remains = { ...left(engine, rootsBefore), ...(yield* leftInJournal) }
    for (const [what, count] of Object.entries(remains)) {
      if (count !== 0) complain(tally, `${count} ${what} left`)
    }
    if (tally.taken + tally.discarded !== tally.started) complain(tally, "results and calls do not add up")
    // the first tenth fills the history and compiles the code
    const [early = NaN, late = NaN] = [heaps[1] ?? heaps[0], heaps[heaps.length - 1]]
    if (!(late / early <= 1.05)) complain(tally, `heap grew from ${early.toFixed(2)} to ${late.toFixed(2)} MB`)
    return {
      tasks: tally.started,
      turns: tally.turns,
      sessions: tally.sessions,
      subscriptions: tally.subscriptions,
      events: engine.state.table.seq,
      seconds: Math.round((performance.now() - start) / 1_000),
      taken: tally.taken,
      discarded: tally.discarded,
      fates: tally.fates,
      heaps,
      left: remains,
      failures: tally.failures
    }
  })).pipe(Effect.withRandom(Random.make("soak")))
