/** `startTask` of the concurrent manager: what has to be known first, and the answer. */
import * as Effect from "effect/Effect"
import { TaskAlreadyExists } from "../../errors.js"
import * as start from "../../machine/start.js"
import type { PendingStart } from "../../machine/state/PendingStart.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import { copyWhole } from "../../model/copyRequest.js"
import type { SessionId, TaskId } from "../../model/ids.js"
import type { RoutingDecision } from "../../model/RoutingDecision.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import type { TaskStartOutcome } from "../../model/TaskResolution.js"
import { type RouteToolCall, RoutingPolicy } from "../../services/RoutingPolicy.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import type { Engine } from "../Engine.js"
import type { LaunchCaller } from "../launch/Launch.js"
import {
  type Answer,
  answer,
  answerRepeated,
  type AnyFiber,
  callerOf,
  refusal,
  repeated,
  type StartError,
  startIn,
  startNow
} from "./accepting.js"
import { escapingRoute } from "./escapingRoute.js"
import { readLaunch } from "./readLaunch.js"
import { inlineRoute, toRoute } from "./routing.js"
import { endOf, waitToStart } from "./waitToStart.js"

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
    : beginLookedUp(engine, ownLaunch(launch), fiber, lookUp, new TaskAlreadyExists({ taskId }))
}

/** As `begin`, for a call of which no store need be asked. `isOwn`: it is a copy that has waited before. */
const beginNew = (engine: Engine, launch: TaskLaunchRequest, fiber: AnyFiber, isOwn = false): Answer => {
  const caller = callerOf(fiber)
  const { table } = engine.state
  const earlier = repeated(table, launch)
  if (earlier !== undefined) {
    return "caller" in earlier
      ? beginAfter(engine, isOwn ? launch : ownLaunch(launch), fiber, caller, earlier)
      : answerRepeated(earlier)
  }
  const refused = refusal(table, launch, caller)
  if (refused !== undefined) return Effect.fail(refused)
  const decision = routeOf(engine, caller)(launch.request)
  return Effect.isEffect(decision)
    ? beginRouted(engine, isOwn ? launch : ownLaunch(launch), fiber, caller, decision)
    : answer(startNow(engine, launch, toRoute(table, decision), caller, undefined))
}

// all are functions of their own, for a call that waits for nothing makes no closure

/** The caller may change the input of a call that waits. */
const ownLaunch = (launch: TaskLaunchRequest): TaskLaunchRequest => ({ ...launch, request: copyWhole(launch.request) })

/** Begins once it is known whether a task of the id was accepted before. */
const beginLookedUp = (
  engine: Engine,
  launch: TaskLaunchRequest,
  fiber: AnyFiber,
  lookUp: Effect.Effect<boolean>,
  exists: TaskAlreadyExists
): Answer => {
  const interrupted = inInterruptedTurn(engine, launch, callerOf(fiber))
  return waitToStart(
    engine,
    launch,
    fiber,
    interrupted,
    lookUp,
    (isThere, pending) => {
      if (isThere) return exists
      if (!pending.isInterrupted) return beginNew(engine, launch, fiber, true)
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
  launch: TaskLaunchRequest,
  fiber: AnyFiber,
  caller: LaunchCaller,
  earlier: PendingStart
): Answer =>
  waitToStart(
    engine,
    launch,
    fiber,
    inInterruptedTurn(engine, launch, caller),
    endOf(earlier),
    () => beginNew(engine, launch, fiber, true)
  )

/** Starts once the effect that routes has decided. */
const beginRouted = (
  engine: Engine,
  launch: TaskLaunchRequest,
  fiber: AnyFiber,
  caller: LaunchCaller,
  decision: Effect.Effect<RoutingDecision>
): Answer =>
  waitToStart(
    engine,
    launch,
    fiber,
    inInterruptedTurn(engine, launch, caller),
    decision,
    (routed) => answer(startNow(engine, launch, toRoute(engine.state.table, routed), caller, undefined))
  )

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

/** The concurrent manager: starts the task and answers at once. */
export const startConcurrently = (
  engine: Engine,
  given: TaskLaunchRequest,
  acceptedBefore?: AcceptedBefore
): Effect.Effect<TaskStartOutcome, StartError, ToolExecutor> =>
  Effect.withFiberRuntime((fiber) => begin(engine, readLaunch(given), fiber, acceptedBefore))
