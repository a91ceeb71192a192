/** The answer to a request for approval, as it was shown. */
import * as Effect from "effect/Effect"
import { TaskLaunchRequest } from "../../model/Task.js"
import type { AnswerApproval, TaskManager } from "../../services/TaskManager.js"

export const answerApprovalWith = (
  { rejectApproval, startTask }: Pick<TaskManager["Type"], "rejectApproval" | "startTask">
): AnswerApproval =>
(asked, answer) =>
  answer === "approve"
    ? startTask(TaskLaunchRequest.approved({
      taskId: asked.taskId,
      request: asked.toolRequest,
      approval: asked.approval
    }))
    // without an asking, what is asked now would be rejected
    : Effect.as(
      rejectApproval({ taskId: asked.taskId, reason: answer.reject, asking: asked.approval.asking ?? "" }),
      undefined
    )
