/**
 * Why a page's request is not taken.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * None of the answers is for a question that is open: it was answered, the task has ended, or nobody ever asked it.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuestionNotOpen
  extends Schema.TaggedError<QuestionNotOpen>("effect-task-manager/QuestionNotOpen")("QuestionNotOpen", {})
{
  override get message(): string {
    return "This question is not open any more."
  }
}

/**
 * Why an answer was not taken by a question that stays open.
 *
 * - `AsksForMore`: it asks for more than a yes (`ApprovalRequest.questions`). A page can say no; what is asked is answered with
 *   `AgentSession.answer`.
 * - `TooManyTasks`: so many tasks run that none can go on. The same answer can be given later.
 * - `Stopped`: the task manager is shut down, or the page's own task is cancelled.
 *
 * @since 0.1.0
 * @category errors
 */
export const AnswerRefusedReason = Schema.Literal("AsksForMore", "TooManyTasks", "Stopped")

/**
 * A value of the `AnswerRefusedReason` schema.
 *
 * @since 0.1.0
 * @category errors
 */
export type AnswerRefusedReason = typeof AnswerRefusedReason.Type

const refusals: Record<AnswerRefusedReason, string> = {
  AsksForMore: "This question asks for more than a yes. It can only be denied here.",
  TooManyTasks: "Too many tasks are running. Answer again later.",
  Stopped: "Nothing goes on any more."
}

/**
 * A question is open, and has not taken the answer.
 *
 * @since 0.1.0
 * @category errors
 */
export class AnswerRefused
  extends Schema.TaggedError<AnswerRefused>("effect-task-manager/AnswerRefused")("AnswerRefused", {
    reason: AnswerRefusedReason
  })
{
  override get message(): string {
    return refusals[this.reason]
  }
}

/**
 * A message came while the last one waits for answers, and the page could not send these before it has the reply: see `whilePaused`.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuestionOpen
  extends Schema.TaggedError<QuestionOpen>("effect-task-manager/QuestionOpen")("QuestionOpen", {})
{
  override get message(): string {
    return "Answer what is asked first."
  }
}
