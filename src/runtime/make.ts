/** Puts a manager together. Closing the scope shuts it down. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { approvalTimedOut } from "../machine/control.js"
import { reportOfTurn } from "../machine/ledger.js"
import { inputOf, listLive, undeliveredOf } from "../machine/queries.js"
import * as TaskTable from "../machine/state/TaskTable.js"
import type { TaskId } from "../model/ids.js"
import { withInputs } from "../services/internal/inputs.js"
import { CurrentObserver } from "../services/internal/observer.js"
import { Journal } from "../services/Journal.js"
import { RoutingPolicy } from "../services/RoutingPolicy.js"
import { TaskManager } from "../services/TaskManager.js"
import { randomToken } from "../shared/randomToken.js"
import { answerApprovalWith } from "./approvals/answerApproval.js"
import { answerQuestions } from "./approvals/answerQuestions.js"
import * as approvals from "./approvals/rejectApproval.js"
import type { Engine } from "./Engine.js"
import { EventHub } from "./events/EventHub.js"
import { makeHandle } from "./handle.js"
import * as interrupting from "./interrupting.js"
import { JournalWriter } from "./journal/JournalWriter.js"
import { reportCosts } from "./launch/reportCosts.js"
import { warnOfDuplicateEffect } from "./setup/duplicateEffect.js"
import { settings } from "./setup/settings.js"
import { escapingRoute } from "./starting/escapingRoute.js"
import { startInline } from "./starting/startInline.js"
import { startConcurrently } from "./starting/startTask.js"
import { wrongLaunch } from "./starting/wrongLaunch.js"
import * as State from "./State.js"
import { startGracePeriod } from "./time/GracePeriod.js"
import { QuestionTimers } from "./time/QuestionTimers.js"
import * as Timers from "./time/Timers.js"
import * as loop from "./waiting/loop.js"
import { limitedBy } from "./waiting/parking.js"
import { waitForTask } from "./waiting/waitForTask.js"

/** Internal, so that the simulator can run both ways. */
export class StartsImmediately extends Context.Reference<StartsImmediately>()(
  "effect-task-manager/runtime/make/StartsImmediately",
  { defaultValue: () => true }
) {}

/** Internal, so that the traces of the simulator stay the same. */
export class AskingTokens extends Context.Reference<AskingTokens>()(
  "effect-task-manager/runtime/make/AskingTokens",
  { defaultValue: () => randomToken }
) {}

/** In memory a key must differ from those of every other process; it is made when the first tool asks for one. */
const idempotencyKeys = (journal: string | undefined): (taskId: TaskId) => string => {
  let name = journal
  return (taskId) => `${name ??= randomToken()}/${taskId}`
}

/** How many sessions without live tasks or undelivered results have a replay. */
const replayedSessions = 4_096

/** The parts of a manager. Only the simulator asks for them: it looks at what no caller can see. */
export const makeEngine: Effect.Effect<Engine, never, Scope.Scope> = Effect.gen(function*() {
  yield* warnOfDuplicateEffect
  const limits = yield* settings
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const table = TaskTable.make({
    history: limits.historyLimit,
    historyBytes: limits.historyBytes,
    keepsInputs: limits.keepInputs,
    concurrency: limits.concurrency,
    perSession: limits.perSession,
    lanes: limits.lanes,
    live: limits.maxLive,
    undelivered: limits.maxUndelivered,
    output: limits.outputBuffer,
    result: limits.maxResultBytes,
    outputHistory: limits.outputHistory,
    duplicateCallIds: limits.duplicateCallIds,
    ledger: limits.ledger
  })
  const events = new EventHub({
    buffer: limits.eventBuffer,
    replay: limits.eventReplay,
    bytes: limits.eventBytes,
    sessions: replayedSessions,
    isRemembered: (sessionId) => table.sessions.has(sessionId)
  })
  const timers = Timers.make(clock, runtime)
  const opened = yield* Journal
  if (opened !== undefined) {
    table.seq = opened.seq
    table.lastTask = opened.lastNumber
    table.lastTaskNumber = opened.lastTaskNumber
    table.lastDelivery = opened.lastDelivery
    events.beginAfter(opened.seq)
  }
  const journal = opened === undefined ? undefined : new JournalWriter(opened, table, clock)
  const questions = new QuestionTimers(
    timers,
    clock,
    (task, asking) => state.unsafeModify((current, now) => approvalTimedOut(current, task, asking, now))
  )
  const observer = Context.get(runtime.context, CurrentObserver)?.observe({
    live: () => listLive(table),
    undelivered: () => undeliveredOf(table)
  })
  const state: State.State = yield* State.make({
    table,
    clock,
    events,
    observer,
    journal,
    startGracePeriod: () => startGracePeriod(timers, limits.cancelGraceMillis),
    timeQuestion: (task) => questions.set(task)
  })
  // the default of the reference would hide that there is none: then executors have a say
  const policy = runtime.context.unsafeMap.has(RoutingPolicy.key) ? yield* RoutingPolicy : undefined
  const engine: Engine = {
    state,
    events,
    timers,
    clock,
    route: policy === undefined ? undefined : escapingRoute(policy),
    newAsking: yield* AskingTokens,
    outputLimits: limits,
    idempotencyKey: idempotencyKeys(opened?.name),
    epoch: opened?.epoch ?? 0,
    onToolDefect: limits.onToolDefect,
    startsImmediately: yield* StartsImmediately,
    observer,
    runtime
  }
  if (journal !== undefined) {
    // before the shutdown is a finalizer: its last steps are written too
    const writing = yield* Effect.forkDaemon(Effect.interruptible(journal.run))
    // what a database that does not answer was given last is not waited for: to undo it would take its answer
    yield* Effect.addFinalizer(() => journal.isGone ? Fiber.interruptFork(writing) : Fiber.interrupt(writing))
    yield* Effect.forkScoped(Effect.interruptible(journal.beat))
  }
  if (observer !== undefined) yield* Effect.addFinalizer(() => Effect.sync(observer.end))
  yield* Effect.addFinalizer(() => interrupting.shutdown(engine))
  return engine
})

/** The manager around an engine. */
export const makeManager = (engine: Engine, start: typeof startConcurrently): TaskManager["Type"] => {
  const startTask: TaskManager["Type"]["startTask"] = (launch) => {
    const wrong = wrongLaunch(launch)
    return wrong === undefined ? start(engine, launch) : Effect.die(wrong)
  }
  const rejectApproval: TaskManager["Type"]["rejectApproval"] = (options) => approvals.rejectApproval(engine, options)
  const answerApproval = answerApprovalWith({
    startTask,
    rejectApproval,
    answerQuestions: (asked, answers, approve) => answerQuestions(engine, asked, answers, approve)
  })
  return TaskManager.of({
    startTask,
    waitForTurn: (turn, options) => limitedBy(options, loop.waitForTurn(engine, turn, options)),
    consumeTurnUpdate: (turn, use, options) => limitedBy(options, loop.consumeTurnUpdate(engine, turn, use, options)),
    takePendingLoopUpdates: (sessionId) => loop.takePendingLoopUpdates(engine, sessionId),
    consumePendingLoopUpdates: (sessionId, use) => loop.consumePendingLoopUpdates(engine, sessionId, use),
    takeResult: (taskId) => loop.takeResult(engine, taskId),
    consumeResult: (taskId, use) => loop.consumeResult(engine, taskId, use),
    waitForTask: (taskIds, options) => limitedBy(options, waitForTask(engine, taskIds, options)),
    waitForLoopUpdate: (sessionId, options) => limitedBy(options, loop.waitForLoopUpdate(engine, sessionId, options)),
    onTurnInterrupted: (turn) => interrupting.onTurnInterrupted(engine, turn),
    rejectApproval,
    answerApproval,
    closeSession: (sessionId) => interrupting.closeSession(engine, sessionId),
    addUsage: (turn, costs) => reportCosts(engine, costs, (table, checked) => reportOfTurn(table, turn, checked)),
    handle: withInputs(makeHandle(engine, answerApproval), (id) => Effect.sync(() => inputOf(engine.state.table, id)))
  })
}

const make = (startTask: typeof startConcurrently): Effect.Effect<TaskManager["Type"], never, Scope.Scope> =>
  Effect.map(makeEngine, (engine) => makeManager(engine, startTask))

/** The manager whose `startTask` starts a task and answers at once. */
export const makeConcurrent = make(startConcurrently)

/** The manager whose `startTask` runs the call and answers with its resolution. */
export const makeInline = make(startInline)
