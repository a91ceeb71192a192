/** The approvals that the tasks of one session ask for, and what the user answers. */
import * as Effect from "effect/Effect"
import { type ApprovalMismatch, TaskNotFound, TaskNotSuspended } from "../../../errors.js"
import type { TaskApproval } from "../../../model/Approval.js"
import type { SessionId, TaskId } from "../../../model/ids.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import type { AgentEvent } from "../AgentEvent.js"
import type { AgentSession } from "../AgentSession.js"
import { countResuming, inlineCall, isRunning, startedCall, type StartedCalls } from "./calls.js"

export interface Approvals extends Pick<AgentSession, "approvals" | "approve" | "reject"> {
  /** Announces the approvals that are asked for and were not announced before, of one task or of all. */
  readonly announce: (taskId?: TaskId) => Effect.Effect<void>
  /** The task is not asking any more: should it ask again, that is news. */
  readonly forget: (taskId: TaskId) => void
}

export const make = (options: {
  readonly sessionId: SessionId
  readonly started: StartedCalls
  readonly emit: (event: AgentEvent) => void
  readonly onResumed: () => void
}): Effect.Effect<Approvals, never, TaskManager | ToolExecutor> =>
  Effect.gen(function*() {
    const { emit, onResumed, sessionId, started } = options
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const manager = yield* TaskManager
    /** For each announced task, what was asked last. */
    const announced = new Map<TaskId, string | undefined>()

    const approvals = Effect.map(
      manager.handle.listSuspended,
      (suspended) => suspended.filter(({ toolRequest }) => toolRequest.sessionId === sessionId)
    )

    /** Answers what was shown, or, where only the task is named, what it asks now. */
    const answer = <A, E>(
      answered: TaskId | TaskApproval,
      use: (approval: TaskApproval) => Effect.Effect<A, E>
    ): Effect.Effect<A, E | TaskNotFound | TaskNotSuspended> =>
      Effect.flatMap(approvals, (asked): Effect.Effect<A, E | TaskNotFound | TaskNotSuspended> => {
        const taskId = typeof answered === "string" ? answered : answered.taskId
        const found = asked.find((approval) => approval.taskId === taskId)
        return found === undefined ? notSuspended(taskId) : use(typeof answered === "string" ? found : answered)
      })

    const notSuspended = (taskId: TaskId): Effect.Effect<never, TaskNotFound | TaskNotSuspended> =>
      Effect.flatMap(manager.handle.get(taskId), (task): Effect.Effect<never, TaskNotFound | TaskNotSuspended> =>
        task.sessionId === sessionId
          ? new TaskNotSuspended({ taskId, status: task.status })
          : new TaskNotFound({ taskId }))

    const resume = ({ approval, taskId, toolRequest }: TaskApproval) =>
      Effect.gen(function*() {
        const { callId, toolName } = toolRequest
        countResuming(started, callId, taskId, 1)
        const outcome = yield* manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
        // in the operation that gives it to the caller: an interrupt after it would lose it
        if (outcome._tag === "Ready") {
          started.set(callId, inlineCall(toolName, outcome.resolution))
        } else if (outcome.kind === "Background" && isRunning(started, callId, taskId)) {
          started.set(callId, yield* startedCall(callId, toolName, outcome))
        }
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          countResuming(started, toolRequest.callId, taskId, -1)
          onResumed()
        })),
        // those are for new tasks alone
        Effect.catchTags({ TaskAlreadyExists: Effect.die, DuplicateCallId: Effect.die }),
        Effect.provide(context)
      )

    return {
      approvals,
      announce: (taskId) =>
        Effect.map(approvals, (asked) => {
          for (const approval of asked) {
            if (taskId !== undefined && approval.taskId !== taskId) {
              continue
            }
            if (announced.get(approval.taskId) === approval.approval.asking) {
              continue
            }
            announced.set(approval.taskId, approval.approval.asking)
            emit({ _tag: "ApprovalRequested", approval })
          }
        }),
      forget: (taskId) => {
        announced.delete(taskId)
      },
      approve: (answered) =>
        answer(answered, resume),
      reject: (answered, reason): Effect.Effect<void, TaskNotFound | TaskNotSuspended | ApprovalMismatch> =>
        answer(answered, ({ approval: { asking = "" }, taskId }) =>
          manager.rejectApproval({ taskId, reason, asking }))
    }
  })
