/** The answer to a request for approval, as it was shown. */
import * as Effect from "effect/Effect"
import { TaskLaunchRequest } from "../../model/Task.js"
import { checkAnswer } from "../../services/internal/approvalAnswers.js"
import type { AnswerApproval, ApprovalAnswer, TaskManager } from "../../services/TaskManager.js"

export const answerApprovalWith = (
  { answerQuestions, rejectApproval, startTask }: Pick<TaskManager["Type"], "rejectApproval" | "startTask"> & {
    /** Answers questions, and approves once every one has its answer. */
    readonly answerQuestions: (
      asked: Parameters<AnswerApproval>[0],
      answers: Extract<ApprovalAnswer, { readonly answers: unknown }>["answers"],
      approve: ReturnType<TaskManager["Type"]["startTask"]>
    ) => ReturnType<AnswerApproval>
  }
): AnswerApproval =>
(asked, answer) => {
  const approve = Effect.suspend(() => {
    const { approval, taskId, toolRequest } = asked
    return startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
  })
  return Effect.flatMap(checkAnswer(answer), (checked): ReturnType<AnswerApproval> => {
    if (checked === "approve") return approve
    if ("answers" in checked) return answerQuestions(asked, checked.answers, approve)
    // without an asking, what is asked now would be rejected
    const asking = asked.approval.asking ?? ""
    return Effect.as(rejectApproval({ taskId: asked.taskId, reason: checked.reject, asking }), undefined)
  })
}
