/**
 * Questions as the forms that clients can show: an object of texts, numbers, flags and choices. Anything else is asked for as
 * JSON text. The manager checks each answer, whatever the form has said.
 */
import type { ElicitRequestFormParams } from "@modelcontextprotocol/server"
import * as Predicate from "effect/Predicate"
import { isObject, type JsonObject, referred } from "../../../model/answerSchema.js"

type FormSchema = ElicitRequestFormParams["requestedSchema"]
type Field = FormSchema["properties"][string]

/** How an answer is read from what was filled in: all of it, its one field, or the JSON in its one field. */
export type Reading = "Object" | "Field" | "Json"

export interface Form {
  readonly schema: FormSchema
  readonly reading: Reading
}

const fieldName = "answer"

const mostReferences = 16

/** The schema that is meant, with its references in place: what stands beside one is added to it. */
const resolved = (root: unknown, schema: unknown): JsonObject | undefined => {
  let found = schema
  for (let steps = 0; steps < mostReferences; steps++) {
    if (!isObject(found)) return undefined
    const { $ref, ...beside } = found
    if (!Predicate.isString($ref)) return found
    const meant = referred(root, $ref)
    if (!isObject(meant)) return undefined
    found = { ...meant, ...beside }
  }
  return undefined
}

const isTexts = (value: unknown): value is Array<string> =>
  Array.isArray(value) && value.length > 0 && value.every(Predicate.isString)

const formats = ["email", "uri", "date", "date-time"] as const
const formatOf = (format: unknown) => formats.find((known) => known === format)

const textsAt = (schema: JsonObject, names: ReadonlyArray<"title" | "description">) =>
  Object.fromEntries(names.flatMap((name) => Predicate.isString(schema[name]) ? [[name, schema[name]]] : []))

const numbersAt = (schema: JsonObject, names: ReadonlyArray<string>) =>
  Object.fromEntries(names.flatMap((name) => Predicate.isNumber(schema[name]) ? [[name, schema[name]]] : []))

/** Keywords of JSON Schema that a field has no word for. Without them it would take what the question does not. */
const beyondFields = ["allOf", "anyOf", "oneOf", "not"]

/** The field of a form for a schema; undefined where forms have none. */
const fieldOf = (root: unknown, given: unknown): Field | undefined => {
  const schema = resolved(root, given)
  if (schema === undefined || beyondFields.some((name) => Object.hasOwn(schema, name))) return undefined
  const described = textsAt(schema, ["title", "description"])
  const { enum: choices, items, type } = schema
  const only = schema["const"] === undefined ? choices : [schema["const"]]
  if (only !== undefined) {
    return isTexts(only) && (type === undefined || type === "string")
      ? { type: "string", enum: [...only], ...described }
      : undefined
  }
  switch (type) {
    case "boolean":
      return { type, ...described }
    case "integer":
    case "number":
      return { type, ...described, ...numbersAt(schema, ["minimum", "maximum"]) }
    case "string": {
      const format = formatOf(schema["format"])
      return {
        type,
        ...described,
        ...numbersAt(schema, ["minLength", "maxLength"]),
        ...(format === undefined ? undefined : { format })
      }
    }
    case "array": {
      const item = resolved(root, items)
      return item !== undefined && isTexts(item["enum"])
        ? {
          type,
          ...described,
          ...numbersAt(schema, ["minItems", "maxItems"]),
          items: { type: "string", enum: [...item["enum"]] }
        }
        : undefined
    }
    default:
      return undefined
  }
}

const objectForm = (root: unknown, given: unknown): FormSchema | undefined => {
  const schema = resolved(root, given)
  if (schema?.["type"] !== "object" || !isObject(schema["properties"])) return undefined
  if (beyondFields.some((name) => Object.hasOwn(schema, name))) return undefined
  const fields: Record<string, Field> = {}
  for (const [name, property] of Object.entries(schema["properties"])) {
    const field = fieldOf(root, property)
    if (field === undefined || name === "__proto__") return undefined
    fields[name] = field
  }
  const { required } = schema
  return { type: "object", properties: fields, ...(isTexts(required) ? { required: [...required] } : undefined) }
}

const ofOneField = (field: Field): FormSchema => ({
  type: "object",
  properties: { [fieldName]: field },
  required: [fieldName]
})

const longestSchema = 2_000

/** The form of a question; without a schema it is answered with a text. */
export const formOf = (schema: unknown): Form => {
  if (schema === undefined) return { schema: ofOneField({ type: "string" }), reading: "Field" }
  const whole = objectForm(schema, schema)
  if (whole !== undefined) return { schema: whole, reading: "Object" }
  const field = fieldOf(schema, schema)
  if (field !== undefined) return { schema: ofOneField(field), reading: "Field" }
  const text = JSON.stringify(schema) ?? ""
  const description = `JSON that fits ${text.length > longestSchema ? "what is asked" : text}`
  return { schema: ofOneField({ type: "string", description }), reading: "Json" }
}

/** The answer in what was filled in; undefined where there is none. */
export const readForm = (reading: Reading, content: unknown): unknown => {
  if (!isObject(content)) return undefined
  if (reading === "Object") return content
  const value = Object.hasOwn(content, fieldName) ? content[fieldName] : undefined
  if (reading === "Field" || !Predicate.isString(value)) return value
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}
