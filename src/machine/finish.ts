/**
 * How a launch ends and how a task settles. `settle` is the only place that gives a task its terminal status: it decides
 * once, writes the result, delivers it and announces it, in one step.
 */
import type { ApprovalRequired, ToolError } from "../errors.js"
import type { TaskApproval } from "../model/Approval.js"
import { isEmptyObject, jsonCopy, shownInput } from "../model/json.js"
import type { TaskSnapshot } from "../model/Task.js"
import { TaskResolution } from "../model/TaskResolution.js"
import type { ToolRequest, ToolResult, ToolResultPart } from "../model/ToolCall.js"
import type { JsonFault } from "../shared/toJson.js"
import { deliverApproval, deliverItem, withdrawApproval } from "./delivery.js"
import { leaveSame, takeJoined } from "./duplicates.js"
import * as events from "./events.js"
import { remember, settledMemory } from "./history.js"
import { meterAsks, meterEnds } from "./ledger.js"
import { closeInbox, endReading } from "./messages.js"
import { refuseResumes } from "./pending.js"
import { grant, vacate } from "./places.js"
import { ask } from "./questions.js"
import * as results from "./results.js"
import { settled } from "./snapshots.js"
import { releaseTurn } from "./state/Session.js"
import type { SettledTask, TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import { withWhatItTold } from "./told.js"
import { passOnWaits, uncount, wakeTaskWaits, wakeUncounted } from "./waiting.js"

/** How a task ends. */
export type Ending =
  | { readonly _tag: "Completed"; readonly result: ToolResult }
  | { readonly _tag: "Failed"; readonly error: ToolError }
  | { readonly _tag: "Cancelled" }

/** How the tool of one launch ended. */
export type LaunchExit =
  | Ending
  | { readonly _tag: "ApprovalRequired"; readonly approval: ApprovalRequired["approval"] }

/** How a launch ends. `asking` is the token that an answer must bring back. */
export type LaunchEnd =
  | Ending
  | Extract<LaunchExit, { readonly _tag: "ApprovalRequired" }> & { readonly asking: string }

const progressOf = ({ snapshot }: TaskRecord): results.Progress =>
  snapshot.status === "Suspended"
    ? "AwaitingApproval"
    : snapshot.startedAt === undefined
    ? "NotStarted"
    : "Running"

const resultOf = (table: TaskTable, task: TaskRecord, ending: Ending) => {
  // before anything is made that only the others need
  if (ending._tag === "Completed") return results.completedResult(task.request, ending.result.result)
  const told = (text: string) => withWhatItTold(table, task, text)
  switch (ending._tag) {
    case "Failed":
      return results.failedResult(task.request, ending.error, told)
    case "Cancelled":
      return results.cancelledResult(task.request, progressOf(task), told)
  }
}

/** What the launch leaves running does not work for the task any more, and nothing watches it. */
const endLaunch = (table: TaskTable, { runtime, snapshot }: TaskRecord): void => {
  if (runtime === undefined) return
  runtime.lastKind = snapshot.kind
  runtime.task = undefined
  table.consequences.ended.push(runtime)
}

/** What the task has asked, if it has, is not asked any more. */
export const forgetQuestion = (table: TaskTable, task: TaskRecord): void => {
  withdrawApproval(table, task)
  if (task.asked !== undefined) table.inbox.version++
  task.asked = undefined
  if (task.askedAt === undefined) return
  task.askedAt = undefined
  table.consequences.questions.push(task)
}

/** The result of the first of the same calls as the answer to another one, whose own metadata wins over that of the first. */
const joinedResult = ({ request }: TaskRecord, first: ToolResultPart): ToolResultPart => ({
  ...first,
  callId: request.callId,
  metadata: isEmptyObject(request.metadata) ? first.metadata : { ...first.metadata, ...request.metadata }
})

/** Ends a live task, and with it the same calls that have joined it. `first`: the result of the one that it had joined. */
export const settle = (
  table: TaskTable,
  task: TaskRecord,
  ending: Ending,
  now: number,
  first?: ToolResultPart
): void => {
  const result = first === undefined ? resultOf(table, task, ending) : joinedResult(task, first)
  if (task.duplicates !== undefined) leaveSame(table, task)
  // those that had joined a cancelled one are woken below, and go on without it
  const joined = ending._tag === "Cancelled" ? [] : takeJoined(table, task)
  if (task.snapshot.status !== "Suspended") uncount(table, task)
  forgetQuestion(table, task)
  refuseResumes(table, task)
  vacate(table, task)
  const duration = ending._tag === "Completed" ? ending.result.duration : undefined
  const ended = settled(task.snapshot, ending._tag, now, duration)
  const snapshot = events.change(
    table,
    task,
    task.meter === undefined ? ended : meterEnds(table, task.meter, task, ended)
  )
  const kept: SettledTask = {
    isLive: false,
    bornAfter: task.bornAfter,
    // nothing else is announced before it
    seq: table.seq + 1,
    snapshot,
    result,
    input: task.input,
    bytes: settledMemory(snapshot, result, task.input),
    output: task.output,
    undelivered: undefined
  }
  if (task.output !== undefined) table.journal?.outputEnds(task, task.output)
  remember(table, kept)
  task.leave(table)
  switch (ending._tag) {
    case "Completed":
      events.completed(table, now, snapshot, result)
      break
    case "Failed":
      events.failed(table, now, snapshot, ending.error, result)
      break
    case "Cancelled":
      events.cancelled(table, now, snapshot)
  }
  const metadata = ending._tag === "Completed" ? ending.result.metadata : undefined
  table.journal?.settled(task, kept, table.seq, metadata)
  const toLoop = deliverItem(table, task, kept, results.itemOf(snapshot.id, result, metadata))
  if (toLoop && snapshot.continuePolicy === "RequestContinue") events.requestContinue(table, now, snapshot)
  const { session } = task
  if (session.closed && !table.closedSessions.has(session.id)) events.sessionClosed(table, now, session.id)
  if (task.settledWaiters !== undefined) {
    for (const wake of task.settledWaiters) table.consequences.woken.push(wake)
    task.settledWaiters = undefined
  }
  wakeTaskWaits(table, task)
  closeInbox(table, task)
  endLaunch(table, task)
  passOnWaits(table, task)
  grant(table, now)
  wakeUncounted(table, task)
  releaseTurn(table, task.turn)
  for (const one of joined) settle(table, one, ending, now, result)
}

/** A copy of the call that cannot be changed: what is shown is what will run. A fault where its input cannot be shown. */
export const shownRequest = (
  request: ToolRequest
): { readonly _tag: "Shown"; readonly toolRequest: ToolRequest } | JsonFault => {
  const input = shownInput(request.input)
  if (input._tag === "JsonFault") return input
  const metadata = jsonCopy(request.metadata, { freeze: true })
  return { _tag: "Shown", toolRequest: Object.freeze({ ...request, input: input.value, metadata }) }
}

/** A task asks, or fails where nobody can be shown what it would do. It is counted as active until then. */
export const suspend = (
  table: TaskTable,
  task: TaskRecord,
  { approval, asking }: Extract<LaunchEnd, { readonly _tag: "ApprovalRequired" }>,
  now: number
): void => {
  const shown = shownRequest(task.request)
  if (shown._tag === "JsonFault") {
    settle(table, task, { _tag: "Failed", error: results.unshowable(task.request, shown) }, now)
    return
  }
  const { toolRequest } = shown
  const { id: taskId } = task.snapshot
  const asked: TaskApproval = Object.freeze({
    taskId,
    toolRequest,
    approval: Object.freeze({ ...approval, taskId, callId: toolRequest.callId, asking })
  })
  task.request = toolRequest
  ask(table, task, asked)
  uncount(table, task)
  vacate(table, task)
  task.suspend(table)
  if (task.budgets !== undefined && task.budgets.approval !== Infinity) {
    task.askedAt = now
    table.consequences.questions.push(task)
  }
  const suspended: TaskSnapshot = { ...task.snapshot, status: "Suspended" }
  const snapshot = events.change(
    table,
    task,
    task.meter === undefined ? suspended : meterAsks(task.meter, suspended)
  )
  events.awaitingApproval(table, now, snapshot, asked.approval)
  task.askedIn = table.seq
  const toLoop = deliverApproval(table, task, TaskResolution.Approval({ approval: asked }))
  if (toLoop && snapshot.continuePolicy === "RequestContinue") events.requestContinue(table, now, snapshot)
  wakeTaskWaits(table, task)
  endReading(table, task)
  endLaunch(table, task)
  passOnWaits(table, task)
  grant(table, now)
  wakeUncounted(table, task)
}

/** How a task ends whose end was decided before its launch was over. */
export const decidedEnding = (task: TaskRecord): Ending =>
  task.cancelReason === "LimitReached" && task.reached !== undefined
    ? { _tag: "Failed", error: results.limitReached(task.request, task.reached) }
    : task.cancelReason === "TimedOut"
    ? {
      _tag: "Failed",
      error: results.timedOut(task.request, task.overrun ?? { _tag: "Timeout", millis: task.timeout })
    }
    : { _tag: "Cancelled" }

/** The fiber of a launch has ended. What was decided while it ran wins over how it ended. */
export const launchEnded = (
  table: TaskTable,
  task: TaskRecord,
  launch: number,
  exit: LaunchEnd,
  now: number
): void => {
  // an abandoned tool that ends after all, or one of an earlier launch
  if (task.snapshot.launch !== launch) return
  if (task.snapshot.status === "Cancelling") settle(table, task, decidedEnding(task), now)
  else if (task.snapshot.status === "Running") {
    if (exit._tag === "ApprovalRequired") suspend(table, task, exit, now)
    else settle(table, task, exit, now)
  }
}

/** The tool of a cancelled launch did not end within its grace period. Returns whether that is news. */
export const abandon = (table: TaskTable, task: TaskRecord, launch: number, now: number): boolean => {
  if (task.snapshot.launch !== launch || task.snapshot.status !== "Cancelling") return false
  settle(table, task, decidedEnding(task), now)
  return true
}
