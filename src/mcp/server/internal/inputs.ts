/** What a task asks for, as requests to the client, and the client's responses, as answers. Plain functions. */
import type { ElicitRequestFormParams } from "@modelcontextprotocol/server"
import * as Predicate from "effect/Predicate"
import type { TaskApproval } from "../../../model/Approval.js"
import type { ApprovalAnswer } from "../../../services/TaskManager.js"
import { formOf, readForm, type Reading } from "./forms.js"

/** One request to the client. `question` is the id of what it answers; without one it is a yes. */
interface Input {
  readonly params: ElicitRequestFormParams
  readonly question?: { readonly id: string; readonly reading: Reading }
}

/** Requests by the keys of their responses. A key is never used again in its task: an answer that comes late answers nothing else. */
export type Inputs = ReadonlyMap<string, Input>

const noInputs: Inputs = new Map()

/** `round` counts how often the task has asked. */
export const inputsOf = ({ answered = [], approval }: TaskApproval, round: number): Inputs => {
  const { questions = [], summary } = approval
  if (questions.length === 0) {
    const requestedSchema = { type: "object" as const, properties: {} }
    return new Map([[`${round}`, { params: { mode: "form", message: summary, requestedSchema } }]])
  }
  const open = questions.filter(({ id }) => !answered.includes(id))
  return open.length === 0 ? noInputs : new Map(open.map(({ id, schema, text }): [string, Input] => {
    const form = formOf(schema)
    const message = `${summary}\n${text}`
    return [`${round}.${id}`, {
      params: { mode: "form", message, requestedSchema: form.schema },
      question: { id, reading: form.reading }
    }]
  }))
}

/** `Nothing`: no response is to what is asked now. */
export type Read =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Malformed"; readonly key: string }
  | { readonly _tag: "Answer"; readonly answer: ApprovalAnswer }

const nothing: Read = { _tag: "Nothing" }

const rejections: Readonly<Record<string, string>> = {
  decline: "The user has declined.",
  cancel: "The user has dismissed the question."
}

/** What responses say to what is asked. One that rejects decides for all; what is not asked (any more) is left out. */
export const readResponses = (inputs: Inputs, responses: Readonly<Record<string, unknown>>): Read => {
  const answers: Array<readonly [string, unknown]> = []
  let approves = false
  for (const [key, input] of inputs) {
    if (!Object.hasOwn(responses, key)) continue
    const response = responses[key]
    const action = Predicate.hasProperty(response, "action") ? response.action : undefined
    if (Predicate.isString(action) && Object.hasOwn(rejections, action)) {
      return { _tag: "Answer", answer: { reject: rejections[action] ?? "" } }
    }
    if (action !== "accept") return { _tag: "Malformed", key }
    if (input.question === undefined) {
      approves = true
      continue
    }
    const content = Predicate.hasProperty(response, "content") ? response.content : undefined
    const value = readForm(input.question.reading, content)
    if (value === undefined) return { _tag: "Malformed", key }
    answers.push([input.question.id, value])
  }
  if (approves) return { _tag: "Answer", answer: "approve" }
  return answers.length === 0 ? nothing : { _tag: "Answer", answer: { answers: Object.fromEntries(answers) } }
}
