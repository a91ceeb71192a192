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
