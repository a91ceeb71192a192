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
