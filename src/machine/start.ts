/** How a task comes to life, and how a suspended one is resumed. */
import type { ApprovalMismatchField } from "../errors.js"
import type { ApprovalRequest } from "../model/Approval.js"
import { copyRequest } from "../model/copyRequest.js"
import { type SessionId, TaskId } from "../model/ids.js"
import { jsonCopy } from "../model/json.js"
import type { RetryRule } from "../model/RetryRule.js"
import type { ContinuePolicy, DeliveryMode, TaskKind, TaskLaunchRequest, TaskSnapshot } from "../model/Task.js"
import { inputText } from "../shared/inputText.js"
import { duplicatesOf, joinOrLead, lead } from "./duplicates.js"
import { adopt } from "./family.js"
import { forgetQuestion, settle, suspend } from "./finish.js"
import { type Broken, meterResumes, openMeter } from "./ledger.js"
import { refuseResumes, rememberCall } from "./pending.js"
import { admit } from "./places.js"
import { differs, openQuestions } from "./questions.js"
import * as results from "./results.js"
import type { Budgets } from "./state/Budgets.js"
import type { DuplicatePolicy } from "./state/Duplicates.js"
import type { Limit } from "./state/Ledger.js"
import { ensureSession, ensureTurn } from "./state/Session.js"
import { type InlineCaller, TaskRecord, type TaskRuntime } from "./state/TaskRecord.js"
import { laneOf, type TaskTable } from "./state/TaskTable.js"
import { count } from "./waiting.js"

/** What routing decided for one launch. Times are milliseconds, Infinity for never. */
export interface Route {
  readonly kind: TaskKind
  readonly deliveryMode: DeliveryMode
  readonly continuePolicy: ContinuePolicy
  readonly timeout: number
  readonly detachAfter: number
  /** One of the table's lanes; undefined for none. */
  readonly lane: string | undefined
  readonly priority: number
  readonly budgets: Budgets | undefined
  readonly retry: RetryRule | undefined
  readonly children: "cancel" | "keep" | undefined
  readonly duplicates: DuplicatePolicy | undefined
  /** Of what the task itself reports; undefined for that of the configuration. */
  readonly limit: Limit | undefined
}

/** Who starts the task, where that matters: the task whose tool called, and the caller that waits for the resolution. */
export interface Starter {
  readonly inlineCaller: InlineCaller | undefined
  readonly parent: TaskRecord | undefined
  /** The turn of the call was interrupted before it was accepted, and may have drained since. */
  readonly isInterrupted?: boolean
  /** The limit that is reached, where a human is to be asked whether the call may run, and the token of that question. */
  readonly asks?: { readonly broken: Broken; readonly asking: string } | undefined
}

export type StartRefusal = "Shutdown" | "AlreadyExists"

const nextTaskId = (table: TaskTable): TaskId => {
  for (;;) {
    // never empty, so the check of the constructor is not needed
    const id = TaskId.make(`task-${++table.lastTaskNumber}`, { disableValidation: true })
    if (!table.tasks.has(id)) return id
  }
}

/** Why a plain launch cannot start, if so. */
export const refusal = (table: TaskTable, taskId: TaskId | undefined): StartRefusal | undefined =>
  table.closing ? "Shutdown" : taskId !== undefined && table.tasks.has(taskId) ? "AlreadyExists" : undefined

/** The limit that a new task of the session would break, if any. What was accepted before is never dropped for it. */
export const limitReached = (table: TaskTable, sessionId: SessionId): "maxLive" | "maxUndelivered" | undefined => {
  const { live, undelivered } = table.limits
  if (table.live.size >= live) return "maxLive"
  // most managers set no limit, and then the session need not be looked up
  if (undelivered === Infinity) return undefined
  const session = table.sessions.get(sessionId)
  if (session === undefined) return undefined
  return session.undelivered.count + session.inHand >= undelivered ? "maxUndelivered" : undefined
}

/** Most calls are in no lane and have no priority, and pay for neither. */
const isPlain = ({ lane, priority }: Route): boolean => lane === undefined && priority === 0

const withMore = (
  snapshot: TaskSnapshot,
  { lane, priority }: Route,
  parent: TaskRecord | undefined
): TaskSnapshot => ({
  ...snapshot,
  ...(parent === undefined ? undefined : { parentTaskId: parent.snapshot.id }),
  ...(lane === undefined ? undefined : { lane }),
  ...(priority === 0 ? undefined : { priority })
})

/** The lane that its snapshot names; none if the configuration does not know it any more. */
export const assignLane = (table: TaskTable, task: TaskRecord): void => {
  const { lane } = task.snapshot
  task.lane = (lane === undefined ? undefined : laneOf(table, lane)) ?? table.lanes[0]
}

/** Starts a task that neither `refusal` nor `limitReached` has anything against. `runtime` will run its tool. */
export const startPlain = (
  table: TaskTable,
  launch: TaskLaunchRequest.Plain,
  route: Route,
  starter: Starter,
  runtime: TaskRuntime,
  now: number
): TaskRecord => {
  // its caller may change the call later
  const request = copyRequest(launch.request)
  const session = ensureSession(table, request.sessionId)
  const turn = ensureTurn(session, request.turnId)
  const snapshot: TaskSnapshot = {
    id: launch.taskId ?? nextTaskId(table),
    sessionId: request.sessionId,
    turnId: request.turnId,
    callId: request.callId,
    toolName: request.toolName,
    kind: route.kind,
    status: "Queued",
    launch: 1,
    deliveryMode: launch.deliveryMode ?? route.deliveryMode,
    continuePolicy: launch.continuePolicy ?? route.continuePolicy,
    createdAt: now,
    metadata: request.metadata
  }
  const { parent } = starter
  const task = new TaskRecord(
    table,
    turn,
    request,
    isPlain(route) && parent === undefined ? snapshot : withMore(snapshot, route, parent)
  )
  if (table.limits.keepsInputs) task.input = inputText(request.input)
  if (route.lane !== undefined) assignLane(table, task)
  if (parent !== undefined) adopt(parent, task)
  if (table.ledger !== undefined) task.meter = openMeter(table.ledger, task, route.limit)
  if (route.duplicates !== undefined) task.duplicates = duplicatesOf(request, route.duplicates)
  table.tasks.set(snapshot.id, task)
  rememberCall(table, turn, request.callId, task)
  begin(table, task, route, starter, runtime, now)
  return task
}

/** What in an approved launch differs from what was asked, if anything does; `"answers"` where a question has none yet. */
export const mismatch = (table: TaskTable, launch: TaskLaunchRequest.Approved): ApprovalMismatchField | undefined => {
  const field = differs(table, launch)
  if (field !== undefined) return field
  const task = table.tasks.get(launch.taskId)
  return task?.isLive === true && task.asked !== undefined && openQuestions(task.asked).length > 0
    ? "answers"
    : undefined
}

/** What differs in an approved launch whose question was asked when it came, and is not any more. */
export const overtaken = ({ approval }: TaskLaunchRequest.Approved): ApprovalMismatchField =>
  approval.asking === undefined ? "status" : "asking"

/** The suspended task that an approved launch means; undefined unless `mismatch` has nothing against it. */
export const findSuspended = (table: TaskTable, launch: TaskLaunchRequest.Approved): TaskRecord | undefined => {
  const task = table.tasks.get(launch.taskId)
  return task?.isLive === true && mismatch(table, launch) === undefined ? task : undefined
}

/** The tool need not know with what its question was answered, so it cannot give that away. */
const withoutAsking = (shown: ApprovalRequest): ApprovalRequest => {
  const { asking: _, ...approval } = shown
  return Object.freeze(approval)
}

/** Runs a suspended task again, with the call and the approval that were shown, not with those of the caller. */
export const resume = (
  table: TaskTable,
  task: TaskRecord,
  route: Route,
  starter: Starter,
  runtime: TaskRuntime,
  now: number
): void => {
  // a fresh copy: what is kept for the next comparison stays frozen, and the tool may change what it gets
  task.request = { ...task.request, input: jsonCopy(task.request.input), metadata: jsonCopy(task.request.metadata) }
  // an answer to what the manager asks for a limit does not answer what the tool may ask
  task.approval = task.asked === undefined || task.asksForLimit ? undefined : withoutAsking(task.asked.approval)
  if (task.asksForLimit && task.duplicates !== undefined) task.duplicates.firstLaunch = task.snapshot.launch + 1
  task.asksForLimit = false
  if (task.meter !== undefined) meterResumes(task.meter)
  forgetQuestion(table, task)
  refuseResumes(table, task)
  task.lastProgress = undefined
  task.askedIn = undefined
  if (task.suspendedNode !== undefined) {
    table.suspended.remove(task.suspendedNode)
    task.suspendedNode = undefined
  }
  task.snapshot = { ...task.snapshot, launch: task.snapshot.launch + 1 }
  task.detachFrom = now
  begin(table, task, route, starter, runtime, now)
}

/** The launch has the task from now on, and runs as soon as there is a place, unless the task joins the same call. */
export const handOver = (table: TaskTable, task: TaskRecord, runtime: TaskRuntime, now: number): void => {
  task.runtime = runtime
  runtime.task = task
  if (task.detachAfter !== Infinity && task.snapshot.kind === "Foreground") table.consequences.retimed.push(runtime)
  if (task.duplicates === undefined || !joinOrLead(table, task, now)) admit(table, task, now)
}

const begin = (
  table: TaskTable,
  task: TaskRecord,
  route: Route,
  starter: Starter,
  runtime: TaskRuntime,
  now: number
): void => {
  task.timeout = route.timeout
  task.detachAfter = route.detachAfter
  task.budgets = route.budgets
  task.retry = route.retry
  task.childPolicy = route.children
  // no caller waits inline for a task that is in the background
  const isInline = starter.inlineCaller !== undefined && task.snapshot.kind === "Foreground"
  task.inlineCaller = isInline ? starter.inlineCaller : undefined
  task.inlineParent = isInline ? starter.parent : undefined
  count(table, task)
  if ((task.turn.interrupted || starter.isInterrupted === true) && task.snapshot.launch === 1) {
    settle(table, task, { _tag: "Cancelled" }, now)
  } else if (starter.asks !== undefined) {
    const { asking, broken } = starter.asks
    task.asksForLimit = true
    lead(task)
    suspend(
      table,
      task,
      { _tag: "ApprovalRequired", approval: results.limitQuestion(task.request, broken.reached), asking },
      now
    )
  } else handOver(table, task, runtime, now)
}
