/** The tools of a simulated session: they do what their script says. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { ApprovalRequired, ToolError } from "../../../src/errors.js"
import { ApprovalId, TurnId, type TurnRef } from "../../../src/model/ids.js"
import type { CancelReason } from "../../../src/model/Task.js"
import type { ToolRequest, ToolResult } from "../../../src/model/ToolCall.js"
import { CurrentTask } from "../../../src/services/CurrentTask.js"
import { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import * as actions from "./actions.js"
import type { ToolRun } from "./history.js"
import { listen, steer } from "./messages.js"
import { tick, type ToolEnd, type ToolScript, type ToolStep } from "./plan.js"
import { questionsOf } from "./questions.js"
import { drainTurn, readTurn } from "./reading.js"
import { takeResult, waitForTask, write } from "./results.js"
import { type Actor, step, workingFor, type World } from "./World.js"

const acquire = (
  world: World,
  actor: Actor,
  run: ToolRun,
  release: Extract<ToolStep, { readonly _tag: "Acquire" }>["release"]
): Effect.Effect<void, never, Scope.Scope> => {
  const inFinalizer: Actor = { ...actor, inFinalizer: true }
  const finalize = (): Effect.Effect<void> => {
    switch (release) {
      case "Plain":
        return Effect.void
      case "Slow":
        return Effect.sleep(tick * (1 + world.random.int(2)))
      case "CancelSelf":
        return actions.cancel(world, inFinalizer, run.taskId)
      case "CancelOther":
        return actions.cancel(world, inFinalizer, actions.someTask(world))
      case "Die":
        return Effect.die("the finalizer died")
    }
  }
  return Effect.acquireRelease(
    Effect.sync(() => {
      run.acquired++
    }),
    () =>
      Effect.suspend(() => {
        run.released++
        return finalize()
      })
  )
}

const perform = (
  world: World,
  actor: Actor,
  run: ToolRun,
  toolStep: ToolStep
): Effect.Effect<void, never, CurrentTask | ToolExecutor | Scope.Scope> => {
  switch (toolStep._tag) {
    case "Yield":
      return step(toolStep.times)
    case "Sleep":
      return Effect.sleep(toolStep.millis)
    case "Uninterruptible":
      return Effect.uninterruptible(Effect.sleep(toolStep.millis))
    case "Acquire":
      return acquire(world, actor, run, toolStep.release)
    case "Progress":
      return Effect.flatMap(CurrentTask, (task) => task.reportProgress({ fraction: 0.5 }))
    case "CancelSelf":
      return actions.cancel(world, actor, run.taskId)
    case "CancelOther":
      return Effect.suspend(() => actions.cancel(world, actor, actions.someTask(world)))
    case "DetachSelf":
      return actions.detach(world, actor, run.taskId)
    case "Child": {
      const turn = world.random.chance(0.7) ? run.request : { ...run.request, turnId: actions.turnOf(0) }
      return Effect.flatMap(actions.startCall(world, actor, turn), (outcome) => actions.follow(world, actor, outcome))
    }
    case "WaitForIdle":
      return actions.waitForIdle(world, actor)
    case "WaitForTurn":
      return world.random.chance(0.5)
        ? drainTurn(world, actor, run.request)
        : Effect.asVoid(readTurn(world, actor, run.request))
    case "WaitForOtherTurn":
      return Effect.suspend(() => {
        const turn = world.random.pickFrom([...world.turns.values()]) ?? run.request
        return world.random.chance(0.5) ? drainTurn(world, actor, turn) : Effect.asVoid(readTurn(world, actor, turn))
      })
    case "SubTurn": {
      const turn: TurnRef = { sessionId: run.request.sessionId, turnId: TurnId.make(`sub ${world.nextKey()}`) }
      const start = Effect.suspend(() => actions.startCall(world, actor, turn))
      return Effect.flatMap(start, (outcome) => actions.follow(world, actor, outcome)).pipe(
        Effect.repeatN(world.random.int(2)),
        Effect.zipRight(drainTurn(world, actor, turn))
      )
    }
    case "Write":
      return write(world)
    case "Listen":
      return listen(world)
    case "Steer":
      return Effect.repeatN(steer(world, actor), world.random.int(3))
    case "TakeResult":
      return takeResult(world, actor)
    case "WaitForTask":
      return waitForTask(world, actor)
    case "InterruptTurn":
      return actions.interruptTurn(world, actor, run.request)
    case "Fork":
      // a fiber of the tool's own: it must not outlive the tool
      return Effect.asVoid(Effect.fork(Effect.sleep(5 * tick)))
  }
}

// what no executor should hand back; parsed, so that no type can know
const garbage: ReadonlyArray<string> = ["null", "42", "{\"result\":null}", "{\"result\":{\"_tag\":\"ToolResult\"}}"]

const conclude = (
  world: World,
  request: ToolRequest,
  end: ToolEnd
): Effect.Effect<ToolResult, ToolError> => {
  const key = keyOf(request)
  switch (end) {
    case "Fail":
      return Effect.fail(
        new ToolError({ reason: "ExecutionFailed", toolName: request.toolName, message: "The tool says no." })
      )
    case "Die":
      return Effect.die("the tool died")
    case "Throw":
      return Effect.sync(() => {
        throw new Error("the tool threw")
      })
    case "Garbage":
      return Effect.sync(() => JSON.parse(world.random.pickFrom(garbage) ?? "null"))
    case "Interrupt":
      return Effect.interrupt
    case "ThrowAtOnce":
    case "Succeed":
      return Effect.succeed({
        result: {
          _tag: "ToolResult",
          callId: request.callId,
          output: { _tag: "Text", text: `answer to ${key}` },
          isError: false,
          metadata: { key }
        },
        metadata: {}
      })
  }
}

/** Under which key the call was made up. */
export const keyOf = (request: ToolRequest): string => {
  const key = request.metadata["key"]
  return typeof key === "string" ? key : ""
}

const outcomeOf = (exit: Exit.Exit<ToolResult, ToolError | ApprovalRequired>): ToolRun["outcome"] => {
  if (Exit.isSuccess(exit)) return "Succeeded"
  const { cause } = exit
  // a finalizer that dies outweighs what the tool itself came to
  if (!Chunk.isEmpty(Cause.defects(cause))) return "Died"
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) return "Interrupted"
  return failure.value._tag === "ToolError" ? "Failed" : "AskedForApproval"
}

/** Why the task is being stopped. It is told at once, or later: then there is no reason yet. */
const stopReason = ({ cancelReason }: CurrentTask["Type"]): CancelReason | undefined => {
  // on a scheduler of its own: that of the simulation may let others go first
  const fiber = Effect.runFork(cancelReason, { immediate: true })
  const exit = fiber.unsafePoll()
  if (exit === null) fiber.unsafeInterruptAsFork(FiberId.none)
  return exit?._tag === "Success" ? exit.value : undefined
}

/** An executor whose tools do what was made up for their call. Whatever it runs is written down. */
export const makeTools = (world: World): ToolExecutor["Type"] => {
  const body = (run: ToolRun, { approvals, end, questions, steps }: ToolScript) => {
    const { launch, request, taskId } = run
    const actor: Actor = { name: `${taskId}#${launch}`, inTask: taskId }
    const asks = launch <= approvals
    return Effect.scoped(Effect.gen(function*() {
      for (const toolStep of steps) {
        world.say(actor.name, () => `does ${JSON.stringify(toolStep)}`)
        yield* perform(world, actor, run, toolStep)
      }
      if (!asks) {
        run.interruptsItself = end === "Interrupt"
        return yield* conclude(world, request, end)
      }
      return yield* new ApprovalRequired({
        approval: {
          // every question of the call is the same, and so is its id
          id: ApprovalId.make(`a-${keyOf(request)}`),
          requestKind: "simulated",
          reason: "Because",
          summary: "May it go on?",
          metadata: {},
          ...(questions === 0 ? undefined : { questions: questionsOf(questions) })
        }
      })
    })).pipe(
      // tools of an inline manager start their own calls through the same executor
      Effect.provideService(ToolExecutor, executor),
      Effect.locally(workingFor, actor.name)
    )
  }

  const executor: ToolExecutor["Type"] = {
    specs: Effect.succeed([]),
    execute: (request) => {
      const planned = world.planned.get(keyOf(request))
      if (planned === undefined) throw new Error("Nobody made this call up")
      const { script } = planned
      const { approvals, end } = script
      if (end === "ThrowAtOnce" && approvals === 0) throw new Error("the executor threw")
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(CurrentTask, (task) => {
          const { answers, approval, launch, taskId } = task
          const run: ToolRun = {
            taskId,
            launch,
            request,
            approvalId: Option.getOrUndefined(approval)?.id,
            answers,
            began: world.moment(),
            ended: undefined,
            outcome: undefined,
            interruptsItself: false,
            stopped: undefined,
            acquired: 0,
            released: 0
          }
          world.toolRuns.push(run)
          world.say(`${taskId}#${launch}`, () => "begins")
          return restore(body(run, script)).pipe(
            Effect.onExit((exit) =>
              Effect.sync(() => {
                run.ended = world.moment()
                run.outcome = outcomeOf(exit)
                run.stopped = stopReason(task)
                world.say(`${taskId}#${launch}`, () => `ends: ${run.outcome}`)
              })
            )
          )
        })
      )
    }
  }
  return executor
}
