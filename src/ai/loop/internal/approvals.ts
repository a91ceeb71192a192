/** The approvals that the tasks of one session ask for, and what the user answers. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { ApprovalMismatch, TaskNotFound } from "../../../errors.js"
import type { TaskApproval } from "../../../model/Approval.js"
import type { SessionId, TaskId } from "../../../model/ids.js"
import { suspendedOf } from "../../../services/internal/suspendedOf.js"
import { type ApprovalAnswer, TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { shown } from "../../../shared/text.js"
import type { AgentEvent } from "../AgentEvent.js"
import type { AgentSession, ApprovalRef } from "../AgentSession.js"
import { countResuming, inlineCall, isRunning, startedCall, type StartedCalls } from "./calls.js"
import { readNow } from "./readNow.js"

export interface Approvals extends Pick<AgentSession, "answer" | "approvals" | "approve" | "reject"> {
  /** Those of the current step. */
  readonly unsafeApprovals: () => ReadonlyArray<TaskApproval>
  /** Announces the approvals that are asked for and were not announced before, of one task or of all, in the current step. */
  readonly unsafeAnnounce: (taskId?: TaskId) => void
  /** Those that hold up a turn: what a task in the background asks does not. */
  readonly unsafeHoldingUp: () => ReadonlyArray<TaskApproval>
  /** The task is not asking any more: should it ask again, that is news. */
  readonly forget: (taskId: TaskId) => void
}

/** The whole approval, or what names it. */
type Answered = TaskApproval | ApprovalRef

const askingOf = (answered: Answered): string | undefined =>
  "asking" in answered ? answered.asking : answered.approval.asking

// a caller without types must not answer what nobody was shown
const isAnswered = (answered: unknown): answered is Answered =>
  Predicate.hasProperty(answered, "taskId") &&
  (Predicate.hasProperty(answered, "asking") || Predicate.hasProperty(answered, "approval"))

export const make = (options: {
  readonly sessionId: SessionId
  readonly started: StartedCalls
  readonly tell: (event: AgentEvent) => void
  readonly onResumed: () => void
}): Effect.Effect<Approvals, never, TaskManager | ToolExecutor> =>
  Effect.gen(function*() {
    const { onResumed, sessionId, started, tell } = options
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const manager = yield* TaskManager
    /** For each announced task, what was asked last. */
    const announced = new Map<TaskId, string | undefined>()

    const approvals = Effect.suspend(() => suspendedOf(manager.handle, sessionId))
    const unsafeApprovals = () => readNow(manager.handle, (handle) => suspendedOf(handle, sessionId))

    /** What is asked now, if it is what the answer was given to. */
    const find = (method: string, answered: Answered): Effect.Effect<TaskApproval, TaskNotFound | ApprovalMismatch> => {
      if (!isAnswered(answered)) {
        return Effect.dieSync(() =>
          new TypeError(`AgentSession.${method} takes the approval that was shown, not ${shown(answered)}`)
        )
      }
      const { taskId } = answered
      const asking = askingOf(answered)
      return Effect.flatMap(approvals, (asked): Effect.Effect<TaskApproval, TaskNotFound | ApprovalMismatch> => {
        const found = asked.find(({ approval }) => asking !== undefined && approval.asking === asking)
        // the whole approval is compared by the manager: what was shown is what runs
        if (found?.taskId === taskId) return Effect.succeed("approval" in answered ? answered : found)
        return Effect.flatMap(
          manager.handle.get(taskId),
          (task): Effect.Effect<never, TaskNotFound | ApprovalMismatch> =>
            task.sessionId === sessionId
              ? new ApprovalMismatch({ taskId, field: "asking" })
              : new TaskNotFound({ taskId })
        )
      })
    }

    const resume = (asked: TaskApproval, answer: Exclude<ApprovalAnswer, { readonly reject: string }>) =>
      Effect.gen(function*() {
        const { taskId, toolRequest: { callId, toolName } } = asked
        countResuming(started, callId, taskId, 1)
        const outcome = yield* manager.answerApproval(asked, answer)
        // a question is still open
        if (outcome === undefined) return
        // in the operation that gives it to the caller: an interrupt after it would lose it
        if (outcome._tag === "Ready") {
          // one that asks once more runs on, and who is resuming it is counted there
          if (outcome.resolution._tag !== "Approval") started.set(callId, inlineCall(toolName, outcome.resolution))
        } else if (outcome.kind === "Background" && isRunning(started, callId, taskId)) {
          started.set(callId, yield* startedCall(callId, toolName, outcome))
        }
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          countResuming(started, asked.toolRequest.callId, asked.taskId, -1)
          onResumed()
        })),
        // those are for new tasks alone, and for a rejection
        Effect.catchTags({
          TaskAlreadyExists: Effect.die,
          DuplicateCallId: Effect.die,
          DuplicateCall: Effect.die,
          UsageLimitReached: Effect.die,
          TaskNotSuspended: Effect.die
        }),
        Effect.provide(context)
      )

    return {
      approvals,
      unsafeApprovals,
      unsafeAnnounce: (taskId) => {
        for (const approval of unsafeApprovals()) {
          if (taskId !== undefined && approval.taskId !== taskId) continue
          if (announced.get(approval.taskId) === approval.approval.asking) continue
          announced.set(approval.taskId, approval.approval.asking)
          tell({ _tag: "ApprovalRequested", approval })
        }
      },
      unsafeHoldingUp: () => {
        const asked = unsafeApprovals()
        const waiting = asked.length === 0
          ? []
          : readNow(manager.handle, ({ list }) => list({ sessionId, kind: "Foreground", status: "Suspended" }))
        const ids = new Set(waiting.map(({ id }) => id))
        return asked.filter(({ taskId }) => ids.has(taskId))
      },
      forget: (taskId) => {
        announced.delete(taskId)
      },
      approve: (answered) =>
        Effect.flatMap(find("approve", answered), (asked) => resume(asked, "approve")).pipe(
          // only answers are checked
          Effect.catchTag("InvalidAnswer", Effect.die)
        ),
      answer: (answered, answers) => Effect.flatMap(find("answer", answered), (asked) => resume(asked, { answers })),
      reject: (answered, reason) =>
        Effect.flatMap(find("reject", answered), ({ approval: { asking = "" }, taskId }) =>
          manager.rejectApproval({ taskId, reason, asking })).pipe(
            // answered by somebody else meanwhile
            Effect.catchTag("TaskNotSuspended", ({ taskId }) =>
              new ApprovalMismatch({ taskId, field: "asking" }))
          )
    }
  })
