/** The answer to a request for approval, as it was shown. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { TaskLaunchRequest } from "../../model/Task.js"
import type { AnswerApproval, ApprovalAnswer, TaskManager } from "../../services/TaskManager.js"
import { shown } from "../../shared/text.js"

// a caller without types must not reject by mistake
const isRejection = (answer: unknown): answer is Exclude<ApprovalAnswer, "approve"> =>
  Predicate.hasProperty(answer, "reject") && Predicate.isString(answer.reject)

export const answerApprovalWith = (
  { rejectApproval, startTask }: Pick<TaskManager["Type"], "rejectApproval" | "startTask">
): AnswerApproval =>
(asked, answer) => {
  if (answer === "approve") {
    const { approval, taskId, toolRequest } = asked
    return startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
  }
  if (!isRejection(answer)) {
    return Effect.die(new TypeError(`answerApproval takes "approve" or { reject: reason }, not ${shown(answer)}`))
  }
  // without an asking, what is asked now would be rejected
  const asking = asked.approval.asking ?? ""
  return Effect.as(rejectApproval({ taskId: asked.taskId, reason: answer.reject, asking }), undefined)
}
