/**
 * The parameters of tools, as models see them.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"
import * as Schema from "effect/Schema"

/**
 * A parameter that may be left out or null.
 *
 * @since 0.1.0
 * @category schemas
 */
export const optionalParameter = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optional(Schema.NullOr(schema))

/**
 * The parameters of a tool. Its JSON Schema lists every one as required, for providers that want it so (OpenAI's strict
 * mode); an optional one may be null there, and decoding takes it for null when it is missing.
 *
 * @since 0.1.0
 * @category schemas
 */
export const toolParameters = <Fields extends Schema.Struct.Fields>(fields: Fields): Schema.Struct<Fields> => {
  const schema = Schema.Struct(fields)
  // as @effect/ai makes it: every named schema is written out where it stands, for providers want no keywords beside a reference
  const told = Tool.getJsonSchemaFromSchemaAst(schema.ast)
  return schema.annotations({ jsonSchema: { ...told, required: Object.keys(fields) } })
}
