/**
 * Answers to the questions of a suspended task: read, checked and accepted, in this order. They are checked outside of the step, for a
 * schema of Effect may run code of the program; what is asked is the same in the step, or the answers are refused there.
 */
import * as Effect from "effect/Effect"
import { ApprovalMismatch, InvalidAnswer, type InvalidAnswerReason } from "../../errors.js"
import * as questions from "../../machine/questions.js"
import type { Answers } from "../../machine/state/TaskRecord.js"
import { answerFault, type CheckSteps, makeCheckSteps } from "../../model/answerFault.js"
import type { ApprovalQuestion, TaskApproval } from "../../model/Approval.js"
import { firstFinding } from "../../model/describeIssue.js"
import type { TaskId } from "../../model/ids.js"
import { decoderOf } from "../../model/questionSchemas.js"
import { fieldOfAnswer, readAnswers } from "../../services/internal/approvalAnswers.js"
import type { Engine } from "../Engine.js"
import { answersFit } from "../launch/outputLimits.js"

const text = { type: "string" }

/** What is wrong with an answer, undefined if it fits its question. */
const check = (
  taskId: TaskId,
  { id, schema = text }: ApprovalQuestion,
  answer: unknown,
  steps: CheckSteps
): Effect.Effect<void, InvalidAnswer> => {
  const fault = answerFault(schema, answer, steps)
  if (fault !== undefined) {
    const { detail, path } = fault
    return new InvalidAnswer({ taskId, field: fieldOfAnswer([id, ...path]), reason: "Invalid", detail })
  }
  const decode = decoderOf(schema)
  return decode === undefined ? Effect.void : Effect.matchEffect(decode(answer), {
    onSuccess: () => Effect.void,
    onFailure: ({ issue }) => {
      const { path, what } = firstFinding(issue)
      return new InvalidAnswer({ taskId, field: fieldOfAnswer([id, ...path]), reason: "Invalid", detail: what })
    }
  })
}

const refused = (
  taskId: TaskId,
  refusal: questions.AnswerRefusal
): Effect.Effect<never, ApprovalMismatch | InvalidAnswer> => {
  if (refusal._tag === "Mismatch") return new ApprovalMismatch({ taskId, field: refusal.field })
  const reasons: Readonly<Record<typeof refusal._tag, string>> = {
    UnknownQuestion: "is no question of the task",
    Answered: "has an answer already",
    TooLarge: "is too large"
  }
  const reason: InvalidAnswerReason = refusal._tag
  return new InvalidAnswer({ taskId, field: fieldOfAnswer([refusal.id]), reason, detail: reasons[refusal._tag] })
}

/** Each answer fits its question; nothing has changed yet. What is too large is not looked at. */
const checked = (
  engine: Engine,
  shown: TaskApproval,
  given: Readonly<Record<string, unknown>>,
  isSmall: (answers: Answers) => boolean
): Effect.Effect<Answers, ApprovalMismatch | InvalidAnswer> =>
  Effect.gen(function*() {
    const { taskId } = shown
    const answers = yield* readAnswers(taskId, given)
    const found = questions.findAsking(engine.state.table, shown, answers.keys())
    if (found._tag !== "Asking") return yield* refused(taskId, found)
    const [first] = answers.keys()
    if (first !== undefined && !isSmall(answers)) return yield* refused(taskId, { _tag: "TooLarge", id: first })
    const steps = makeCheckSteps()
    for (const question of questions.openQuestions(found.asked)) {
      if (answers.has(question.id)) yield* check(taskId, question, answers.get(question.id), steps)
    }
    return answers
  })

/** Accepts answers, and approves with the last of them. */
export const answerQuestions = <A, E, R>(
  engine: Engine,
  shown: TaskApproval,
  given: Readonly<Record<string, unknown>>,
  approve: Effect.Effect<A, E, R>
): Effect.Effect<A | undefined, E | ApprovalMismatch | InvalidAnswer, R> => {
  type Answered = Effect.Effect<A | undefined, E | ApprovalMismatch | InvalidAnswer, R>
  const isSmall = (together: Answers) => answersFit(engine.outputLimits, Object.fromEntries(together))
  return Effect.flatMap(checked(engine, shown, given, isSmall), (answers): Answered => {
    const outcome = engine.state.unsafeModify((table, now) => questions.answer(table, shown, answers, isSmall, now))
    if (outcome._tag !== "Accepted") return refused(shown.taskId, outcome)
    // nothing in between: a caller that is interrupted there would leave it answered, and nobody would launch it
    return outcome.isComplete ? approve : Effect.sync(() => undefined)
  })
}
