/** The answer to a request for approval, read where it is given: here, in a client of a cluster, or in one over HTTP. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { InvalidAnswer } from "../../errors.js"
import type { TaskId } from "../../model/ids.js"
import { printable, shown } from "../../shared/text.js"
import { toJson } from "../../shared/toJson.js"
import type { ApprovalAnswer } from "../TaskManager.js"

type Rejection = Extract<ApprovalAnswer, { readonly reject: unknown }>
type Answers = Extract<ApprovalAnswer, { readonly answers: unknown }>

// a caller without types must not reject by mistake
const isRejection = (answer: unknown): answer is Rejection =>
  Predicate.hasProperty(answer, "reject") && Predicate.isString(answer.reject)

const isAnswers = (answer: unknown): answer is Answers =>
  Predicate.hasProperty(answer, "answers") && Predicate.isRecord(answer.answers)

/** The answer without other fields. Anything but an answer is a defect. */
export const checkAnswer = (answer: ApprovalAnswer): Effect.Effect<ApprovalAnswer> => {
  if (answer === "approve") return Effect.succeed(answer)
  if (isAnswers(answer)) return Effect.succeed({ answers: answer.answers })
  if (isRejection(answer)) return Effect.succeed({ reject: answer.reject })
  return Effect.die(
    new TypeError(`answerApproval takes "approve", { reject: reason } or { answers: { … } }, not ${shown(answer)}`)
  )
}

/** The answers; anything but answers is a defect, as in `checkAnswer`. */
export const checkAnswers = (answers: Answers["answers"]): Effect.Effect<Answers["answers"]> =>
  Effect.as(checkAnswer({ answers }), answers)

/** The name of a part of an answer, by its path. */
export const fieldOfAnswer = (path: ReadonlyArray<PropertyKey>): string =>
  printable(["answers", ...path].map(String).join("."))

/** The answers as JSON of our own, by the ids of their questions. */
export const readAnswers = (
  taskId: TaskId,
  given: Answers["answers"]
): Effect.Effect<ReadonlyMap<string, unknown>, InvalidAnswer> =>
  Effect.suspend(() => {
    const answers = new Map<string, unknown>()
    for (const [id, value] of Object.entries(given)) {
      const reading = toJson(value)
      if (reading._tag === "JsonFault" || reading.value === undefined) {
        const field = fieldOfAnswer([id])
        return new InvalidAnswer({ taskId, field, reason: "Invalid", detail: "must be a JSON value" })
      }
      answers.set(id, reading.value)
    }
    return Effect.succeed(answers)
  })
