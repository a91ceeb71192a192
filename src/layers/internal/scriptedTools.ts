/** An executor whose tools do what a test says, and the test's side of it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Predicate from "effect/Predicate"
import { ApprovalRequired, type TaskNotFound, TaskNotRunning, ToolError } from "../../errors.js"
import type { TaskId, ToolCallId } from "../../model/ids.js"
import { emptyMetadata } from "../../model/json.js"
import { goodResult, type ToolOutput } from "../../model/ToolCall.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import {
  type RecordedLaunch,
  ScriptedOutcome,
  type TaskManagerTestControl
} from "../../services/TaskManagerTestControl.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import { unknownTool } from "../../services/toolHandlers.js"
import { integerOf, refuseUnlessOneOf } from "../../shared/refusals.js"

type Failure = ToolError | ApprovalRequired

/** The entry of a map, made when it is first asked for: the test and the tool may come in either order. */
const ensure = <K, A>(map: Map<K, A>, key: K, make: () => A): A => {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

const approved: ScriptedOutcome = ScriptedOutcome.Succeed("approved")

export const makeScriptedTools = (handle: TaskManagerHandle): {
  readonly control: TaskManagerTestControl["Type"]
  readonly executor: ToolExecutor["Type"]
} => {
  const scripts = new Map<string, ScriptedOutcome>()
  const launches: Array<RecordedLaunch> = []
  const launched = new Map<string, Deferred.Deferred<RecordedLaunch>>()
  const released = new Map<TaskId, Deferred.Deferred<ToolOutput | string, Failure>>()
  const running = new Map<TaskId, CurrentTask["Type"]>()

  const launchOf = (callId: ToolCallId, launch: number) =>
    ensure(launched, `${launch} ${callId}`, () => Deferred.unsafeMake<RecordedLaunch>(FiberId.none))
  const releaseOf = (taskId: TaskId) =>
    ensure(released, taskId, () => Deferred.unsafeMake<ToolOutput | string, Failure>(FiberId.none))

  /** `approvals`: how many questions of the outcome are answered; every launch but the first follows an approval. */
  const run = (
    outcome: ScriptedOutcome,
    launch: RecordedLaunch,
    approvals = launch.launch - 1
  ): Effect.Effect<ToolOutput | string, Failure> => {
    switch (outcome._tag) {
      case "Succeed":
        return Effect.succeed(outcome.output)
      case "Fail":
        return outcome.error
      case "RequireApproval":
        return approvals === 0
          ? new ApprovalRequired({ approval: outcome.approval })
          : run(outcome.whenApproved ?? approved, launch, approvals - 1)
      case "Hang":
        return Deferred.await(releaseOf(launch.taskId))
      case "Die":
        return Effect.die(outcome.defect)
    }
  }

  const executor: ToolExecutor["Type"] = {
    specs: Effect.sync(() =>
      [...scripts.keys()].map((name) => ({ name, description: "", inputSchema: {}, metadata: emptyMetadata }))
    ),
    execute: (request) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { answers, approval, launch, taskId } = task
        const recorded: RecordedLaunch = { taskId, request, launch, approval, answers }
        launches.push(recorded)
        running.set(taskId, task)
        yield* Deferred.succeed(launchOf(request.callId, launch), recorded)
        const script = scripts.get(request.toolName)
        if (script === undefined) {
          const { message, reason, toolName } = unknownTool(request.toolName, scripts.keys())
          return yield* new ToolError({
            reason,
            toolName,
            message: `${message} Script it with TaskManagerTestControl.script.`
          })
        }
        return goodResult(request.callId, yield* run(script, recorded))
      }).pipe(
        Effect.ensuring(CurrentTask.pipe(Effect.map(({ taskId }) => {
          running.delete(taskId)
          released.delete(taskId)
        })))
      )
  }

  const whileRunning = <A>(taskId: TaskId, act: () => Effect.Effect<A>) =>
    Effect.flatMap(
      handle.get(taskId),
      ({ status }) => status === "Running" || status === "Queued" ? act() : new TaskNotRunning({ taskId, status })
    )

  const said = (
    taskId: TaskId,
    say: (task: CurrentTask["Type"]) => Effect.Effect<void>
  ): Effect.Effect<void, TaskNotFound | TaskNotRunning> =>
    Effect.flatMap(handle.get(taskId), ({ status }) => {
      const task = running.get(taskId)
      return task === undefined ? new TaskNotRunning({ taskId, status }) : say(task)
    })

  const control: TaskManagerTestControl["Type"] = {
    script: (toolName, outcome) =>
      Effect.sync(() => {
        const tag = Predicate.hasProperty(outcome, "_tag") ? outcome._tag : outcome
        refuseUnlessOneOf(Object.keys(ScriptedOutcome), "TaskManagerTestControl.script: the outcome", tag)
        scripts.set(toolName, outcome)
      }),
    awaitLaunch: (callId, options) =>
      Effect.suspend(() => {
        const launch = integerOf("TaskManagerTestControl.awaitLaunch: launch", options?.launch ?? 1, 1)
        return Deferred.await(launchOf(callId, launch))
      }),
    complete: (taskId, output) =>
      whileRunning(taskId, () => Effect.asVoid(Deferred.succeed(releaseOf(taskId), output))),
    fail: (taskId, error) => whileRunning(taskId, () => Effect.asVoid(Deferred.fail(releaseOf(taskId), error))),
    progress: (taskId, progress) => said(taskId, (task) => task.reportProgress(progress)),
    write: (taskId, chunk) => said(taskId, (task) => task.write(chunk)),
    launches: Effect.sync(() => launches.slice())
  }

  return { control, executor }
}
