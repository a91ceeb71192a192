/**
 * Questions that a tool asks a human, and their answers, typed by schemas of Effect.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { ApprovalRequired } from "../errors.js"
import { schemaFault } from "../model/answerSchema.js"
import type { ApprovalQuestion, ApprovalRequest } from "../model/Approval.js"
import { jsonCopy } from "../model/json.js"
import { rememberDecoder } from "../model/questionSchemas.js"
import { refuseUnless } from "../shared/refusals.js"
import { CurrentTask } from "./CurrentTask.js"

/**
 * A question whose answer is an `A`. As data it is an `ApprovalQuestion`: `schema` is the JSON Schema of what a human answers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Question<out A> extends ApprovalQuestion {
  readonly schema: unknown
  readonly decode: (answer: unknown) => Effect.Effect<A, ParseResult.ParseError>
}

/**
 * Types that are made from questions.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace Question {
  /**
   * Questions by the names under which a tool wants their answers.
   *
   * @since 0.1.0
   * @category models
   */
  export interface All extends Readonly<Record<string, Question<unknown>>> {}
  /**
   * The answers to questions, by the same names.
   *
   * @since 0.1.0
   * @category models
   */
  export type Answers<Questions extends All> = {
    readonly [Name in keyof Questions]: Questions[Name] extends Question<infer A> ? A : never
  }
}

const answer = <A>(question: Question<A>): Effect.Effect<Option.Option<A>, never, CurrentTask> =>
  Effect.flatMap(CurrentTask, ({ answers }) =>
    Object.hasOwn(answers, question.id)
      ? Effect.option(question.decode(answers[question.id]))
      : Effect.succeedNone)

/**
 * Makes questions, asks them, and gives their answers.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ApprovalId, Question } from "effect-task-manager"
 *
 * const region = Question.make("region", { text: "Where to?", schema: Schema.Literal("eu", "us") })
 * const replicas = Question.make("replicas", { text: "How many?", schema: Schema.Int.pipe(Schema.between(1, 9)) })
 *
 * const deploy = Effect.gen(function*() {
 *   // the first launch ends here, and the next one goes on with the answers
 *   const answers = yield* Question.ask({
 *     approval: {
 *       id: ApprovalId.make("deploy"),
 *       requestKind: "deploy",
 *       reason: "NeedsChoices",
 *       summary: "Deploy to production",
 *       metadata: {}
 *     },
 *     questions: { region, replicas }
 *   })
 *   return `${answers.replicas} in ${answers.region}`
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const Question: {
  /**
   * A question. An answer is what `schema` decodes from JSON; the manager checks it before it counts. Throws a `TypeError` for a
   * schema without a JSON Schema, or with one that has a keyword that answers are not checked with.
   */
  readonly make: <A, I>(
    id: string,
    options: { readonly text: string; readonly schema: Schema.Schema<A, I> }
  ) => Question<A>
  /**
   * The answer to a question in the tool that asked it. `None` while there is none, and for an answer that `schema` does not take (any more):
   * ask again.
   */
  readonly answer: <A>(question: Question<A>) => Effect.Effect<Option.Option<A>, never, CurrentTask>
  /**
   * The answers to all of the questions. While answers are missing it asks for them: it fails with `ApprovalRequired`, and the
   * tool runs again once they are there.
   */
  readonly ask: <Questions extends Question.All>(options: {
    readonly approval: Omit<ApprovalRequest, "questions" | "taskId" | "callId" | "asking">
    readonly questions: Questions
  }) => Effect.Effect<Question.Answers<Questions>, ApprovalRequired, CurrentTask>
} = {
  make: (id, { schema, text }) => {
    refuseUnless(typeof id === "string" && id !== "", "Question.make: id", "a non-empty string", id)
    refuseUnless(typeof text === "string", "Question.make: text", "a string", text)
    refuseUnless(Schema.isSchema(schema), "Question.make: schema", "a Schema", schema)
    const jsonSchema = jsonCopy(JSONSchema.make(schema), { freeze: true })
    const fault = schemaFault(jsonSchema, { patterns: true })
    if (fault !== undefined) throw new TypeError(`Question.make: schema: ${fault}`)
    const decode = Schema.decodeUnknown(schema)
    rememberDecoder(jsonSchema, decode)
    return { id, text, schema: jsonSchema, decode: (answered) => decode(answered) }
  },
  answer,
  ask: <Questions extends Question.All>({ approval, questions }: {
    readonly approval: Omit<ApprovalRequest, "questions" | "taskId" | "callId" | "asking">
    readonly questions: Questions
  }) =>
    Effect.gen(function*() {
      const missing: Array<ApprovalQuestion> = []
      const answers: Array<readonly [string, unknown]> = []
      for (const [name, question] of Object.entries(questions)) {
        const answered = yield* answer(question)
        if (Option.isSome(answered)) answers.push([name, answered.value])
        else missing.push({ id: question.id, text: question.text, schema: question.schema })
      }
      if (missing.length > 0) return yield* new ApprovalRequired({ approval: { ...approval, questions: missing } })
      // each name with what its question decodes
      return Object.fromEntries(answers) as Question.Answers<Questions>
    })
}
