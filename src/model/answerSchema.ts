/**
 * JSON Schema as far as answers to questions are checked with it. What this file does not know it refuses where a tool asks, so that
 * no answer counts that was not checked.
 *
 * Known are `type`, `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `not`, `$ref` to `$defs` or `definitions` of the same schema; of
 * objects `properties`, `required`, `additionalProperties`, `patternProperties` and `propertyNames`; of lists `items`,
 * `prefixItems`, `additionalItems`, `minItems` and `maxItems`; of texts `minLength`, `maxLength` and `pattern`; of numbers `minimum`, `maximum`,
 * `exclusiveMinimum`, `exclusiveMaximum` and `multipleOf`. What only describes (`title`, `format`, `default` and so on) checks nothing.
 *
 * @since 0.1.0
 */
import { remainder } from "effect/Number"
import * as Predicate from "effect/Predicate"
import { printable } from "../shared/text.js"
import { jsonEquals } from "./json.js"

/**
 * What is wrong with a value: where in it, and what it takes there.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnswerFault {
  readonly path: ReadonlyArray<string | number>
  /** A predicate: `must be a string`, `is missing`. The value is not in it. */
  readonly detail: string
}

type JsonObject = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is JsonObject => Predicate.isRecord(value) && !Array.isArray(value)
const isSchema = (value: unknown): boolean => typeof value === "boolean" || isObject(value)
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0
const isText = (value: unknown): value is string => typeof value === "string"
const isListOf = (is: (value: unknown) => boolean) => (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(is)

const articles: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "an integer",
  boolean: "a boolean",
  object: "an object",
  array: "an array",
  null: "null"
}
const isType = (value: unknown): boolean => isText(value) && Object.hasOwn(articles, value)

const isPattern = (value: unknown): boolean => isText(value) && patternOf(value) !== undefined

const patternOf = (pattern: string): RegExp | undefined => {
  // many an old one has an escape that Unicode mode does not know
  for (const flags of ["u", ""]) {
    try {
      return new RegExp(pattern, flags)
    } catch {}
  }
  return undefined
}

const describing = [
  "$comment",
  "$id",
  "$schema",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
  "default",
  "deprecated",
  "description",
  "examples",
  "format",
  "readOnly",
  "title",
  "writeOnly"
]

/** What a keyword takes, and the schemas that are in it. */
interface Keyword {
  readonly takes: string
  readonly is: (value: unknown) => boolean
  readonly schemas?: (value: unknown) => ReadonlyArray<unknown>
}

const one: Keyword = { takes: "a schema", is: isSchema, schemas: (value) => [value] }
const list: Keyword = {
  takes: "a list of schemas",
  is: isListOf(isSchema),
  schemas: (value) => Array.isArray(value) ? value : []
}
const byName: Keyword = {
  takes: "an object of schemas",
  is: (value) => isObject(value) && Object.values(value).every(isSchema),
  schemas: (value) => isObject(value) ? Object.values(value) : []
}
const byPattern: Keyword = {
  ...byName,
  takes: "an object of schemas by patterns",
  is: (value) => byName.is(value) && isObject(value) && Object.keys(value).every(isPattern)
}
const oneOrList: Keyword = {
  takes: "a schema or a list of schemas",
  is: (value) => isSchema(value) || list.is(value),
  schemas: (value) => Array.isArray(value) ? value : [value]
}
const number: Keyword = { takes: "a number", is: Number.isFinite }
const count: Keyword = { takes: "an integer from 0", is: isCount }

const keywords: Readonly<Record<string, Keyword>> = {
  $defs: byName,
  $ref: { takes: "`#`, or the name of one of its own `$defs` or `definitions`", is: isText },
  additionalItems: one,
  additionalProperties: one,
  allOf: list,
  anyOf: list,
  const: { takes: "a value", is: () => true },
  definitions: byName,
  enum: { takes: "a list of values", is: isListOf(() => true) },
  exclusiveMaximum: number,
  exclusiveMinimum: number,
  items: oneOrList,
  maxItems: count,
  maxLength: count,
  maximum: number,
  minItems: count,
  minLength: count,
  minimum: number,
  multipleOf: { takes: "a number above 0", is: (value) => Number.isFinite(value) && Number(value) > 0 },
  not: one,
  oneOf: list,
  pattern: { takes: "a regular expression", is: isPattern },
  patternProperties: byPattern,
  prefixItems: list,
  properties: byName,
  propertyNames: one,
  required: { takes: "a list of names", is: (value) => Array.isArray(value) && value.every(isText) },
  type: { takes: "a type or a list of types", is: (value) => isType(value) || isListOf(isType)(value) }
}

const unescaped = (name: string): string => {
  try {
    return decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~")
  } catch {
    return name
  }
}

/** The schema that a `$ref` names; undefined where there is none. */
const referred = (root: unknown, ref: string): unknown => {
  if (ref === "#") return root
  const [start, place = "", name = "", ...rest] = ref.split("/")
  if (start !== "#" || rest.length > 0 || !isObject(root)) return undefined
  const schemas = place === "$defs" || place === "definitions" ? root[place] : undefined
  const found = unescaped(name)
  return isObject(schemas) && Object.hasOwn(schemas, found) ? schemas[found] : undefined
}

/**
 * What makes a value no schema that answers can be checked with, undefined if it is one. `patterns`: whether it may have regular
 * expressions. One that comes from elsewhere could be made so that a short text takes it for ever.
 *
 * @since 0.1.0
 * @category guards
 */
export const schemaFault = (root: unknown, options: { readonly patterns: boolean }): string | undefined => {
  const pending: Array<unknown> = [root]
  for (let index = 0; index < pending.length; index++) {
    const schema = pending[index]
    if (typeof schema === "boolean") continue
    if (!isObject(schema)) return "it must be a JSON Schema"
    for (const [name, value] of Object.entries(schema)) {
      if (describing.includes(name)) continue
      const keyword = Object.hasOwn(keywords, name) ? keywords[name] : undefined
      if (keyword === undefined) return `\`${printable(name)}\` is none of the keywords that are checked`
      if (!keyword.is(value) || name === "$ref" && referred(root, String(value)) === undefined) {
        return `\`${name}\` must be ${keyword.takes}`
      }
      if (!options.patterns && (name === "pattern" || name === "patternProperties")) {
        return `\`${name}\` is only taken from Question.make`
      }
      for (const inner of keyword.schemas?.(value) ?? []) pending.push(inner)
    }
  }
  return undefined
}

/** A schema can name itself, and a small one can take endless steps with a small value. */
const mostSteps = 100_000
const deepest = 1_000

type Path = ReadonlyArray<string | number>

const isOfType = (type: unknown, value: unknown): boolean => {
  switch (type) {
    case "null":
      return value === null
    case "array":
      return Array.isArray(value)
    case "object":
      return isObject(value)
    case "integer":
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

const jsonOf = (value: unknown): string => printable(JSON.stringify(value) ?? "")

class Check {
  private steps = 0
  private readonly root: unknown

  constructor(root: unknown) {
    this.root = root
  }

  fault(schema: unknown, value: unknown, path: Path, depth = 0): AnswerFault | undefined {
    const wrong = (detail: string): AnswerFault => ({ path, detail })
    if (++this.steps > mostSteps || depth > deepest) return wrong("takes too long to be checked")
    if (schema === false) return wrong("is not expected")
    if (!isObject(schema)) return undefined
    const inner = (other: unknown, of = value, at = path) => this.fault(other, of, at, depth + 1)
    const { $ref, allOf, anyOf, enum: choices, not, oneOf, type } = schema
    if (isText($ref)) {
      const found = inner(referred(this.root, $ref))
      if (found !== undefined) return found
    }
    if (type !== undefined) {
      const types: ReadonlyArray<unknown> = Array.isArray(type) ? type : [type]
      if (!types.some((one) => isOfType(one, value))) {
        return wrong(`must be ${types.map((one) => articles[String(one)]).join(" or ")}`)
      }
    }
    if (Array.isArray(choices) && !choices.some((choice) => jsonEquals(choice, value))) {
      return wrong(`must be ${choices.length === 1 ? "" : "one of "}${choices.map(jsonOf).join(", ")}`)
    }
    if (Object.hasOwn(schema, "const") && !jsonEquals(schema["const"], value)) {
      return wrong(`must be ${jsonOf(schema["const"])}`)
    }
    for (const part of Array.isArray(allOf) ? allOf : []) {
      const found = inner(part)
      if (found !== undefined) return found
    }
    if (Array.isArray(anyOf) || Array.isArray(oneOf)) {
      for (const [parts, most] of [[anyOf, Infinity], [oneOf, 1]] as const) {
        if (!Array.isArray(parts)) continue
        const found = parts.flatMap((part) => inner(part) ?? [])
        const fitting = parts.length - found.length
        if (fitting > most) return wrong("fits more than one of the forms that exclude each other")
        if (fitting === 0) return nearest(found, path)
      }
    }
    if (not !== undefined && inner(not) === undefined) return wrong("is not allowed")
    if (isText(value)) return textFault(schema, value, path)
    if (typeof value === "number") return numberFault(schema, value, path)
    if (Array.isArray(value)) return this.listFault(schema, value, path, depth)
    return isObject(value) ? this.objectFault(schema, value, path, depth) : undefined
  }

  private listFault(
    { additionalItems, items, maxItems, minItems, prefixItems }: JsonObject,
    value: ReadonlyArray<unknown>,
    path: Path,
    depth: number
  ): AnswerFault | undefined {
    if (minItems !== undefined && value.length < Number(minItems)) {
      return { path, detail: `must have at least ${Number(minItems)} items` }
    }
    if (maxItems !== undefined && value.length > Number(maxItems)) {
      return { path, detail: `must have at most ${Number(maxItems)} items` }
    }
    const first: ReadonlyArray<unknown> = Array.isArray(items) ? items : Array.isArray(prefixItems) ? prefixItems : []
    const others = Array.isArray(items) ? additionalItems : items
    for (let index = 0; index < value.length; index++) {
      const schema = index < first.length ? first[index] : others
      const found = this.fault(schema ?? true, value[index], [...path, index], depth + 1)
      if (found !== undefined) return found
    }
    return undefined
  }

  private objectFault(
    { additionalProperties, patternProperties, properties, propertyNames, required }: JsonObject,
    value: JsonObject,
    path: Path,
    depth: number
  ): AnswerFault | undefined {
    for (const name of Array.isArray(required) ? required : []) {
      if (!Object.hasOwn(value, name)) return { path: [...path, name], detail: "is missing" }
    }
    const named = isObject(properties) ? properties : {}
    const patterns = isObject(patternProperties) ? Object.entries(patternProperties) : []
    for (const [name, child] of Object.entries(value)) {
      const at = [...path, name]
      if (propertyNames !== undefined && this.fault(propertyNames, name, at, depth + 1) !== undefined) {
        return { path: at, detail: "is not expected" }
      }
      const meant = patterns.flatMap(([pattern, schema]) => patternOf(pattern)?.test(name) === true ? [schema] : [])
      if (Object.hasOwn(named, name)) meant.push(named[name])
      if (meant.length === 0) meant.push(additionalProperties ?? true)
      for (const schema of meant) {
        const found = this.fault(schema, child, at, depth + 1)
        if (found !== undefined) return found
      }
    }
    return undefined
  }
}

/** Of several forms the one that the value comes nearest to; all of them where it comes near none. */
const nearest = (found: ReadonlyArray<AnswerFault>, path: Path): AnswerFault => {
  const inside = [...found].sort((left, right) => right.path.length - left.path.length)[0]
  if (inside !== undefined && inside.path.length > path.length) return inside
  const details = [...new Set(found.map(({ detail }) => detail))]
  const takes = details.every((detail) => detail.startsWith("must be "))
    ? `must be ${details.map((detail) => detail.slice("must be ".length)).join(" or ")}`
    : details.join(" or ")
  return { path, detail: printable(takes) }
}

const textFault = (
  { maxLength, minLength, pattern }: JsonObject,
  value: string,
  path: Path
): AnswerFault | undefined => {
  if (minLength !== undefined && [...value].length < Number(minLength)) {
    return { path, detail: `must have at least ${Number(minLength)} characters` }
  }
  if (maxLength !== undefined && [...value].length > Number(maxLength)) {
    return { path, detail: `must have at most ${Number(maxLength)} characters` }
  }
  return isText(pattern) && patternOf(pattern)?.test(value) === false
    ? { path, detail: `must match ${printable(pattern)}` }
    : undefined
}

const numberFault = (
  { exclusiveMaximum, exclusiveMinimum, maximum, minimum, multipleOf }: JsonObject,
  value: number,
  path: Path
): AnswerFault | undefined => {
  const takes = minimum !== undefined && value < Number(minimum)
    ? `at least ${Number(minimum)}`
    : maximum !== undefined && value > Number(maximum)
    ? `at most ${Number(maximum)}`
    : exclusiveMinimum !== undefined && value <= Number(exclusiveMinimum)
    ? `more than ${Number(exclusiveMinimum)}`
    : exclusiveMaximum !== undefined && value >= Number(exclusiveMaximum)
    ? `less than ${Number(exclusiveMaximum)}`
    : multipleOf !== undefined && remainder(value, Number(multipleOf)) !== 0
    ? `a multiple of ${Number(multipleOf)}`
    : undefined
  return takes === undefined ? undefined : { path, detail: `must be ${takes}` }
}

/**
 * What is wrong with a JSON value, undefined if it fits the schema. The schema must be one that `schemaFault` has nothing against.
 *
 * @since 0.1.0
 * @category guards
 */
export const answerFault = (schema: unknown, value: unknown): AnswerFault | undefined =>
  new Check(schema).fault(schema, value, [])
