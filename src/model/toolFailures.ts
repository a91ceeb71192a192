/**
 * What a failure of a tool says: an error for the model, or a request for approval. Both are read by their tag, for the tool
 * may have been built against another copy of this library.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type ApprovalRequired, ToolError, ToolErrorReason } from "../errors.js"
import { ownText } from "../shared/ownText.js"
import { printable } from "../shared/text.js"
import { toJson } from "../shared/toJson.js"
import { isWellFormedText } from "../shared/wellFormed.js"
import { schemaFault } from "./answerSchema.js"
import type { ApprovalQuestion } from "./Approval.js"
import { emptyMetadata, jsonCopy, type Metadata, readMetadata } from "./json.js"
import { decoderOf } from "./questionSchemas.js"
import { notJson } from "./readToolResult.js"

const isString = Predicate.isString

const isReason = Schema.is(ToolErrorReason)

/**
 * The error that a tool failed with, undefined if the failure is not a `ToolError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolErrorOf = (error: unknown): ToolError | undefined =>
  Predicate.isTagged(error, "ToolError") &&
    Predicate.hasProperty(error, "reason") && isReason(error.reason) &&
    Predicate.hasProperty(error, "message") && isString(error.message) &&
    Predicate.hasProperty(error, "toolName") && isString(error.toolName)
    ? error instanceof ToolError && isWellFormedText(error.message) && isWellFormedText(error.toolName)
      ? error
      : new ToolError({
        reason: error.reason,
        toolName: ownText(error.toolName),
        message: ownText(error.message),
        // of an error of another copy as well: it is hidden there and here
        cause: Reflect.get(error, "cause")
      })
    : undefined

const metadataOf = (value: object, toolName: string): Metadata => {
  const metadata: unknown = Reflect.get(value, "metadata")
  // an error that was thrown by its tag may have none
  if (metadata === undefined || metadata === null) return emptyMetadata
  const reading = readMetadata(metadata)
  if (reading._tag === "JsonFault") throw notJson(toolName, "asked for approval with", reading, "metadata")
  return reading.value
}

/** Each is for a human, and costs memory for as long as nobody answers. */
const mostQuestions = 100

const schemaOf = (schema: unknown, toolName: string, at: string): unknown => {
  // it was checked where it was made, and nobody can change it
  if (decoderOf(schema) !== undefined) return schema
  const reading = toJson(schema)
  if (reading._tag === "JsonFault") throw notJson(toolName, "asked for an answer with", reading, `${at}.schema`)
  const fault = schemaFault(reading.value, { patterns: false })
  if (fault !== undefined) throw cannotAsk(toolName, `\`${at}.schema\`: ${fault}`)
  return jsonCopy(reading.value, { freeze: true })
}

const cannotAsk = (toolName: string, what: string): TypeError =>
  new TypeError(`The tool "${printable(toolName)}" cannot ask this: ${what}`)

/** The questions of a request for approval; undefined for one that takes a yes. */
const questionsOf = (value: object, toolName: string): ReadonlyArray<ApprovalQuestion> | undefined => {
  const given: unknown = Reflect.get(value, "questions")
  if (given === undefined) return undefined
  if (!Array.isArray(given)) throw cannotAsk(toolName, "`questions` must be an array")
  if (given.length > mostQuestions) throw cannotAsk(toolName, `\`questions\` has more than ${mostQuestions}`)
  const ids = new Set<string>()
  const questions = given.map((question: unknown, index): ApprovalQuestion => {
    const at = `questions[${index}]`
    if (!Predicate.hasProperty(question, "id") || !isString(question.id) || question.id === "") {
      throw cannotAsk(toolName, `\`${at}.id\` must be a non-empty string`)
    }
    if (!Predicate.hasProperty(question, "text") || !isString(question.text)) {
      throw cannotAsk(toolName, `\`${at}.text\` must be a string`)
    }
    const id = ownText(question.id)
    if (ids.has(id)) throw cannotAsk(toolName, `\`${at}.id\` is that of another question`)
    ids.add(id)
    const schema: unknown = Reflect.get(question, "schema")
    const text = ownText(question.text)
    return Object.freeze(schema === undefined ? { id, text } : { id, text, schema: schemaOf(schema, toolName, at) })
  })
  return questions.length === 0 ? undefined : Object.freeze(questions)
}

/**
 * What a failure of a tool asks for, undefined if it asks for nothing. Throws a `TypeError` for metadata that cannot be made
 * JSON, and for questions that cannot be asked: ids that are missing or there twice, schemas that answers cannot be checked with.
 *
 * @since 0.1.0
 * @category constructors
 */
export const approvalOf = (error: unknown, toolName: string): ApprovalRequired["approval"] | undefined => {
  if (!Predicate.isTagged(error, "ApprovalRequired") || !Predicate.hasProperty(error, "approval")) return undefined
  const { approval } = error
  if (
    !(Predicate.hasProperty(approval, "id") && isString(approval.id) && approval.id !== "" &&
      Predicate.hasProperty(approval, "requestKind") && isString(approval.requestKind) &&
      Predicate.hasProperty(approval, "reason") && isString(approval.reason) &&
      Predicate.hasProperty(approval, "summary") && isString(approval.summary))
  ) return undefined
  const questions = questionsOf(approval, toolName)
  return {
    // the id's brand stands for the check that was just made
    id: ownText(approval.id) as ApprovalRequired["approval"]["id"],
    requestKind: ownText(approval.requestKind),
    reason: ownText(approval.reason),
    summary: ownText(approval.summary),
    metadata: metadataOf(approval, toolName),
    ...(questions === undefined ? undefined : { questions })
  }
}
