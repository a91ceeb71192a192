/** `startTask` of the concurrent and of the inline manager: routing, one step that decides, and the answer. */
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
import { cancelInline } from "../../machine/control.js"
import { redirectToTurn } from "../../machine/delivery.js"
import { rejectedFor } from "../../machine/duplicates.js"
import { stoppedIn } from "../../machine/family.js"
import { limitReachedBy } from "../../machine/ledger.js"
import { earlierCall } from "../../machine/pending.js"
import * as start from "../../machine/start.js"
import type { PendingStart } from "../../machine/state/PendingStart.js"
import type { InlineCaller, TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import { copyWhole } from "../../model/copyRequest.js"
import type { SessionId, TaskId } from "../../model/ids.js"
import type { RoutingDecision } from "../../model/RoutingDecision.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { TaskStartOutcome } from "../../model/TaskResolution.js"
import { type RouteToolCall, RoutingPolicy } from "../../services/RoutingPolicy.js"
import type { TaskManager } from "../../services/TaskManager.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import type { Engine } from "../Engine.js"
import { Launch, type LaunchCaller } from "../launch/Launch.js"
import { ancestryOf } from "../launch/RunningIn.js"
import { waitUntilSettled } from "../waiting/untilSettled.js"
import { escapingRoute } from "./escapingRoute.js"
import { readLaunch } from "./readLaunch.js"
import { inlineRoute, toRoute } from "./routing.js"
import { endOf, waitToStart } from "./waitToStart.js"

type StartError = Effect.Effect.Error<ReturnType<TaskManager["Type"]["startTask"]>>
type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

const callerOf = (fiber: AnyFiber): LaunchCaller => ({
  context: fiber.currentContext,
  fiberRefs: fiber.getFiberRefs(),
  // every startTask requires a ToolExecutor, so its caller has one
  executor: Context.unsafeGet(fiber.currentContext, ToolExecutor),
  ancestry: ancestryOf(fiber)
})

/** Why the launch cannot start now, if so. */
const refusal = (
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
const repeated = (
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

interface Started {
  readonly task: TaskRecord
  /** What the caller is told: the kind before the tool's first step, which may already have detached it. */
  readonly pending: TaskStartOutcome
}

const started = (task: TaskRecord): Started => ({
  task,
  pending: TaskStartOutcome.Pending({ taskId: task.snapshot.id, kind: task.snapshot.kind })
})

/** Starts or resumes; a part of one step. */
const startIn = (
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
const startNow = (
  engine: Engine,
  launch: TaskLaunchRequest,
  route: start.Route,
  caller: LaunchCaller,
  inlineCaller: InlineCaller | undefined
): Started | StartError =>
  engine.state.unsafeModify((table, now) => startIn(engine, launch, route, caller, inlineCaller, table, now))

type Answer = Effect.Effect<TaskStartOutcome, StartError>

const answer = (outcome: Started | StartError): Answer =>
  "_tag" in outcome ? Effect.fail(outcome) : Effect.succeed(outcome.pending)

const inForeground = RoutingPolicy.defaultValue()

/** Who decides where a call runs: the manager's policy, else the caller's executor. */
const routeOf = (engine: Engine, { executor: { route } }: LaunchCaller): RouteToolCall => {
  if (engine.route !== undefined) return engine.route
  return route === undefined ? inForeground : escapingRoute(route)
}

/**
 * Asks whether a task of the id was accepted before, of which the table knows nothing any more; undefined where it knows of all. A
 * failure of the store is a defect.
 */
export type AcceptedBefore = (taskId: TaskId, sessionId: SessionId) => Effect.Effect<boolean> | undefined

/** Starts a call, or waits for what has to be known first. Until then the call stands in the table. */
const begin = (
  engine: Engine,
  launch: TaskLaunchRequest,
  fiber: AnyFiber,
  acceptedBefore: AcceptedBefore | undefined
): Answer => {
  if (acceptedBefore === undefined || launch._tag === "Approved" || launch.taskId === undefined) {
    return beginNew(engine, launch, fiber)
  }
  const { taskId } = launch
  const lookUp = start.refusal(engine.state.table, taskId) === undefined
    ? acceptedBefore(taskId, launch.request.sessionId)
    : undefined
  return lookUp === undefined
    ? beginNew(engine, launch, fiber)
    : beginLookedUp(engine, launch, fiber, lookUp, new TaskAlreadyExists({ taskId }))
}

/** As `begin`, for a call of which no store need be asked. */
const beginNew = (engine: Engine, launch: TaskLaunchRequest, fiber: AnyFiber): Answer => {
  const caller = callerOf(fiber)
  const { table } = engine.state
  const earlier = repeated(table, launch)
  if (earlier !== undefined) {
    return "caller" in earlier ? beginAfter(engine, launch, fiber, caller, earlier) : answerRepeated(earlier)
  }
  const refused = refusal(table, launch, caller)
  if (refused !== undefined) return Effect.fail(refused)
  const decision = routeOf(engine, caller)(launch.request)
  return Effect.isEffect(decision)
    ? beginRouted(engine, launch, fiber, caller, decision)
    : answer(startNow(engine, launch, toRoute(table, decision), caller, undefined))
}

// all are functions of their own, for a call that waits for nothing makes no closure

/** The caller may change the input of a call that waits. */
const ownLaunch = (launch: TaskLaunchRequest): TaskLaunchRequest => ({ ...launch, request: copyWhole(launch.request) })

/** Begins once it is known whether a task of the id was accepted before. */
const beginLookedUp = (
  engine: Engine,
  given: TaskLaunchRequest,
  fiber: AnyFiber,
  lookUp: Effect.Effect<boolean>,
  exists: TaskAlreadyExists
): Answer => {
  const launch = ownLaunch(given)
  const interrupted = inInterruptedTurn(engine, launch, callerOf(fiber))
  return waitToStart(
    engine,
    launch,
    fiber,
    interrupted,
    lookUp,
    (isThere, pending) => {
      if (isThere) return exists
      if (!pending.isInterrupted) return beginNew(engine, launch, fiber)
      const { answer, task } = engine.state.unsafeModify(interrupted)
      pending.accepted = task
      return answer
    },
    false
  )
}

/** Begins once an earlier call of the same id, which is not accepted yet, has ended. */
const beginAfter = (
  engine: Engine,
  given: TaskLaunchRequest,
  fiber: AnyFiber,
  caller: LaunchCaller,
  earlier: PendingStart
): Answer => {
  const launch = ownLaunch(given)
  return waitToStart(
    engine,
    launch,
    fiber,
    inInterruptedTurn(engine, launch, caller),
    endOf(earlier),
    () => beginNew(engine, launch, fiber)
  )
}

/** Starts once the effect that routes has decided. */
const beginRouted = (
  engine: Engine,
  given: TaskLaunchRequest,
  fiber: AnyFiber,
  caller: LaunchCaller,
  decision: Effect.Effect<RoutingDecision>
): Answer => {
  const launch = ownLaunch(given)
  return waitToStart(
    engine,
    launch,
    fiber,
    inInterruptedTurn(engine, launch, caller),
    decision,
    (routed) => answer(startNow(engine, launch, toRoute(engine.state.table, routed), caller, undefined))
  )
}

/** How a call is accepted whose turn was interrupted before its routing was known: in the foreground, to settle at once. */
const inInterruptedTurn = (engine: Engine, launch: TaskLaunchRequest, caller: LaunchCaller) =>
(
  table: TaskTable,
  now: number
): { readonly answer: Answer; readonly task?: TaskRecord } => {
  const earlier = repeated(table, launch)
  if (earlier !== undefined && !("caller" in earlier)) return { answer: answerRepeated(earlier) }
  const outcome = startIn(engine, launch, inlineRoute, caller, undefined, table, now, true)
  return "_tag" in outcome ? { answer: answer(outcome) } : { answer: answer(outcome), task: outcome.task }
}

const answerRepeated = (earlier: TaskStartOutcome | DuplicateCallId): Answer =>
  earlier._tag === "DuplicateCallId" ? Effect.fail(earlier) : Effect.succeed(earlier)

/** The concurrent manager: starts the task and answers at once. */
export const startConcurrently = (
  engine: Engine,
  given: TaskLaunchRequest,
  acceptedBefore?: AcceptedBefore
): Effect.Effect<TaskStartOutcome, StartError, ToolExecutor> =>
  Effect.withFiberRuntime((fiber) => begin(engine, readLaunch(given), fiber, acceptedBefore))

/** The inline manager: runs the call in the foreground and answers with its resolution. */
export const startInline = (
  engine: Engine,
  given: TaskLaunchRequest
): Effect.Effect<TaskStartOutcome, StartError, ToolExecutor> =>
  Effect.withFiberRuntime((fiber) => {
    const launch = readLaunch(given)
    const earlier = repeated(engine.state.table, launch)
    // nothing is routed here, so no call waits to be accepted
    if (earlier !== undefined && !("caller" in earlier)) return answerRepeated(earlier)
    let resumeCaller: (() => void) | undefined = undefined
    const caller: InlineCaller = { wake: () => resumeCaller?.(), outcome: undefined }
    const outcome = startNow(engine, launch, inlineRoute, callerOf(fiber), caller)
    if ("_tag" in outcome) return Effect.fail(outcome)
    const { pending, task } = outcome
    // it was in the background before
    if (task.inlineCaller !== caller && caller.outcome === undefined) return Effect.succeed(pending)

    const giveUp = () =>
      engine.state.unsafeModify((table, now) => {
        if (caller.outcome !== undefined) redirectToTurn(table, task, caller)
        else cancelInline(table, task, now)
      })
    // the caller may be interrupted between the reply and its next step, where no finalizer of ours is in place
    fiber.addObserver(giveUp)
    const taken = () => fiber.removeObserver(giveUp)

    const reply = caller.outcome !== undefined ? Effect.void : Effect.async<void>((resume) => {
      resumeCaller = () => resume(Effect.void)
      if (caller.outcome !== undefined) resumeCaller()
      return Effect.suspend(() => {
        taken()
        // suspended or detached by now, it may stay so for long, and is not cancelled
        const isReplied = caller.outcome !== undefined
        giveUp()
        return isReplied ? Effect.void : waitUntilSettled(engine, [task], ancestryOf(fiber))
      })
    })
    return Effect.flatMap(reply, () =>
      Effect.sync(() => {
        taken()
        return caller.outcome ?? pending
      }))
  })
