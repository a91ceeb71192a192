/**
 * What an earlier process left, brought back into an empty table in one step: first `restore` puts every task where it was, then
 * `revive` decides about each one that was to run.
 *
 * | it was                              | it is                                                              |
 * | ----------------------------------- | ------------------------------------------------------------------ |
 * | Queued                              | admitted again, the same launch                                    |
 * | Running, and may run again          | admitted again, the next launch, with the same approval            |
 * | Running otherwise                   | Failed (`Interrupted`); its result goes where it would have gone   |
 * | Cancelling                          | Cancelled or Failed (`TimedOut`, `LimitReached`), as was decided   |
 * | Suspended                           | Suspended; what it asks is undelivered again if nobody took it     |
 * | Suspended, its input lost or not shown | Failed (`Interrupted`): approved, it would run without it       |
 * | live in a session that was closed   | Cancelled; nothing is delivered                                    |
 * | settled, its result undelivered     | its result is in its queue under its old number                    |
 * | Queued, and had joined the same call | joins it again, and ends as that does; Queued where it has gone   |
 * | settled                             | in the history                                                     |
 */
import type { ApprovalRequest } from "../model/Approval.js"
import type { SessionId, TaskId } from "../model/ids.js"
import { jsonCopy, type Metadata } from "../model/json.js"
import type { CancelReason, TaskSnapshot } from "../model/Task.js"
import { TaskResolution, TurnTaskUpdate } from "../model/TaskResolution.js"
import type { ToolRequest, ToolResultPart } from "../model/ToolCall.js"
import type { ReachedLimit } from "../model/Usage.js"
import type { OutputRing } from "../shared/OutputRing.js"
import { sendAgain } from "./delivery.js"
import { duplicatesOf, lead } from "./duplicates.js"
import * as events from "./events.js"
import { adopt } from "./family.js"
import { decidedEnding, settle, shownRequest } from "./finish.js"
import { remember, settledMemory } from "./history.js"
import { meterAgain, meterSpends, openMeter } from "./ledger.js"
import { rememberCall } from "./pending.js"
import { askAgain } from "./questions.js"
import * as results from "./results.js"
import { assignLane, handOver } from "./start.js"
import type { Budgets, Overrun } from "./state/Budgets.js"
import type { DuplicatePolicy } from "./state/Duplicates.js"
import type { Limit } from "./state/Ledger.js"
import { ensureSession, ensureTurn, releaseTurn, type Session } from "./state/Session.js"
import { type Answers, type SettledTask, TaskRecord, type TaskRuntime } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { Brings } from "./state/Undelivered.js"
import { count } from "./waiting.js"

/** A task as it was written down last. */
export interface StoredTask {
  /** As `TaskRecord.order`. */
  readonly order: number
  readonly request: ToolRequest
  /** What the tool was given could not be written down, so it cannot run again. */
  readonly isInputLost: boolean
  readonly snapshot: TaskSnapshot
  readonly timeout: number
  /** From when it was created. */
  readonly detachAfter: number
  readonly budgets: Budgets | undefined
  readonly cancelReason: CancelReason | undefined
  readonly overrun: Overrun | undefined
  readonly childPolicy: "cancel" | "keep" | undefined
  readonly duplicates: DuplicatePolicy | undefined
  /** As in `TaskRecord`, and the limit of its own costs. */
  readonly reached: ReachedLimit | undefined
  readonly asksForLimit: boolean
  readonly limit: Limit | undefined
  /** What is asked while it is Suspended, and since when where that has a limit. */
  readonly asked: ApprovalRequest | undefined
  readonly askedAt: number | undefined
  /** As in `TaskRecord`; an earlier version has not written it. */
  readonly askedIn: number | undefined
  /** What the last launch was approved with. */
  readonly approval: ApprovalRequest | undefined
  /** What was answered to its questions, by their ids. */
  readonly answers: Answers | undefined
  /** The number of its terminal event. */
  readonly settled: number | undefined
  readonly result: ToolResultPart | undefined
  readonly itemMetadata: Metadata | undefined
  /** The snapshot of the notice that it was detached, while that is undelivered. */
  readonly detached: TaskSnapshot | undefined
  /** The numbers of what is undelivered. */
  readonly undelivered: { readonly [Kind in Brings]?: number | undefined }
  /** What it has written, where it goes on. */
  readonly output: OutputRing | undefined
  readonly isClosed: boolean
  /** The host does not see it any more; its result is undelivered. */
  readonly isForgotten: boolean
}

/** A task that was to run, or was to end. */
export interface Revival {
  readonly task: TaskRecord
  readonly stored: StoredTask
}

const closedSession = (table: TaskTable, id: SessionId): Session => {
  const known = table.closedSessions.get(id)
  for (const session of known ?? []) return session
  // what a closed session holds is out of the index: the id may be in use again
  const open = table.sessions.get(id)
  table.sessions.delete(id)
  const session = ensureSession(table, id)
  table.sessions.delete(id)
  if (open !== undefined) table.sessions.set(id, open)
  session.closed = true
  table.closedSessions.set(id, new Set([session]))
  return session
}

interface Undelivered {
  readonly task: TaskRecord
  readonly stored: StoredTask
  readonly kept: SettledTask | undefined
}

const keep = (
  table: TaskTable,
  task: TaskRecord,
  stored: StoredTask,
  result: ToolResultPart,
  isReplaced: boolean
): SettledTask => {
  const { snapshot } = stored
  const kept: SettledTask = {
    isLive: false,
    bornAfter: 0,
    seq: stored.settled ?? 0,
    snapshot,
    result,
    // its row has it
    input: undefined,
    bytes: settledMemory(snapshot, result),
    output: undefined,
    undelivered: undefined
  }
  table.journal?.settled(task, kept, stored.settled ?? 0, stored.itemMetadata)
  if (!stored.isForgotten && !isReplaced) remember(table, kept)
  task.leave(table)
  return kept
}

const suspend = (
  table: TaskTable,
  task: TaskRecord,
  toolRequest: ToolRequest,
  asked: ApprovalRequest,
  { askedAt, askedIn }: StoredTask
): void => {
  task.askedIn = askedIn
  if (askedAt !== undefined) {
    task.askedAt = askedAt
    table.consequences.questions.push(task)
  }
  const { snapshot } = task
  task.request = toolRequest
  // they were read from a row, and are shown as they are
  const approval = jsonCopy(asked, { freeze: true })
  askAgain(table, task, Object.freeze({ taskId: snapshot.id, toolRequest, approval }))
  task.suspend(table)
}

/** What a delivery of the task says; undefined where the row does not have it. */
const resolutionOf = ({ kept, stored, task }: Undelivered, brings: Brings) => {
  switch (brings) {
    case "detached":
      return stored.detached === undefined ? undefined : TurnTaskUpdate.Detached({ snapshot: stored.detached })
    case "approval":
      return task.asked === undefined ? undefined : TaskResolution.Approval({ approval: task.asked })
    case "result":
      return kept === undefined ? undefined : results.itemOf(kept.snapshot.id, kept.result, stored.itemMetadata)
  }
}

/**
 * Brings the tasks back, `settled` ones in the order in which they settled. Returns those to be revived, in the order
 * in which they get their places: the highest priority first, then as they were started.
 */
export const restore = (table: TaskTable, tasks: ReadonlyArray<StoredTask>): ReadonlyArray<Revival> => {
  // there may be rows with higher numbers than those that were read
  const { lastTask, seq } = table
  // a reader that saw their events before the restart has missed some since
  table.seq = 0
  const restored: Array<Undelivered> = []
  // an id that was used again is that of the task that has it now
  const lastOf = new Map<TaskId, number>()
  for (const { order, snapshot: { id } } of tasks) lastOf.set(id, Math.max(order, lastOf.get(id) ?? 0))
  const revivals: Array<Revival> = []
  const asking: Array<{
    readonly task: TaskRecord
    readonly toolRequest: ToolRequest
    readonly asked: ApprovalRequest
    readonly stored: StoredTask
  }> = []
  for (const stored of [...tasks].sort((left, right) => left.order - right.order)) {
    const { asked, isClosed, isInputLost, request, snapshot } = stored
    const session = isClosed && stored.settled === undefined
      ? closedSession(table, snapshot.sessionId)
      : ensureSession(table, snapshot.sessionId)
    table.lastTask = stored.order - 1
    const task = new TaskRecord(table, ensureTurn(session, snapshot.turnId), request, snapshot)
    assignLane(table, task)
    task.timeout = stored.timeout
    task.detachAfter = stored.detachAfter
    task.budgets = stored.budgets
    task.cancelReason = stored.cancelReason
    task.overrun = stored.overrun
    task.childPolicy = stored.childPolicy
    task.reached = stored.reached
    task.asksForLimit = stored.asksForLimit
    // a parent has a lower number, and is here already if it is live
    const parent = snapshot.parentTaskId === undefined ? undefined : table.tasks.get(snapshot.parentTaskId)
    if (stored.settled === undefined && parent?.isLive === true) adopt(parent, task)
    task.approval = stored.approval
    task.answers = stored.answers
    task.output = stored.output
    restored.push({ task, stored, kept: undefined })
    if (stored.settled !== undefined) continue
    table.tasks.set(snapshot.id, task)
    if (table.ledger !== undefined) {
      task.meter = openMeter(table.ledger, task, stored.limit)
      if (snapshot.usage !== undefined) meterAgain(table.ledger, task.meter, snapshot.usage)
      if (snapshot.status === "Suspended") meterSpends(task.meter, "approvalMillis")
    }
    task.duplicates = duplicatesOf(request, stored.duplicates)
    if (snapshot.joinedTaskId === undefined) lead(task)
    rememberCall(table, task.turn, request.callId, task)
    const shown = snapshot.status === "Suspended" && !isClosed && !isInputLost ? shownRequest(request) : undefined
    if (shown?._tag === "Shown" && asked !== undefined) {
      asking.push({ task, asked, toolRequest: shown.toolRequest, stored })
    } else revivals.push({ task, stored })
  }
  for (const { asked, stored, task, toolRequest } of asking.sort((left, right) => askedIn(left) - askedIn(right))) {
    suspend(table, task, toolRequest, asked, stored)
  }
  table.seq = seq
  table.lastTask = Math.max(lastTask, table.lastTask)
  const settledIn = (one: Undelivered): number => one.stored.settled ?? Infinity
  // the difference of two that are live is NaN
  const bySettling = [...restored].sort((left, right) => settledIn(left) - settledIn(right) || 0)
  const deliveries: Array<{ readonly of: Undelivered; readonly brings: Brings; readonly order: number }> = []
  for (const { stored, task } of bySettling) {
    const kept = stored.settled === undefined || stored.result === undefined
      ? undefined
      : keep(table, task, stored, stored.result, lastOf.get(stored.snapshot.id) !== stored.order)
    for (const brings of ["result", "approval", "detached"] as const) {
      const order = stored.undelivered[brings]
      if (order !== undefined && !stored.isClosed) deliveries.push({ of: { stored, task, kept }, brings, order })
    }
  }
  for (const { brings, of, order } of deliveries.sort((left, right) => left.order - right.order)) {
    const resolution = resolutionOf(of, brings)
    if (resolution !== undefined) sendAgain(table, of.task, brings, order, resolution, of.kept)
  }
  for (const { task: { turn } } of restored) if (!turn.session.closed) releaseTurn(table, turn)
  // they are admitted one after the other, and the first takes the place; what had joined a call joins it before that may end
  return revivals.sort((left, right) =>
    Number(hasJoined(right)) - Number(hasJoined(left)) || right.task.priority - left.task.priority
  )
}

const askedIn = ({ stored }: { readonly stored: StoredTask }): number => stored.askedIn ?? 0

const hasJoined = ({ task }: Revival): boolean => task.snapshot.joinedTaskId !== undefined

const isOver = ({ stored: { isClosed, snapshot: { status } } }: Revival): boolean => isClosed || status === "Cancelling"

/** Whether the task is to run. `mayRepeat`: a tool that was running may run again. */
export const isRunnable = (revival: Revival, mayRepeat: boolean): boolean => {
  const { isInputLost, snapshot: { status } } = revival.stored
  // what waits for an approval and cannot be shown never runs
  return !isOver(revival) && !isInputLost && status !== "Suspended" && (mayRepeat || status === "Queued")
}

/** Decides about a task; `runtime` is that of its launch, if it is to run. */
export const revive = (table: TaskTable, revival: Revival, runtime: TaskRuntime | undefined, now: number): void => {
  const { stored, task } = revival
  const { request, snapshot } = stored
  if (snapshot.status !== "Suspended") count(table, task)
  events.recovered(table, now, snapshot)
  if (isOver(revival)) {
    settle(table, task, decidedEnding(task), now)
    return
  }
  if (runtime === undefined) {
    settle(table, task, { _tag: "Failed", error: results.interrupted(request) }, now)
    return
  }
  task.snapshot = { ...snapshot, launch: launchOf(revival), status: "Queued" }
  // what is left of it, over any number of restarts
  task.detachAfter = Math.max(0, snapshot.createdAt + task.detachAfter - now)
  task.detachFrom = now
  handOver(table, task, runtime, now)
}

/** Which launch of the task comes next. */
export const launchOf = ({ stored: { snapshot } }: Revival): number =>
  snapshot.status === "Queued" ? snapshot.launch : snapshot.launch + 1
