/**
 * The parameters of tools, as models see them.
 *
 * @since 0.1.0
 */
import * as JSONSchema from "effect/JSONSchema"
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
  const told: object = JSONSchema.make(schema)
  const properties: unknown = Reflect.get(told, "properties")
  return schema.annotations({
    jsonSchema: { type: "object", properties, required: Object.keys(fields), additionalProperties: false }
  })
}
