/**
 * JSON Schema as far as answers to questions are checked with it. A tool that asks with a keyword that is not here is refused, so that
 * no answer counts that was not checked.
 *
 * Known are `type`, `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `not`, `$ref` to `$defs` or `definitions` of the same schema; of
 * objects `properties`, `required`, `additionalProperties`, `patternProperties` and `propertyNames`; of lists `items`,
 * `prefixItems`, `additionalItems`, `minItems` and `maxItems`; of texts `minLength`, `maxLength` and `pattern`; of numbers `minimum`, `maximum`,
 * `exclusiveMinimum`, `exclusiveMaximum` and `multipleOf`. What only describes (`title`, `format`, `default` and so on) checks nothing.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import { printable } from "../shared/text.js"

/**
 * A JSON object.
 *
 * @since 0.1.0
 * @category models
 */
export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Whether a value is an object, and not a list.
 *
 * @since 0.1.0
 * @category guards
 */
export const isObject = (value: unknown): value is JsonObject => Predicate.isRecord(value)

const isSchema = (value: unknown): boolean => typeof value === "boolean" || isObject(value)
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0

const isListOf = (is: (value: unknown) => boolean) => (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(is)

/**
 * The types, as a detail names them.
 *
 * @since 0.1.0
 * @category constants
 */
export const articles: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "an integer",
  boolean: "a boolean",
  object: "an object",
  array: "an array",
  null: "null"
}
const isType = (value: unknown): boolean => Predicate.isString(value) && Object.hasOwn(articles, value)

const isPattern = (value: unknown): boolean => Predicate.isString(value) && patternOf(value) !== undefined

/**
 * The regular expression of a `pattern`; undefined where it is not one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const patternOf = (pattern: string): RegExp | undefined => {
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
  $ref: { takes: "`#`, or the name of one of its own `$defs` or `definitions`", is: Predicate.isString },
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
  required: { takes: "a list of names", is: (value) => Array.isArray(value) && value.every(Predicate.isString) },
  type: { takes: "a type or a list of types", is: (value) => isType(value) || isListOf(isType)(value) }
}

const unescaped = (name: string): string => {
  try {
    return decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~")
  } catch {
    return name
  }
}

/**
 * The schema that a `$ref` names; undefined where there is none.
 *
 * @since 0.1.0
 * @category getters
 */
export const referred = (root: unknown, ref: string): unknown => {
  if (ref === "#") return root
  const [start, place = "", name = "", ...rest] = ref.split("/")
  if (start !== "#" || rest.length > 0 || !isObject(root)) return undefined
  const schemas = place === "$defs" || place === "definitions" ? root[place] : undefined
  const found = unescaped(name)
  return isObject(schemas) && Object.hasOwn(schemas, found) ? schemas[found] : undefined
}

/**
 * Why answers cannot be checked with a value as their schema, undefined if they can. `patterns`: whether it may have regular
 * expressions. A regular expression from elsewhere may take for ever on a short text.
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
