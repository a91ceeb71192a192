/** What a model sends, as a server takes it. */
import * as Predicate from "effect/Predicate"

type JsonSchema = Readonly<Record<string, unknown>>

const isRecord: (value: unknown) => value is JsonSchema = Predicate.isRecord

// a schema that refers to itself goes on for as long as the value does
const deepest = 64

const resolved = (root: JsonSchema, schema: unknown): JsonSchema | undefined => {
  if (!isRecord(schema)) return undefined
  const { $ref: ref } = schema
  if (typeof ref !== "string") return schema
  const [start, place, name, ...rest] = ref.split("/")
  if (start !== "#" || place === undefined || name === undefined || rest.length > 0) return undefined
  const schemas = Object.hasOwn(root, place) ? root[place] : undefined
  const found = isRecord(schemas) && Object.hasOwn(schemas, name) ? schemas[name] : undefined
  return isRecord(found) ? found : undefined
}

const takesNull = (root: JsonSchema, given: unknown, left: number): boolean => {
  const schema = resolved(root, given)
  // what is not understood is left to the server
  if (schema === undefined || left === 0) return true
  const { anyOf, const: constant, enum: values, oneOf, type } = schema
  const members = Array.isArray(anyOf) ? anyOf : Array.isArray(oneOf) ? oneOf : undefined
  if (members !== undefined) return members.some((member) => takesNull(root, member, left - 1))
  if (Array.isArray(values)) return values.includes(null)
  if (Object.hasOwn(schema, "const")) return constant === null
  return type === undefined || type === "null" || Array.isArray(type) && type.includes("null")
}

const without = (root: JsonSchema, given: unknown, value: unknown, left: number): unknown => {
  const schema = resolved(root, given)
  if (schema === undefined || left === 0 || typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) {
    return isRecord(schema["items"])
      ? value.map((item: unknown) => without(root, schema["items"], item, left - 1))
      : value
  }
  const { properties, required } = schema
  if (!isRecord(properties) || !isRecord(value)) return value
  const needed: ReadonlyArray<unknown> = Array.isArray(required) ? required : []
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, child]) => {
      const property = Object.hasOwn(properties, key) ? properties[key] : undefined
      if (property === undefined) return [[key, child]]
      if (child === null && !needed.includes(key) && !takesNull(root, property, deepest)) return []
      return [[key, without(root, property, child, left - 1)]]
    })
  )
}

/** The input without the nulls by which a model leaves out what it may leave out. A null that the schema takes stays. */
export const withoutNulls = (schema: JsonSchema, input: unknown): unknown => without(schema, schema, input, deepest)
