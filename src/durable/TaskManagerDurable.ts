/**
 * The concurrent manager whose tasks outlive its process: every task is written to a database before anything is told of it.
 *
 * @since 0.1.0
 */
import type * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { JournalError } from "../errors.js"
import type { StoredTask } from "../machine/restore.js"
import type { SessionId } from "../model/ids.js"
import type { ToolRequest, ToolSpec } from "../model/ToolCall.js"
import { holdReplies } from "../runtime/journal/holding.js"
import type { JournalWriter } from "../runtime/journal/JournalWriter.js"
import { restoreTasks, wasToRun } from "../runtime/journal/restoring.js"
import type { LaunchCaller } from "../runtime/launch/Launch.js"
import { makeEngine, makeManager } from "../runtime/make.js"
import { settings } from "../runtime/setup/settings.js"
import { startConcurrently } from "../runtime/starting/startTask.js"
import { Journal } from "../services/Journal.js"
import { TaskManager } from "../services/TaskManager.js"
import { ToolExecutor } from "../services/ToolExecutor.js"
import { millisOf } from "../shared/durations.js"
import { checkChoices, checkName, unstorable } from "./internal/checks.js"
import { withStoredTasks } from "./internal/hostReads.js"
import { whenUnlocked } from "./internal/locked.js"
import { makeReadOrWarn, readTasks } from "./internal/opening.js"
import { readOutput } from "./internal/outputRows.js"
import { pauseOf, sweepAgain } from "./internal/retention.js"
import * as schema from "./internal/schema.js"
import { settledRows } from "./internal/settledRows.js"
import * as SqlJournal from "./internal/SqlJournal.js"
import { deliveriesIn } from "./internal/updates.js"
import type { JournalCodec } from "./JournalCodec.js"
import { TaskJournal } from "./TaskJournal.js"

/**
 * How a durable manager works; every field has a default.
 *
 * @since 0.1.0
 * @category models
 */
export interface DurableOptions {
  /** Which journal of the database it is, `"default"` unless it is named: several managers may share a database. 1 to 512 bytes, without NUL and half characters. */
  readonly name?: string | undefined
  /**
   * What is done if another manager has the journal open: `"wait"` (the default) for at most one lease, `"fail"` at once, or
   * `"take"` it from a manager that may be at work. With `"wait"` and `"fail"` the layer fails with `JournalError` (`Owned`).
   */
  readonly onOwned?: "wait" | "fail" | "take" | undefined
  /** How long a manager that does not answer still counts as the owner, from 100 milliseconds to a day, 10 seconds by default; a number is milliseconds. It renews its lease all the time. An opening waits as long for a SQLite file that another process has locked. */
  readonly lease?: Duration.DurationInput | undefined
  /**
   * What becomes of a tool that was running when its process ended: `"Repeat"` runs it again, `"Fail"` ends its task as `Failed`
   * with the reason `Interrupted`. By default tools are repeated whose spec is annotated with `readOnlyHint` or `idempotentHint`.
   */
  readonly onInterrupted?: ((request: ToolRequest, spec: ToolSpec | undefined) => "Repeat" | "Fail") | undefined
  /** The executor of tasks that go on after a restart, where sessions have their own; by default that of the layer. */
  readonly executorOf?: ((sessionId: SessionId) => Effect.Effect<ToolExecutor["Type"]>) | undefined
  /**
   * What becomes of live tasks when the layer is closed: they are cancelled (`"cancel"`, the default), or interrupted and kept as they
   * are for the next process (`"keep"`), which goes on with them as after a crash.
   */
  readonly shutdown?: "cancel" | "keep" | undefined
  /**
   * How long rows of settled tasks stay. `settled`: of those whose result was taken, counted from when they settled; 7 days by default.
   * Until then `history`, `get`, `result` and whatever else looks up a settled task find them, also beyond `historyLimit`, which bounds
   * memory only. With 0 they go as memory forgets them. `undelivered`: how long a result, or the notice of a detach, may wait to be taken
   * before it is dropped, with a warning in the log; by default for ever. A number is milliseconds. They are removed every minute
   * at least, by up to 500 in one transaction.
   */
  readonly retention?: {
    readonly settled?: Duration.DurationInput | undefined
    readonly undelivered?: Duration.DurationInput | undefined
  } | undefined
  /**
   * Whether what tools write (`CurrentTask.write`) is written down: with `"keep"` the newest `outputBuffer` bytes of each task, in the
   * groups of the tasks, for as long as its row stays; `handle.output` reads on after a restart, and beyond `outputHistory`. By default
   * (`"drop"`) it is of the process, and gone with it.
   */
  readonly output?: "keep" | "drop" | undefined
  /**
   * What becomes of a row that cannot be read when the journal is opened. `"fail"` (the default): the layer fails with `JournalError`
   * (`Damaged`), which names the task. `"setAside"`: the row stays in the database with its column `damaged` set, a warning in the log
   * names the task, once, and everything else goes on; where a codec can decode none of several rows, the layer fails all the same.
   */
  readonly onDamaged?: "fail" | "setAside" | undefined
  /**
   * Encrypts what is stored of calls, results and approvals. Ids, statuses, sessions and turns stay readable. A codec that cannot
   * decode what is stored is a `JournalError` (`Damaged`).
   */
  readonly codec?: JournalCodec | undefined
}

const repeatsByItsHints = (_request: ToolRequest, spec: ToolSpec | undefined): "Repeat" | "Fail" =>
  spec?.annotations?.["readOnlyHint"] === true || spec?.annotations?.["idempotentHint"] === true ? "Repeat" : "Fail"

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
        executors.set(sessionId, yield* executorOf(sessionId))
      }
    }
    return (sessionId) => {
      const own = executors.get(sessionId) ?? executor
      return { context: Context.add(context, ToolExecutor, own), fiberRefs, executor: own, ancestry: undefined }
    }
  })

const transactionInside = new TypeError(
  "A method of a durable manager that waits for a write was called inside withTransaction of the client with which it writes: it " +
    "would wait for the end of the transaction, which waits for it"
)

const taskJournal = (journal: JournalWriter, store: SqlJournal.SqlJournal): TaskJournal["Type"] =>
  TaskJournal.of({
    acknowledge: (updates) =>
      Effect.suspend(() =>
        // what is let go in memory alone would be passed over, and come again
        journal.isGone ? journal.farewell : store.acknowledge(
          journal.inTransaction(deliveriesIn(updates)).map(({ brings, delivery, entry }) => ({
            number: entry.task.order,
            brings,
            order: delivery.order
          }))
        )
      ),
    name: store.name,
    leaseMillis: journal.journal.leaseMillis,
    epoch: store.epoch,
    status: Effect.sync(() => ({ ...journal.counts, lagMillis: journal.lag })),
    lost: journal.lost
  })

const leaseOf = (lease: Duration.DurationInput): number => {
  const millis = millisOf("lease", lease)
  if (millis < 100 || millis > longestLease) {
    throw new RangeError("TaskManagerDurable.layer takes a lease of 100 ms to a day")
  }
  return millis
}

const longestLease = 86_400_000

const retentionOf = ({ settled = "7 days", undelivered = Infinity }: NonNullable<DurableOptions["retention"]>) => ({
  settled: millisOf("TaskManagerDurable.layer: retention.settled", settled),
  undelivered: millisOf("TaskManagerDurable.layer: retention.undelivered", undelivered)
})

const make = (options: DurableOptions): Effect.Effect<
  Context.Context<TaskManager | TaskJournal>,
  JournalError | Migrator.MigrationError | SqlError,
  SqlClient.SqlClient | ToolExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const { name = "default", onInterrupted = repeatsByItsHints } = options
    checkName(name)
    checkChoices(options)
    const leaseMillis = leaseOf(options.lease ?? "10 seconds")
    const retention = retentionOf(options.retention ?? {})
    const { historyBytes, historyLimit, outputBuffer } = yield* settings
    const unlocked = yield* whenUnlocked(name, leaseMillis)
    yield* unlocked(schema.migrate)
    const store = yield* SqlJournal.open({
      name,
      onOwned: options.onOwned ?? "wait",
      leaseMillis,
      unlocked,
      keepsTasks: options.shutdown === "keep",
      keepsSettled: retention.settled > 0,
      keepsOutput: options.output === "keep",
      codec: options.codec
    })
    const { tables } = store
    const rows = settledRows(tables)
    const onDamaged = options.onDamaged ?? "fail"
    const stored = yield* unlocked(
      readTasks({ store, settled: rows, onDamaged, historyLimit, historyBytes, outputBuffer })
    )
    const executor = yield* ToolExecutor
    const specs = new Map((yield* executor.specs).map((spec) => [spec.name, spec]))
    const callerOf = yield* callers(stored, options)
    const engine = yield* Effect.provideService(makeEngine, Journal, store)
    const { journal } = engine.state
    if (journal === undefined) return yield* Effect.dieMessage("an engine with a journal has no writer")
    yield* restoreTasks(engine, journal, stored, {
      mayRepeat: (request) => onInterrupted(request, specs.get(request.toolName)) === "Repeat",
      callerOf
    })
    yield* journal.synced
    const check = Effect.flatMap(
      store.isInTransaction,
      (isInside) => isInside ? Effect.die(transactionInside) : Effect.void
    )
    yield* sweepAgain({ engine, journal, rows, now: tables.now, retention, pauseMillis: pauseOf(retention) })
    const held = withStoredTasks(
      holdReplies(journal, makeManager(engine, startConcurrently), check),
      {
        journal,
        rows,
        readOrWarn: makeReadOrWarn(tables),
        readOutput: (number) => readOutput(tables, number, outputBuffer),
        fail: tables.fail,
        check
      }
    )
    const manager = TaskManager.of({
      ...held,
      startTask: (launch) =>
        Effect.suspend(() => {
          const field = unstorable(launch)
          return field === undefined
            // a tool must not find itself in the transaction of its caller, which has ended by then
            ? Effect.zipRight(check, Effect.mapInputContext(held.startTask(launch), withoutTransaction<ToolExecutor>))
            : Effect.die(
              new TypeError(
                `startTask takes ids that can be stored: ${field} has a NUL or half of a character, or more than 512 bytes`
              )
            )
        })
    })
    return Context.make(TaskManager, manager).pipe(Context.add(TaskJournal, taskJournal(journal, store)))
  })

const withoutTransaction = <R>(context: Context.Context<R>): Context.Context<R> =>
  context.unsafeMap.has(SqlClient.TransactionConnection.key)
    // what is left out is not in R: nobody may ask for it
    ? Context.omit(SqlClient.TransactionConnection)(context) as Context.Context<R>
    : context

/**
 * Makes durable managers. They keep the contract of `TaskManagerLive`, and every task, result, approval and number outlives the
 * process: see docs/durable.md for what is promised and what is not.
 *
 * @example
 * ```ts
 * import type * as SqlClient from "@effect/sql/SqlClient"
 * import { Effect, Layer } from "effect"
 * import { ToolExecutor } from "effect-task-manager"
 * import { TaskManagerDurable } from "effect-task-manager/durable"
 *
 * const Tools = ToolExecutor.fromHandlers({ echo: () => Effect.succeed("done") })
 * const managerOn = (Sql: Layer.Layer<SqlClient.SqlClient>) =>
 *   TaskManagerDurable.layer({ name: "agent" }).pipe(Layer.provide(Tools), Layer.provide(Sql))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerDurable = {
  /**
   * The manager of one journal, on any `SqlClient` of SQLite or Postgres. It creates or updates its tables, takes the journal, and
   * goes on with what an earlier process has left. Tasks that go on run with the layer's `ToolExecutor`. Fails with `JournalError`
   * (`Owned`, `Version`, `Damaged`, and `Unavailable` where another process locks the SQLite file for a lease), with `MigrationError`
   * where the tables cannot be made, and with `SqlError` where the database does not answer. Dies on options that are out of range, and on a client of another database.
   */
  layer: (options: DurableOptions = {}): Layer.Layer<
    TaskManager | TaskJournal,
    JournalError | Migrator.MigrationError | SqlError,
    SqlClient.SqlClient | ToolExecutor
  > => Layer.scopedContext(make(options)),
  /** Creates the tables of the journal or brings them up to date, as the layer does; for deployments that do it in a step of its own. Fails as the layer does where it cannot. */
  migrate: schema.migrate
}
