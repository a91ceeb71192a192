/** The one step that accepts a call, or says why not. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import {
  ApprovalMismatch,
  DuplicateCall,
  DuplicateCallId,
  TaskAlreadyExists,
  TaskCancelled,
  TaskLimitReached,
  TaskManagerShutdown,
  UsageLimitReached
} from "../../errors.js"
import { taskOf } from "../../machine/ancestry.js"
import { rejectedFor } from "../../machine/duplicates.js"
import { stoppedIn } from "../../machine/family.js"
import { limitReachedBy } from "../../machine/ledger.js"
import { earlierCall } from "../../machine/pending.js"
import * as start from "../../machine/start.js"
import type { PendingStart } from "../../machine/state/PendingStart.js"
import type { InlineCaller, TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { TaskStartOutcome } from "../../model/TaskResolution.js"
import type { TaskManager } from "../../services/TaskManager.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import type { Engine } from "../Engine.js"
import { Launch, type LaunchCaller } from "../launch/Launch.js"
import { ancestryOf } from "../launch/RunningIn.js"

export type StartError = Effect.Effect.Error<ReturnType<TaskManager["Type"]["startTask"]>>
export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

export const callerOf = (fiber: AnyFiber): LaunchCaller => ({
  context: fiber.currentContext,
  fiberRefs: fiber.getFiberRefs(),
  // every startTask requires a ToolExecutor, so its caller has one
  executor: Context.unsafeGet(fiber.currentContext, ToolExecutor),
  ancestry: ancestryOf(fiber)
})

/** Why the launch cannot start now, if so. */
export const refusal = (
  table: TaskTable,
  launch: TaskLaunchRequest,
  { ancestry }: LaunchCaller
): StartError | undefined => {
  const stopped = stoppedIn(table, ancestry)
  if (stopped !== undefined) return new TaskCancelled({ taskId: stopped })
  const plain = launch._tag === "Plain"
  const refused = start.refusal(table, plain ? launch.taskId : undefined)
  if (refused === "Shutdown") return new TaskManagerShutdown()
  if (!plain) {
    const field = start.mismatch(table, launch)
    return field === undefined ? undefined : new ApprovalMismatch({ taskId: launch.taskId, field })
  }
  if (refused === "AlreadyExists" && launch.taskId !== undefined) {
    return new TaskAlreadyExists({ taskId: launch.taskId })
  }
  const limit = start.limitReached(table, launch.request.sessionId)
  if (limit === undefined) return undefined
  return new TaskLimitReached({ limit, max: limit === "maxLive" ? table.limits.live : table.limits.undelivered })
}

/** What is answered instead, where the turn has a call of this id already; that call if it is not accepted yet. */
export const repeated = (
  table: TaskTable,
  launch: TaskLaunchRequest
): TaskStartOutcome | DuplicateCallId | PendingStart | undefined => {
  if (launch._tag === "Approved" || table.closing) return undefined
  const earlier = earlierCall(table, launch.request)
  if (earlier === undefined) return undefined
  const task = "isLive" in earlier ? earlier.snapshot : undefined
  if (table.limits.duplicateCallIds === "reject") {
    const { callId, sessionId, turnId } = launch.request
    return new DuplicateCallId({ sessionId, turnId, callId, ...(task === undefined ? undefined : { taskId: task.id }) })
  }
  return "isLive" in earlier
    ? TaskStartOutcome.Pending({ taskId: earlier.snapshot.id, kind: earlier.snapshot.kind })
    : earlier
}

export interface Started {
  readonly task: TaskRecord
  /** What the caller is told: the kind before the tool's first step, which may already have detached it. */
  readonly pending: TaskStartOutcome
}

const started = (task: TaskRecord): Started => ({
  task,
  pending: TaskStartOutcome.Pending({ taskId: task.snapshot.id, kind: task.snapshot.kind })
})

/** Starts or resumes; a part of one step. */
export const startIn = (
  engine: Engine,
  launch: TaskLaunchRequest,
  route: start.Route,
  caller: LaunchCaller,
  inlineCaller: InlineCaller | undefined,
  table: TaskTable,
  now: number,
  isInterrupted = false
): Started | StartError => {
  const refused = refusal(table, launch, caller)
  if (refused !== undefined) return refused
  const starter: start.Starter = { inlineCaller, parent: taskOf(table, caller.ancestry), isInterrupted }
  if (launch._tag === "Plain") {
    const same = rejectedFor(table, launch.request, route.duplicates)
    if (same !== undefined) {
      const { callId, sessionId, turnId } = launch.request
      return new DuplicateCall({ sessionId, turnId, callId, taskId: same.snapshot.id })
    }
    const broken = limitReachedBy(table, launch.request)
    if (broken?.onLimit === "fail") return new UsageLimitReached(broken.reached)
    const asks = broken === undefined ? undefined : { broken, asking: engine.newAsking() }
    return started(
      start.startPlain(
        table,
        launch,
        route,
        asks === undefined ? starter : { ...starter, asks },
        new Launch(engine, 1, caller),
        now
      )
    )
  }
  const task = start.findSuspended(table, launch)
  if (task === undefined) return new ApprovalMismatch({ taskId: launch.taskId, field: start.overtaken(launch) })
  start.resume(table, task, route, starter, new Launch(engine, task.snapshot.launch + 1, caller), now)
  return started(task)
}

/** Starts or resumes in one step. */
export const startNow = (
  engine: Engine,
  launch: TaskLaunchRequest,
  route: start.Route,
  caller: LaunchCaller,
  inlineCaller: InlineCaller | undefined
): Started | StartError =>
  engine.state.unsafeModify((table, now) => startIn(engine, launch, route, caller, inlineCaller, table, now))

export type Answer = Effect.Effect<TaskStartOutcome, StartError>

export const answer = (outcome: Started | StartError): Answer =>
  "_tag" in outcome ? Effect.fail(outcome) : Effect.succeed(outcome.pending)

export const answerRepeated = (earlier: TaskStartOutcome | DuplicateCallId): Answer =>
  earlier._tag === "DuplicateCallId" ? Effect.fail(earlier) : Effect.succeed(earlier)
