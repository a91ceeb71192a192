/** Puts a durable manager together. Closing the scope shuts it down. */
import type * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { JournalError } from "../../errors.js"
import type { StoredTask } from "../../machine/restore.js"
import type { SessionId } from "../../model/ids.js"
import type { ToolRequest, ToolSpec } from "../../model/ToolCall.js"
import type { Engine } from "../../runtime/Engine.js"
import { type Check, holdReplies } from "../../runtime/journal/holding.js"
import type { JournalWriter } from "../../runtime/journal/JournalWriter.js"
import { restoreTasks, wasToRun } from "../../runtime/journal/restoring.js"
import type { LaunchCaller } from "../../runtime/launch/Launch.js"
import { makeEngine, makeManager } from "../../runtime/make.js"
import { settings } from "../../runtime/setup/settings.js"
import { type AcceptedBefore, startConcurrently } from "../../runtime/starting/startTask.js"
import { Journal, type JournalGroup } from "../../services/Journal.js"
import type { TaskManager } from "../../services/TaskManager.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import { mustBeEffect } from "../../shared/mustBeEffect.js"
import { refuseUnless } from "../../shared/refusals.js"
import type { DurableOptions } from "../DurableOptions.js"
import { TaskJournal } from "../TaskJournal.js"
import { attemptMillisOf, toItsEnd, withinAttempt } from "./attempts.js"
import { checkName, readOptions, unstorable } from "./checks.js"
import type { WriteGroup } from "./groups.js"
import { withStoredTasks } from "./hostReads.js"
import { whenUnlocked } from "./locked.js"
import { makeReadOrWarn, readTasks } from "./opening.js"
import { readOutput } from "./outputRows.js"
import { acceptedBefore } from "./patientReads.js"
import { pauseOf, sweepAgain } from "./retention.js"
import * as schema from "./schema.js"
import { settledRows } from "./settledRows.js"
import * as SqlJournal from "./SqlJournal.js"
import { transactionAround, transactionOf, TransactionSet } from "./transactionSet.js"
import { checkUpdates, deliveriesIn } from "./updates.js"

/** What is said to whoever gave it something wrong. */
const owner = "TaskManagerDurable.layer"

const repeatsByItsHints = (_request: ToolRequest, spec: ToolSpec | undefined): "Repeat" | "Fail" =>
  spec?.annotations?.["readOnlyHint"] === true || spec?.annotations?.["idempotentHint"] === true ? "Repeat" : "Fail"

const isExecutor = (value: unknown): boolean =>
  Predicate.hasProperty(value, "execute") && Predicate.isFunction(value.execute)

/** Which tasks run again, by their numbers. It is asked before anything is restored: what it throws fails the opening, and no more. */
const repeating = (
  stored: ReadonlyArray<StoredTask>,
  specs: ReadonlyMap<string, ToolSpec>,
  onInterrupted: NonNullable<DurableOptions["onInterrupted"]>
): ReadonlySet<number> => {
  const numbers = new Set<number>()
  for (const task of stored) {
    const { order, request, snapshot: { status } } = task
    if (!wasToRun(task) || status !== "Running") continue
    const decided = onInterrupted(request, specs.get(request.toolName))
    refuseUnless(isDecision(decided), `${owner}: onInterrupted`, "a function that gives Repeat or Fail", decided)
    if (decided === "Repeat") numbers.add(order)
  }
  return numbers
}

const isDecision = (value: unknown): boolean => value === "Repeat" || value === "Fail"

/** Who starts what goes on after a restart: its own caller has gone with its context. */
const callers = (
  stored: ReadonlyArray<StoredTask>,
  options: DurableOptions
): Effect.Effect<(sessionId: SessionId) => LaunchCaller, never, ToolExecutor> =>
  Effect.gen(function*() {
    const executor = yield* ToolExecutor
    const context = yield* Effect.context<never>()
    const fiberRefs = yield* Effect.getFiberRefs
    const executors = new Map<SessionId, ToolExecutor["Type"]>()
    const { executorOf } = options
    if (executorOf !== undefined) {
      for (const sessionId of new Set(stored.filter(wasToRun).map(({ snapshot }) => snapshot.sessionId))) {
        const executor = yield* mustBeEffect(executorOf(sessionId), () => `${owner}: executorOf`)
        refuseUnless(isExecutor(executor), `${owner}: executorOf`, "a function that gives a ToolExecutor", executor)
        executors.set(sessionId, executor)
      }
    }
    return (sessionId) => {
      const own = executors.get(sessionId) ?? executor
      return { context: Context.add(context, ToolExecutor, own), fiberRefs, executor: own, ancestry: undefined }
    }
  })

/**
 * Renews the lease until the engine does, for what is asked of the program meanwhile may take long. A journal that was taken over is told
 * of by the first group.
 */
const renewed = (store: SqlJournal.SqlJournal): Effect.Effect<void> => {
  const nothing: JournalGroup = {
    // before every group, so that it counts as written
    number: 0,
    seq: store.seq,
    lastTaskNumber: store.lastTaskNumber,
    lastDelivery: store.lastDelivery,
    closedSessions: [],
    delivered: [],
    rows: [],
    output: [],
    outputForgotten: [],
    removed: []
  }
  return Effect.ignore(store.write(nothing)).pipe(Effect.delay(attemptMillisOf(store.leaseMillis)), Effect.forever)
}

const transactionInside = new TypeError(
  "A method of a durable manager that waits for a write was called inside withTransaction of the client with which it writes: it " +
    "would wait for the end of the transaction, which waits for it"
)

const taskJournal = (
  journal: JournalWriter,
  store: SqlJournal.SqlJournal,
  aroundConsumers: TransactionSet
): TaskJournal["Type"] =>
  TaskJournal.of({
    acknowledge: (updates) =>
      Effect.withFiberRuntime(({ currentContext }) => {
        checkUpdates(updates)
        if (aroundConsumers.holds(currentContext)) return Effect.die(transactionAround("manager"))
        // what is let go in memory alone would be passed over, and come again
        if (journal.isGone) return journal.farewell
        return store.acknowledge(journal.beginAcknowledging(deliveriesIn(updates)))
      }),
    name: store.name,
    leaseMillis: journal.journal.leaseMillis,
    epoch: store.epoch,
    status: Effect.sync(() => ({ ...journal.counts, lagMillis: journal.lag })),
    lost: journal.lost
  })

/** Through here goes every launch: that of a call, and that of an approval or of the last answer to a question. */
const startWith = (known: AcceptedBefore): typeof startConcurrently => (engine, launch) =>
  Effect.withFiberRuntime(({ currentContext }) => {
    const wrong = unstorable(launch)
    if (wrong !== undefined) return Effect.die(wrong)
    const started = startConcurrently(engine, launch, known)
    return transactionOf(currentContext) === undefined
      ? started
      // a tool must not find itself in the transaction of its caller, which has ended by then
      : Effect.mapInputContext(started, withoutTransaction<ToolExecutor>)
  })

/** A manager with its journal, and the engine that both work on. */
export interface DurableManager {
  readonly engine: Engine
  readonly manager: TaskManager["Type"]
  readonly journal: TaskJournal["Type"]
}

export const makeDurable = (
  options: DurableOptions,
  /** Writes the groups, where others write with it; undefined for transactions of its own. */
  writeGroup?: WriteGroup
): Effect.Effect<
  DurableManager,
  JournalError | Migrator.MigrationError | SqlError,
  SqlClient.SqlClient | ToolExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const { name = "default", onInterrupted = repeatsByItsHints } = options
    checkName(owner, name)
    const { leaseMillis, retention } = readOptions(owner, options)
    const { historyBytes, historyLimit, outputBuffer } = yield* settings
    const unlocked = yield* whenUnlocked(name, leaseMillis)
    // first: how long a migration takes has no limit
    const sql = yield* SqlClient.SqlClient
    yield* unlocked(withinAttempt(leaseMillis, toItsEnd(sql.unsafe("select 1 as answer"))))
    yield* unlocked(schema.migrate)
    const store = yield* SqlJournal.open({
      name,
      onOwned: options.onOwned ?? "wait",
      leaseMillis,
      unlocked,
      keepsTasks: options.shutdown === "keep",
      keepsSettled: retention.settled > 0,
      keepsOutput: options.output === "keep",
      codec: options.codec,
      writeGroup
    })
    const renewing = yield* Effect.fork(renewed(store))
    const { tables } = store
    const rows = settledRows(tables)
    const onDamaged = options.onDamaged ?? "fail"
    const stored = yield* unlocked(
      readTasks({ store, settled: rows, onDamaged, historyLimit, historyBytes, outputBuffer })
    )
    const executor = yield* ToolExecutor
    const specs = new Map((yield* executor.specs).map((spec) => [spec.name, spec]))
    const callerOf = yield* callers(stored, options)
    const repeats = repeating(stored, specs, onInterrupted)
    const engine = yield* Effect.provideService(makeEngine, Journal, store)
    const { journal } = engine.state
    if (journal === undefined) return yield* Effect.dieMessage("an engine with a journal has no writer")
    yield* restoreTasks(engine, journal, stored, {
      mayRepeat: ({ order }) => repeats.has(order),
      callerOf
    })
    // nobody has the manager yet: what it would die with is what its opening fails with
    yield* Effect.catchAllDefect(
      journal.synced,
      (defect) => defect instanceof JournalError ? defect : Effect.die(defect)
    )
    yield* Fiber.interruptFork(renewing)
    const check: Check = (context) => {
      if (store.isInTransaction(context)) throw transactionInside
    }
    const aroundConsumers = new TransactionSet()
    const checkConsumer: Check = (context) => {
      check(context)
      aroundConsumers.add(context)
    }
    yield* sweepAgain({
      engine,
      journal,
      rows,
      now: tables.now,
      retention,
      pauseMillis: pauseOf(Math.min(retention.settled, retention.undelivered))
    })
    const manager = withStoredTasks(
      holdReplies(journal, makeManager(engine, startWith(acceptedBefore(journal, rows, tables.fail))), {
        waits: check,
        consumes: checkConsumer
      }),
      {
        journal,
        rows,
        readOrWarn: makeReadOrWarn(tables),
        readOutput: (number) => readOutput(tables, number, outputBuffer),
        fail: tables.fail,
        check
      }
    )
    return { engine, manager, journal: taskJournal(journal, store, aroundConsumers) }
  })

const withoutTransaction = <R>(context: Context.Context<R>): Context.Context<R> =>
  // what is left out is not in R: nobody may ask for it
  Context.omit(SqlClient.TransactionConnection)(context) as Context.Context<R>
