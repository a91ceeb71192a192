/** The form of a question: what a JSON Schema asks for, as far as a form can, and the answer that is made of it. */
import type { ApprovalQuestion } from "../../../../model/Approval.js"

/** How a question is asked. Any other than the simple ones is answered in JSON. */
export type Field =
  | { readonly _tag: "Text"; readonly isLong: boolean }
  | { readonly _tag: "Number"; readonly isWhole: boolean }
  | { readonly _tag: "Flag" }
  | { readonly _tag: "Choice"; readonly choices: ReadonlyArray<string | number | boolean | null> }
  | { readonly _tag: "Json" }

/** More than this is not a list to choose from. */
const mostChoices = 200

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isChoice = (value: unknown): value is string | number | boolean | null =>
  value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean"

/** What a schema says of a value as a whole: what it refers to, and what it has to fit besides, counts too. */
const whole = (schema: unknown, root: unknown, depth = 0): Readonly<Record<string, unknown>> => {
  if (!isObject(schema) || depth > 8) return {}
  const { $ref: reference, allOf } = schema
  const [, name] = typeof reference === "string" ? /^#\/\$defs\/([^/]+)$/.exec(reference) ?? [] : []
  const named = name === undefined || !isObject(root) || !isObject(root["$defs"]) ? undefined : root["$defs"][name]
  const parts = [named, ...(Array.isArray(allOf) ? allOf.slice(0, 20) : [])]
  return Object.assign({}, ...parts.map((part) => whole(part, root, depth + 1)), schema)
}

export const fieldOf = ({ schema: given }: Pick<ApprovalQuestion, "schema">): Field => {
  if (given === undefined) return { _tag: "Text", isLong: false }
  const schema = whole(given, given)
  const choices = schema["enum"]
  if (Array.isArray(choices) && choices.length > 0 && choices.length <= mostChoices && choices.every(isChoice)) {
    return { _tag: "Choice", choices }
  }
  switch (schema["type"]) {
    case "string":
      return { _tag: "Text", isLong: Number(schema["maxLength"] ?? 0) > 200 }
    case "number":
      return { _tag: "Number", isWhole: false }
    case "integer":
      return { _tag: "Number", isWhole: true }
    case "boolean":
      return { _tag: "Flag" }
    default:
      return { _tag: "Json" }
  }
}

/** An answer, or why the text is not one. */
export type Answer =
  | { readonly _tag: "Answer"; readonly value: unknown }
  | { readonly _tag: "Fault"; readonly fault: string }

const fault = (fault: string): Answer => ({ _tag: "Fault", fault })

/** What a person has put into a field; of a choice it is the place in the list, of a flag `true` or `false`. */
export const answerOf = (field: Field, text: string): Answer => {
  switch (field._tag) {
    case "Text":
      return { _tag: "Answer", value: text }
    case "Number": {
      const value = Number(text)
      if (text.trim() === "" || !Number.isFinite(value)) return fault("must be a number")
      return field.isWhole && !Number.isInteger(value) ? fault("must be a whole number") : { _tag: "Answer", value }
    }
    case "Flag":
      return text === "" ? fault("is missing") : { _tag: "Answer", value: text === "true" }
    case "Choice": {
      const place = Number(text)
      return text === "" || !(place in field.choices)
        ? fault("is missing")
        : { _tag: "Answer", value: field.choices[place] }
    }
    case "Json":
      try {
        return { _tag: "Answer", value: JSON.parse(text) }
      } catch {
        return fault("must be JSON")
      }
  }
}
