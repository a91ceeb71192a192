/**
 * What a suspended task asks, and the answers to it. A question has one answer, and an answer is to one asking; what a task was
 * answered it keeps until it asks the same question again, or settles.
 *
 * | the task is                      | answers to some, and others stay open | answers to all that is open          | no answers, or "approve"       |
 * | -------------------------------- | ------------------------------------- | ------------------------------------ | ------------------------------ |
 * | asked, without questions         | `UnknownQuestion`                     | –                                    | launched again                 |
 * | asked                            | partly answered                       | all answered, then launched again    | `ApprovalMismatch` (`answers`) |
 * | partly answered                  | partly answered; `Answered` for one   | all answered, then launched again    | `ApprovalMismatch` (`answers`) |
 * |                                  | that has an answer                    |                                      |                                |
 * | all answered                     | `Answered`                            | `Answered`                           | launched again                 |
 * | asked something else by now,     | `ApprovalMismatch` (`asking`)         | the same                             | the same                       |
 * | launched again, ended, unknown   |                                       |                                      |                                |
 *
 * All answered, it is launched at once by whoever gave the last answer, and stays so only where that comes to nothing: routing has failed, the
 * manager closes, its process ends. In every one of these states a rejection, a cancel, an interrupt of its turn, the close of its session
 * and the end of its `approvalTimeout`, which runs from the asking, end the task; its answers go with it. Of several answers that
 * come together none counts if one is refused.
 */
import type { ApprovalMismatchField } from "../errors.js"
import type { ApprovalQuestion, TaskApproval } from "../model/Approval.js"
import { isJson, jsonEquals, shownInput } from "../model/json.js"
import { TaskLaunchRequest } from "../model/Task.js"
import { renewApproval } from "./delivery.js"
import * as events from "./events.js"
import type { Answers, TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

const none: ReadonlyArray<ApprovalQuestion> = []

/** What is asked of a task, without what it has an answer to. */
export const openQuestions = ({ answered = [], approval: { questions = none } }: TaskApproval) =>
  answered.length === 0 ? questions : questions.filter(({ id }) => !answered.includes(id))

/** A task asks. What it was answered to the same questions before does not count any more. */
export const ask = (table: TaskTable, task: TaskRecord, asked: TaskApproval): void => {
  const { questions = none } = asked.approval
  if (task.answers !== undefined && questions.length > 0) {
    const answers = new Map(task.answers)
    for (const { id } of questions) answers.delete(id)
    task.answers = answers
  }
  task.asked = asked
  table.inbox.version++
}

/** A task that was brought back asks what it asked before, and has the answers that were given. */
export const askAgain = (table: TaskTable, task: TaskRecord, asked: TaskApproval): void => {
  const { answers } = task
  const { questions = none } = asked.approval
  const isAsked = (id: string): boolean => questions.some((question) => question.id === id)
  const answered = answers === undefined ? [] : [...answers.keys()].filter(isAsked)
  task.asked = answered.length === 0 ? asked : Object.freeze({ ...asked, answered: Object.freeze(answered) })
  table.inbox.version++
}

/** Whether an answer is for the input that was shown: by what its JSON says, which is all that travels. */
const isShown = (input: unknown, shown: unknown): boolean => {
  if (isJson(input)) return jsonEquals(input, shown)
  const reading = shownInput(input)
  return reading._tag === "Json" && jsonEquals(reading.value, shown)
}

/** What in an approved launch differs from what was asked, if anything does; whether it is answered is another matter. */
export const differs = (table: TaskTable, launch: TaskLaunchRequest.Approved): ApprovalMismatchField | undefined => {
  const task = table.tasks.get(launch.taskId)
  if (task === undefined) return "taskId"
  const asked = task.isLive ? task.asked : undefined
  const { asking } = launch.approval
  // an answer to an earlier question, or to one of another manager, whatever else it differs in
  if (asking !== undefined && asking !== asked?.approval.asking) return "asking"
  if (asked === undefined) return "status"
  const { approval, toolRequest } = asked
  const { request } = launch
  if (request.sessionId !== toolRequest.sessionId) return "sessionId"
  if (request.turnId !== toolRequest.turnId) return "turnId"
  if (request.callId !== toolRequest.callId) return "callId"
  if (request.toolName !== toolRequest.toolName) return "toolName"
  if (!isShown(request.input, toolRequest.input)) return "input"
  if (launch.approval.id !== approval.id) return "approvalId"
  return asking === approval.asking ? undefined : "asking"
}

/** Why answers do not count. */
export type AnswerRefusal =
  | { readonly _tag: "Mismatch"; readonly field: ApprovalMismatchField }
  | { readonly _tag: "UnknownQuestion" | "Answered" | "TooLarge"; readonly id: string }

/** The task that is asked what was shown, with what it is asked now. */
export interface Asking {
  readonly _tag: "Asking"
  readonly task: TaskRecord
  readonly asked: TaskApproval
}

/** Looks for what was answered; nothing of the answers but their questions is looked at. */
export const findAsking = (
  table: TaskTable,
  shown: TaskApproval,
  ids: Iterable<string>
): Asking | AnswerRefusal => {
  const { approval, taskId, toolRequest: request } = shown
  const field = differs(table, TaskLaunchRequest.approved({ taskId, request, approval }))
  if (field !== undefined) return { _tag: "Mismatch", field }
  const task = table.tasks.get(taskId)
  if (task?.isLive !== true || task.asked === undefined) return { _tag: "Mismatch", field: "status" }
  const { answered = [], approval: { questions = none } } = task.asked
  for (const id of ids) {
    if (!questions.some((question) => question.id === id)) return { _tag: "UnknownQuestion", id }
    if (answered.includes(id)) return { _tag: "Answered", id }
  }
  return { _tag: "Asking", task, asked: task.asked }
}

/**
 * Answers that fit their questions, as one step. Returns whether every question has one now. `isSmall`: whether a task may be
 * answered so much, what it was answered before with it.
 */
export const answer = (
  table: TaskTable,
  shown: TaskApproval,
  answers: Answers,
  isSmall: (answers: Answers) => boolean,
  now: number
): { readonly _tag: "Accepted"; readonly isComplete: boolean } | AnswerRefusal => {
  const found = findAsking(table, shown, answers.keys())
  if (found._tag !== "Asking") return found
  const { task } = found
  let { asked } = found
  const [first] = answers.keys()
  if (first !== undefined) {
    const together = new Map([...task.answers ?? [], ...answers])
    if (!isSmall(together)) return { _tag: "TooLarge", id: first }
    task.answers = together
    asked = Object.freeze({ ...asked, answered: Object.freeze([...asked.answered ?? [], ...answers.keys()]) })
    task.asked = asked
    renewApproval(task, asked)
    table.inbox.version++
    table.journal?.changed(task)
    const open = openQuestions(asked).map(({ id }) => id)
    events.questionsAnswered(table, now, task.snapshot, asked.answered ?? [], open)
  }
  return { _tag: "Accepted", isComplete: openQuestions(asked).length === 0 }
}
