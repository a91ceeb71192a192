/** `startTask` of the concurrent and of the inline manager: routing, one step that decides, and the answer. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { ApprovalMismatch, TaskAlreadyExists, TaskLimitReached, TaskManagerShutdown } from "../../errors.js"
import { runsUnder, taskOf } from "../../machine/ancestry.js"
import { cancelInline, detachAfter } from "../../machine/control.js"
import { redirectToTurn } from "../../machine/delivery.js"
import * as start from "../../machine/start.js"
import type { InlineCaller, TaskRecord } from "../../machine/TaskTable.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { TaskStartOutcome } from "../../model/TaskResolution.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import type { Engine } from "../Engine.js"
import { Launch, type LaunchCaller } from "../launch/Launch.js"
import { ancestryOf } from "../launch/RunningIn.js"
import { waitUntilSettled } from "../waiting/parking.js"
import { readLaunch } from "./readLaunch.js"
import { inlineRoute, withRoute } from "./routing.js"

type StartError = TaskAlreadyExists | TaskLimitReached | ApprovalMismatch | TaskManagerShutdown
type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

const callerOf = (fiber: AnyFiber): LaunchCaller => ({
  context: fiber.currentContext,
  fiberRefs: fiber.getFiberRefs(),
  // every startTask requires a ToolExecutor, so its caller has one
  executor: Context.unsafeGet(fiber.currentContext, ToolExecutor),
  ancestry: ancestryOf(fiber)
})

/** Why the launch cannot start now, if so. */
const refusal = (engine: Engine, launch: TaskLaunchRequest): StartError | undefined => {
  const { table } = engine.state
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

interface Started {
  readonly task: TaskRecord
  /** What the caller is told: the kind before the tool's first step, which may already have detached it. */
  readonly pending: TaskStartOutcome
}

const started = (task: TaskRecord): Started => ({
  task,
  pending: TaskStartOutcome.Pending({ taskId: task.snapshot.id, kind: task.snapshot.kind })
})

/** Starts or resumes in one step. */
const startNow = (
  engine: Engine,
  launch: TaskLaunchRequest,
  route: start.Route,
  fiber: AnyFiber,
  inlineCaller: InlineCaller | undefined
): Started | StartError => {
  const refused = refusal(engine, launch)
  if (refused !== undefined) return refused
  const caller = callerOf(fiber)
  const starter: start.Starter = { inlineCaller, parent: taskOf(engine.state.table, caller.ancestry) }
  const makeRuntime = (task: TaskRecord): Launch => {
    const launched = new Launch(engine, task, caller)
    if (route.detachAfter !== Infinity && task.snapshot.kind === "Foreground") {
      const { launch: number } = task.snapshot
      launched.startDetachTimer(
        route.detachAfter,
        () => engine.state.unsafeModify((table, now) => detachAfter(table, task, number, now))
      )
    }
    return launched
  }
  return engine.state.unsafeModify((table, now) => {
    if (launch._tag === "Plain") return started(start.startPlain(table, launch, route, starter, makeRuntime, now))
    const task = start.findSuspended(table, launch)
    if (task === undefined) return new ApprovalMismatch({ taskId: launch.taskId, field: "status" })
    start.resume(table, task, route, starter, makeRuntime, now)
    return started(task)
  })
}

/** The concurrent manager: starts the task and answers at once. */
export const startConcurrently = (
  engine: Engine,
  given: TaskLaunchRequest
): Effect.Effect<TaskStartOutcome, StartError, ToolExecutor> =>
  Effect.withFiberRuntime((fiber) => {
    const launch = readLaunch(given)
    const refused = refusal(engine, launch)
    if (refused !== undefined) return Effect.fail(refused)
    return withRoute(engine.route, launch.request, (route) => {
      const outcome = startNow(engine, launch, route, fiber, undefined)
      return "_tag" in outcome ? Effect.fail(outcome) : Effect.succeed(outcome.pending)
    })
  })

/** The inline manager: runs the call in the foreground and answers with its resolution. */
export const startInline = (
  engine: Engine,
  given: TaskLaunchRequest
): Effect.Effect<TaskStartOutcome, StartError, ToolExecutor> =>
  Effect.withFiberRuntime((fiber) => {
    const launch = readLaunch(given)
    let resumeCaller: (() => void) | undefined = undefined
    const caller: InlineCaller = { wake: () => resumeCaller?.(), outcome: undefined }
    const outcome = startNow(engine, launch, inlineRoute, fiber, caller)
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
        return isReplied ? Effect.void : waitUntilSettled([task], (other) => runsUnder(ancestryOf(fiber), other))
      })
    })
    return Effect.flatMap(reply, () =>
      Effect.sync(() => {
        taken()
        return caller.outcome ?? pending
      }))
  })
