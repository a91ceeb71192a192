/** The answer to a request for approval, as it was shown. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { TaskLaunchRequest } from "../../model/Task.js"
import type { AnswerApproval, ApprovalAnswer, TaskManager } from "../../services/TaskManager.js"
import { shown } from "../../shared/text.js"

type Rejection = Extract<ApprovalAnswer, { readonly reject: unknown }>
type Answers = Extract<ApprovalAnswer, { readonly answers: unknown }>

// a caller without types must not reject by mistake
const isRejection = (answer: unknown): answer is Rejection =>
  Predicate.hasProperty(answer, "reject") && Predicate.isString(answer.reject)

const isAnswers = (answer: unknown): answer is Answers =>
  Predicate.hasProperty(answer, "answers") && Predicate.isRecord(answer.answers)

export const answerApprovalWith = (
  { answerQuestions, rejectApproval, startTask }: Pick<TaskManager["Type"], "rejectApproval" | "startTask"> & {
    /** Answers questions, and approves once every one has its answer. */
    readonly answerQuestions: (
      asked: Parameters<AnswerApproval>[0],
      answers: Answers["answers"],
      approve: ReturnType<TaskManager["Type"]["startTask"]>
    ) => ReturnType<AnswerApproval>
  }
): AnswerApproval =>
(asked, answer) => {
  const approve = Effect.suspend(() => {
    const { approval, taskId, toolRequest } = asked
    return startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
  })
  if (answer === "approve") return approve
  if (isAnswers(answer)) return answerQuestions(asked, answer.answers, approve)
  if (!isRejection(answer)) {
    return Effect.die(
      new TypeError(`answerApproval takes "approve", { reject: reason } or { answers: { … } }, not ${shown(answer)}`)
    )
  }
  // without an asking, what is asked now would be rejected
  const asking = asked.approval.asking ?? ""
  return Effect.as(rejectApproval({ taskId: asked.taskId, reason: answer.reject, asking }), undefined)
}
