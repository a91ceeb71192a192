/**
 * Schemas as every provider takes them, also where it holds a model to them: OpenAI's strict mode wants every property required and
 * takes few keywords (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas). An optional property may be
 * null there, and null is taken for one that is left out.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

type JsonSchema = Readonly<Record<string, unknown>>

const isRecord: (value: unknown) => value is JsonSchema = Predicate.isRecord

const formats = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]

/** Keywords that only narrow: without them the executor refuses what they would have. */
const narrowing = ["default", "uniqueItems", "minProperties", "maxProperties"]

const takesNull = (schema: JsonSchema): boolean => {
  const { anyOf, const: constant, enum: values, type } = schema
  return type === "null" || constant === null ||
    Array.isArray(type) && type.includes("null") ||
    Array.isArray(values) && values.includes(null) ||
    Array.isArray(anyOf) && anyOf.some((member) => isRecord(member) && takesNull(member))
}

const nullable = (schema: JsonSchema): JsonSchema => {
  if (takesNull(schema) || Object.keys(schema).length === 0) return schema
  const { description, ...rest } = schema
  return { anyOf: [rest, { type: "null" }], ...(description === undefined ? undefined : { description }) }
}

// what Effect writes for a named schema with a description, and for several refinements
const withoutAllOf = (schema: JsonSchema): JsonSchema => {
  const { allOf, ...rest } = schema
  if (!Array.isArray(allOf)) return schema
  const members = allOf.filter(isRecord)
  const named = members.find((member) => "$ref" in member)
  return named === undefined ? Object.assign({}, ...members, rest) : { ...rest, anyOf: [named] }
}

const mapRecord = (value: unknown, change: (schema: unknown) => unknown): unknown =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, child]) => [key, change(child)])) : value

const children = (key: string, value: unknown): unknown => {
  switch (key) {
    case "properties":
    case "$defs":
      return mapRecord(value, strictSchema)
    case "anyOf":
    case "prefixItems":
      return Array.isArray(value) ? value.map(strictSchema) : value
    case "items":
    case "additionalProperties":
      return strictSchema(value)
    default:
      return value
  }
}

/** The schema with every property required. What strict modes cannot say (records, values of any kind) stays as it is. */
export const strictSchema = (given: unknown): unknown => {
  if (!isRecord(given)) return given
  const schema = withoutAllOf(given)
  const { properties, required, ...rest } = Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) =>
        !narrowing.includes(key) && !(key === "format" && !formats.some((known) => known === value))
      )
      .map(([key, value]) => [key, children(key, value)])
  )
  if (!isRecord(properties)) return { ...rest, ...(required === undefined ? undefined : { required }) }
  const needed: ReadonlyArray<unknown> = Array.isArray(required) ? required : []
  return {
    ...rest,
    properties: Object.fromEntries(
      Object.entries(properties).map(([key, child]) => [
        key,
        needed.includes(key) || !isRecord(child) ? child : nullable(child)
      ])
    ),
    required: Object.keys(properties)
  }
}

const naming = ["$schema", "$id", "$comment"]

const closedChildren = (key: string, value: unknown): unknown => {
  switch (key) {
    case "properties":
    case "$defs":
    case "definitions":
      return mapRecord(value, closedSchema)
    case "anyOf":
    case "allOf":
    case "prefixItems":
      return Array.isArray(value) ? value.map(closedSchema) : value
    case "items":
    case "additionalProperties":
      return closedSchema(value)
    default:
      return value
  }
}

/**
 * A schema of somebody else in the words that strict modes know: an object that does not say whether it takes more fields takes none,
 * `oneOf` is `anyOf`, and what only names a schema is left out.
 */
export const closedSchema = (given: unknown): unknown => {
  if (!isRecord(given)) return given
  const { oneOf, ...rest } = given
  const schema = Array.isArray(oneOf) && rest["anyOf"] === undefined ? { ...rest, anyOf: oneOf } : given
  const closed = Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => !naming.includes(key))
      .map(([key, value]) => [key, closedChildren(key, value)])
  )
  return isRecord(closed["properties"]) && closed["additionalProperties"] === undefined
    ? { ...closed, additionalProperties: false }
    : closed
}

const withField = (value: JsonSchema, key: string, child: unknown): JsonSchema =>
  Object.is(value[key], child) ? value : { ...value, [key]: child }

const fieldsWithoutNulls = (ast: AST.TypeLiteral, value: JsonSchema): JsonSchema => {
  let result = value
  for (const { isOptional, name, type } of ast.propertySignatures) {
    if (typeof name !== "string" || !Object.hasOwn(value, name)) continue
    const child = value[name]
    if (child === null && isOptional && !Schema.is(Schema.make(type))(null)) {
      const { [name]: _left, ...rest } = result
      result = rest
    } else result = withField(result, name, without(type, child))
  }
  const known = new Set(ast.propertySignatures.map(({ name }) => name))
  for (const { type } of ast.indexSignatures) {
    for (const [key, child] of Object.entries(result)) {
      if (!known.has(key)) result = withField(result, key, without(type, child))
    }
  }
  return result
}

const without = (ast: AST.AST, value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  switch (ast._tag) {
    case "TypeLiteral":
      return isRecord(value) ? fieldsWithoutNulls(ast, value) : value
    case "TupleType": {
      if (!Array.isArray(value)) return value
      const [rest] = ast.rest
      const list = value.map((child: unknown, index) => {
        const type = ast.elements[index]?.type ?? rest?.type
        return type === undefined ? child : without(type, child)
      })
      return list.every((child, index) => Object.is(child, value[index])) ? value : list
    }
    case "Union": {
      for (const member of ast.types) {
        const candidate = without(member, value)
        if (Schema.is(Schema.make(member))(candidate)) return candidate
      }
      return value
    }
    case "Suspend":
      return without(ast.f(), value)
    case "Refinement":
      return without(ast.from, value)
    default:
      return value
  }
}

/**
 * Takes from an input the nulls by which a model leaves out what it may leave out, by the schema that the input is decoded with.
 * A null that the schema takes stays.
 */
export const withoutNulls = (ast: AST.AST): (input: unknown) => unknown => {
  const encoded = AST.encodedAST(ast)
  return (input) => without(encoded, input)
}
