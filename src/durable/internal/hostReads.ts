/** What a caller is answered of tasks that have settled and that memory has forgotten: as long as their rows are there. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TaskNotFound, TaskNotRunning, TaskNotSuspended } from "../../errors.js"
import { nothingUsed } from "../../machine/ledger.js"
import { settledStatusesOf } from "../../machine/queries.js"
import type { StoredTask } from "../../machine/restore.js"
import type { TaskId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskHistoryQuery } from "../../model/TaskHistory.js"
import type { OutputRange, TaskOutput } from "../../model/TaskOutput.js"
import type { Check } from "../../runtime/journal/holding.js"
import type { JournalWriter } from "../../runtime/journal/JournalWriter.js"
import { inputOf, withInputs } from "../../services/internal/inputs.js"
import { TaskManager, type TaskManagerHandle } from "../../services/TaskManager.js"
import { checkUsageFilter } from "../../shared/checkUsage.js"
import type { OutputRing } from "../../shared/OutputRing.js"
import { checkHistoryQuery } from "../../shared/refusals.js"
import { isStorable } from "./checks.js"
import { patientReads } from "./patientReads.js"
import { inputOfStored } from "./rows.js"
import { readablePage, type SettledRows } from "./settledRows.js"
import type { Tables } from "./tables.js"

/** Where the answers come from. `Stored`: a row as its database gives it. */
interface HostReads<Stored> {
  readonly journal: JournalWriter
  readonly rows: Pick<SettledRows<Stored>, "page" | "read" | "find">
  /** Reads a row; one that cannot be read is told of, and left out. */
  readonly readOrWarn: (row: Stored) => Effect.Effect<Option.Option<StoredTask>>
  /** What is written down of the output of a task, by the number of its row. */
  readonly readOutput: (number: number) => Effect.Effect<OutputRing | undefined, SqlError>
  readonly fail: Tables["fail"]
  /** Comes before whatever waits for a write. */
  readonly check: Check
}

export const withStoredTasks = <Stored>(
  manager: TaskManager["Type"],
  { check, fail, journal, readOrWarn, readOutput, rows }: HostReads<Stored>
): TaskManager["Type"] => {
  const { handle } = manager
  const { keepsOutput, keepsSettled } = journal.journal

  const patiently = patientReads(journal, fail)

  const find = (id: TaskId): Effect.Effect<Option.Option<StoredTask>> =>
    Effect.suspend(() =>
      journal.isClosed || !isStorable(id) ? Effect.succeedNone : patiently(rows.find(id, readOrWarn))
    )

  /** Answers with what is stored where memory knows nothing of the task. */
  const orStored = <A, E, R, B, F>(
    answer: Effect.Effect<A, E | TaskNotFound, R>,
    id: TaskId,
    ofStored: (task: StoredTask) => Effect.Effect<B, F>
  ): Effect.Effect<A | B, E | F | TaskNotFound, R> =>
    Effect.catchIf(
      answer,
      (error): error is TaskNotFound => keepsSettled && isNotFound(error) && error.taskId === id,
      () =>
        Effect.flatMap(
          find(id),
          Option.match({
            onNone: (): Effect.Effect<B, F | TaskNotFound> => new TaskNotFound({ taskId: id }),
            onSome: ofStored
          })
        )
    )

  const hasSettled = (task: StoredTask) =>
    new TaskNotRunning({ taskId: task.snapshot.id, status: task.snapshot.status })

  const history = (query: TaskHistoryQuery = {}): ReturnType<TaskManagerHandle["history"]> =>
    Effect.suspend(() => {
      const { before, filter, limit } = checkHistoryQuery(query)
      if (journal.isGone) return journal.farewell
      if (!isStorable(filter?.sessionId)) return Effect.succeed({ tasks: [] })
      if (!keepsSettled || journal.isClosed) return handle.history(query)
      const statuses = settledStatusesOf(filter ?? {})
      return Effect.map(
        patiently(readablePage(rows, readOrWarn, { before, limit, sessionId: filter?.sessionId, statuses })),
        ({ tasks, ...next }) => ({ tasks: tasks.map(({ snapshot }) => snapshot), ...next })
      )
    })

  const get: TaskManagerHandle["get"] = (id) => orStored(handle.get(id), id, ({ snapshot }) => Effect.succeed(snapshot))

  /** What is written down of the output of a task, or what else there is of it. */
  const storedOutput = <E>(
    { order }: StoredTask,
    range: OutputRange,
    otherwise: Effect.Effect<TaskOutput, E>
  ): Effect.Effect<TaskOutput, E> =>
    Effect.flatMap(
      patiently(readOutput(order)),
      (ring) => ring === undefined ? otherwise : Effect.succeed(ring.read(range))
    )

  /** That of a settled task is in its rows, whatever memory has of it. */
  const output: TaskManagerHandle["output"] = (id, range = {}) => {
    const ofMemory = handle.output(id, range)
    // its rows may have gone since memory was asked, and memory has forgotten it then
    const still = (known: TaskOutput) => Effect.as(handle.get(id), known)
    // or between the read of its row and that of its output
    const none = Effect.flatMap(
      find(id),
      (task) => Option.isSome(task) ? Effect.succeed(noOutput) : new TaskNotFound({ taskId: id })
    )
    return orStored(
      keepsOutput
        ? Effect.flatMap(ofMemory, (known) =>
          Effect.flatMap(handle.get(id), (snapshot) =>
            isSettled(snapshot)
              ? Effect.flatMap(
                find(id),
                (task) => Option.isSome(task) ? storedOutput(task.value, range, still(known)) : still(known)
              )
              : Effect.succeed(known)))
        : ofMemory,
      id,
      (task) => keepsOutput ? storedOutput(task, range, none) : Effect.succeed(noOutput)
    )
  }

  const input = (id: TaskId): Effect.Effect<string | undefined> =>
    Effect.flatMap(
      inputOf(handle, id),
      (known) => known === undefined ? Effect.map(find(id), inputOfStored) : Effect.succeed(known)
    )

  return TaskManager.of({
    ...manager,
    takeResult: (id) =>
      orStored(manager.takeResult(id), id, (task) =>
        Effect.catchIf(wasDelivered(task), isNotFound, (error) =>
          // it does not wait for writes, and that it was taken may be about to be written
          Effect.withFiberRuntime(({ currentContext }) => {
            check(currentContext)
            return Effect.zipRight(journal.synced, find(id)).pipe(
              Effect.flatMap(Option.match({ onNone: () => error, onSome: wasDelivered }))
            )
          }))),
    consumeResult: (id, use) => orStored(manager.consumeResult(id, use), id, wasDelivered),
    // one that is stored has settled
    waitForTask: (ids, options) =>
      Effect.catchIf(
        manager.waitForTask(ids, options),
        (error): error is TaskNotFound => keepsSettled && isNotFound(error),
        () => Effect.forEach(ids, get, { discard: true })
      ),
    rejectApproval: (options) =>
      orStored(
        manager.rejectApproval(options),
        options.taskId,
        ({ snapshot: { status } }) => new TaskNotSuspended({ taskId: options.taskId, status })
      ),
    handle: withInputs({
      ...handle,
      history,
      get,
      result: (id) => orStored(handle.result(id), id, ({ result }) => Effect.succeed(Option.fromNullable(result))),
      output,
      usage: (filter = {}) =>
        Effect.suspend(() => {
          checkUsageFilter(filter)
          return filter.taskId === undefined
            ? handle.usage(filter)
            : orStored(
              handle.usage(filter),
              filter.taskId,
              ({ snapshot }) => Effect.succeed(snapshot.usage ?? nothingUsed)
            )
        }),
      cancel: (id) => orStored(handle.cancel(id), id, () => Effect.void),
      detach: (id) => orStored(handle.detach(id), id, hasSettled),
      steer: (id, message) => orStored(handle.steer(id, message), id, hasSettled),
      setContinuePolicy: (id, policy) => orStored(handle.setContinuePolicy(id, policy), id, hasSettled),
      setDeliveryMode: (id, mode) => orStored(handle.setDeliveryMode(id, mode), id, hasSettled),
      setPriority: (id, priority) => orStored(handle.setPriority(id, priority), id, hasSettled)
    }, input)
  })
}

const isNotFound = (error: unknown): error is TaskNotFound => error instanceof TaskNotFound

const noOutput: TaskOutput = { text: "", start: 0, end: 0, total: 0 }

/** A result that nobody has taken stays in its queue, where the id does not find it any more. */
const wasDelivered = (task: StoredTask): Effect.Effect<Option.Option<never>, TaskNotFound> =>
  task.undelivered.result === undefined ? Effect.succeedNone : new TaskNotFound({ taskId: task.snapshot.id })
