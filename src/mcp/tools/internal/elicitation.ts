/**
 * What a server asks its user, as a question. The protocol allows a form of plain fields; what is anything else is refused, and never
 * shown: a form is made anew of what was understood.
 */
import * as Predicate from "effect/Predicate"
import { schemaFault } from "../../../model/answerSchema.js"
import { listingLimits, readableText } from "./listing.js"

type Fields = Readonly<Record<string, unknown>>

const isRecord: (value: unknown) => value is Fields = Predicate.isRecord

/** How large a form may be. */
const limits = { fields: 50, choices: 200, characters: 1_000, message: 8_192 } as const

/** A form that can be shown, with the schema of its answer. */
export interface Form {
  readonly message: string
  readonly schema: Fields
}

/** A question that comes with the answer to a call is not asked, and so there is no other answer. */
export class FormRefused extends Error {}

/** Why something is no form. */
class NoForm {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

const refuse = (why: string): never => {
  throw new NoForm(why)
}

const texts = (given: unknown, name: string): Fields =>
  typeof given === "string" ? { [name]: readableText(given, listingLimits.descriptionCharacters) } : {}

const choice = (value: unknown): string =>
  typeof value === "string" && value.length <= limits.characters
    ? value
    : refuse("a choice is not a text, or is too long")

const choices = (value: unknown): ReadonlyArray<string> => {
  if (!Array.isArray(value) || value.length === 0) return refuse("choices are not a list")
  if (value.length > limits.choices) return refuse(`a field has more than ${limits.choices} choices`)
  return value.map(choice)
}

const titled = (value: unknown): ReadonlyArray<Fields> => {
  if (!Array.isArray(value) || value.length === 0) return refuse("choices are not a list")
  if (value.length > limits.choices) return refuse(`a field has more than ${limits.choices} choices`)
  return value.map((one: unknown) =>
    isRecord(one)
      ? { const: choice(one["const"]), ...texts(one["title"], "title") }
      : refuse("a choice is not an object")
  )
}

const number = (field: Fields, name: string, isWhole: boolean): Fields => {
  const value = field[name]
  if (value === undefined) return {}
  if (typeof value !== "number" || !Number.isFinite(value) || isWhole && !(Number.isInteger(value) && value >= 0)) {
    return refuse(`\`${name}\` is not a number that the field allows`)
  }
  return { [name]: value }
}

/** Of one field what is known; anything else that it says only describes it, or is not allowed there and refused by its type. */
const fieldOf = (given: unknown): Fields => {
  if (!isRecord(given)) return refuse("a field is not a schema")
  const described = { ...texts(given["title"], "title"), ...texts(given["description"], "description") }
  switch (given["type"]) {
    case "boolean":
      return { type: "boolean", ...described }
    case "number":
    case "integer":
      return {
        type: given["type"],
        ...described,
        ...number(given, "minimum", false),
        ...number(given, "maximum", false)
      }
    case "string":
      if (given["enum"] !== undefined) return { type: "string", ...described, enum: choices(given["enum"]) }
      if (given["oneOf"] !== undefined) return { type: "string", ...described, oneOf: titled(given["oneOf"]) }
      if (given["pattern"] !== undefined) return refuse("a field has a pattern")
      return {
        type: "string",
        ...described,
        ...texts(given["format"], "format"),
        ...number(given, "minLength", true),
        ...number(given, "maxLength", true)
      }
    case "array": {
      const { items } = given
      if (!isRecord(items)) return refuse("a list does not say of what")
      return {
        type: "array",
        ...described,
        items: items["anyOf"] === undefined
          ? { type: "string", enum: choices(items["enum"]) }
          : { anyOf: titled(items["anyOf"]) },
        ...number(given, "minItems", true),
        ...number(given, "maxItems", true)
      }
    }
    default:
      return refuse("a field is neither a text, a number, a choice nor a yes or no")
  }
}

/** What a human may answer: the form, or null, which declines it. */
export const schemaOf = ({ schema }: Form): Fields => ({ anyOf: [schema, { type: "null", title: "Decline" }] })

const read = (params: unknown): Form => {
  if (!isRecord(params)) return refuse("it has no parameters")
  if (params["mode"] !== undefined && params["mode"] !== "form") return refuse("only forms are taken")
  const { message, requestedSchema: schema } = params
  if (typeof message !== "string") return refuse("it has no message")
  if (!isRecord(schema) || schema["type"] !== "object" || !isRecord(schema["properties"])) {
    return refuse("its schema is not an object with fields")
  }
  const fields = Object.entries(schema["properties"])
  if (fields.length > limits.fields) return refuse(`it has more than ${limits.fields} fields`)
  if (fields.some(([name]) => !/^[\w.-]{1,64}$/u.test(name) || name === "__proto__")) {
    return refuse("a field has a name that is not taken")
  }
  const required: ReadonlyArray<unknown> = Array.isArray(schema["required"]) ? schema["required"] : []
  const form: Form = {
    message: readableText(message, limits.message),
    schema: {
      type: "object",
      properties: Object.fromEntries(fields.map(([name, field]) => [name, fieldOf(field)])),
      required: fields.map(([name]) => name).filter((name) => required.includes(name)),
      additionalProperties: false
    }
  }
  const fault = schemaFault(schemaOf(form), { patterns: false })
  return fault === undefined ? form : refuse(fault)
}

/** The form that a server asks with, or why it is refused. */
export const readForm = (params: unknown): Form | string => {
  try {
    return read(params)
  } catch (thrown) {
    if (thrown instanceof NoForm) return thrown.why
    throw thrown
  }
}

/** The answer to a question that was asked with `schemaOf`, in the words of the protocol. */
export const answerOf = (
  answer: unknown
): { readonly action: "accept"; readonly content: Fields } | { readonly action: "decline" } =>
  isRecord(answer) ? { action: "accept", content: answer } : { action: "decline" }
