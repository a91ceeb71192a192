/**
 * Which schema of Effect a JSON Schema was made of, in the process in which it was made. It checks more: a filter is not in a JSON Schema.
 * A tool's question is data, so the schema itself cannot travel with it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import type * as ParseResult from "effect/ParseResult"

/**
 * Decodes an answer.
 *
 * @since 0.1.0
 * @category models
 */
export type DecodeAnswer = (answer: unknown) => Effect.Effect<unknown, ParseResult.ParseError>

// one for every copy of this library in the process
const decoders = globalValue(
  Symbol.for("effect-task-manager/model/questionSchemas"),
  () => new WeakMap<object, DecodeAnswer>()
)

/**
 * Remembers of which schema a JSON Schema was made.
 *
 * @since 0.1.0
 * @category constructors
 */
export const rememberDecoder = (jsonSchema: object, decode: DecodeAnswer): void => {
  decoders.set(jsonSchema, decode)
}

/**
 * What decodes an answer, undefined where the schema was not made of one of Effect, or in another process.
 *
 * @since 0.1.0
 * @category getters
 */
export const decoderOf = (jsonSchema: unknown): DecodeAnswer | undefined =>
  typeof jsonSchema === "object" && jsonSchema !== null ? decoders.get(jsonSchema) : undefined
