/**
 * JSON values as they come from a model or a tool: hostile, possibly very deep, with keys like `__proto__` that are data.
 *
 * Every walk here is iterative, so that no depth of nesting overflows the stack, and no copy of an object ever assigns a key.
 *
 * @since 0.1.0
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import { longestText, measure } from "../shared/jsonText.js"
import {
  describeFault,
  isPlainObject,
  type JsonFault,
  type JsonReading,
  maxJsonDepth,
  toJson,
  toJsonObject,
  toSomeJson
} from "../shared/toJson.js"
import { isWellFormedText } from "../shared/wellFormed.js"

const notJson = -1
const tooLarge = -2

/** Looks at a value with at most `left` objects and lists, and allocates nothing. Gives how many are left, or a code. */
const scan = (value: unknown, left: number): number => {
  switch (typeof value) {
    case "string":
      return isWellFormedText(value) ? left : notJson
    case "boolean":
      return left
    case "number":
      return Number.isFinite(value) ? left : notJson
    case "object":
      break
    default:
      return notJson
  }
  if (value === null) return left
  if (left === 0) return tooLarge
  let rest = left - 1
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && rest >= 0; index++) rest = scan(value[index], rest)
    return rest
  }
  if (!isPlainObject(value)) return notJson
  for (const key in value) {
    if (!isWellFormedText(key)) return notJson
    rest = scan(Reflect.get(value, key), rest)
    if (rest < 0) return rest
  }
  return rest
}

/** As `isJson`, level by level, for values of any size. */
const isLargeJson = (value: unknown): boolean => {
  // a set: a cyclic or shared object stands in a level once, or two references to it would double every level below
  let next = new Set<object>()
  const accept = (child: unknown): boolean => {
    if (typeof child !== "object" || child === null) return scan(child, 0) === 0
    if (!(Array.isArray(child) || isPlainObject(child))) return false
    next.add(child)
    return true
  }
  if (!accept(value)) return false
  for (let depth = 0; next.size > 0; depth++) {
    if (depth === maxJsonDepth) return false
    const level = next
    next = new Set()
    for (const current of level) {
      if (Array.isArray(current)) {
        for (const child of current) if (!accept(child)) return false
      } else {
        for (const key of Object.keys(current)) {
          if (!isWellFormedText(key) || !accept(Reflect.get(current, key))) return false
        }
      }
    }
  }
  return true
}

// most values that are asked about have fewer
const smallJson = 64

/**
 * Whether a value is JSON: null, booleans, finite numbers, strings, arrays and plain objects of these, with no halves of
 * characters in its texts. What else can be made JSON is for `toJson`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isJson = (value: unknown): boolean => {
  const left = scan(value, smallJson)
  return left === tooLarge ? isLargeJson(value) : left >= 0
}

/** Objects that are taken for the same until something differs, in classes: what is the same as one of them is the same as all. */
class SameObjects {
  private readonly parents = new Map<object, object>()

  private representative(of: object): object {
    let current = of
    for (let parent = this.parents.get(current); parent !== undefined; parent = this.parents.get(current)) {
      const above = this.parents.get(parent)
      // so that the next one who asks has half of the way
      if (above !== undefined) this.parents.set(current, above)
      current = parent
    }
    return current
  }

  /** Returns whether that is news. */
  join(one: object, other: object): boolean {
    const [left, right] = [this.representative(one), this.representative(other)]
    if (left === right) return false
    this.parents.set(left, right)
    return true
  }
}

/**
 * Whether two JSON values are the same, deeply: same keys in any order, same items in the same order. Each object is compared with few
 * others, however often it stands in the values, and cycles are the same where nobody who walks through them can tell them apart.
 *
 * @since 0.1.0
 * @category predicates
 */
export const jsonEquals = (left: unknown, right: unknown): boolean => {
  const pending: Array<readonly [unknown, unknown]> = [[left, right]]
  // without it a cycle would be walked without end: each news makes one class of two, so there are less of them than objects
  const same = new SameObjects()
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [a, b] = pair
    if (Object.is(a, b)) continue
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
      // 0 and -0 are one number in JSON
      if (a === b) continue
      return false
    }
    if (Array.isArray(a) !== Array.isArray(b)) return false
    // some parsers make objects without a prototype
    const isPlain = isPlainObject(a) && isPlainObject(b)
    if (!isPlain && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
    if (!same.join(a, b)) continue
    const keys = Object.keys(a)
    if (keys.length !== Object.keys(b).length) return false
    for (const key of keys) {
      if (!Object.hasOwn(b, key)) return false
      pending.push([Reflect.get(a, key), Reflect.get(b, key)])
    }
  }
  return true
}

/**
 * A deep copy of a JSON value that shares nothing with it; deeply frozen when `freeze` is set. A value that is not JSON (a
 * function, a class instance) is kept as it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const jsonCopy = <A>(value: A, options?: { readonly freeze?: boolean | undefined }): A => {
  const copies = new Map<object, object>()
  const pending: Array<object> = []
  const copyOf = (source: unknown): unknown => {
    if (typeof source !== "object" || source === null) return source
    if (!Array.isArray(source) && !isPlainObject(source)) return source
    const known = copies.get(source)
    if (known !== undefined) return known
    // with its length, and filled below by assignment: growing and defined items take up to three times the memory
    const copy: object = Array.isArray(source)
      ? Array.from({ length: source.length })
      : Object.create(Object.getPrototypeOf(source))
    copies.set(source, copy)
    pending.push(source)
    return copy
  }
  const result = copyOf(value)
  for (let source = pending.pop(); source !== undefined; source = pending.pop()) {
    const copy = copies.get(source) ?? source
    if (Array.isArray(source) && Array.isArray(copy)) {
      for (let index = 0; index < source.length; index++) copy[index] = copyOf(source[index])
      continue
    }
    for (const key of Object.keys(source)) {
      // defined, not assigned: "__proto__" is a key like any other
      Object.defineProperty(copy, key, {
        value: copyOf(Reflect.get(source, key)),
        enumerable: true,
        writable: true,
        configurable: true
      })
    }
  }
  if (options?.freeze === true) {
    for (const copy of copies.values()) Object.freeze(copy)
  }
  // of the same shape as what was given
  return result as A
}

const tooLong: JsonFault = { _tag: "JsonFault", path: "$", kind: "too long", isEndless: true, cause: undefined }

/**
 * The input of a call as a human is shown it, in this process or another one: a frozen copy of what its JSON says, null for nothing. A fault
 * where it has no JSON: a tool may be given what is nested without end, and may change what it is given.
 *
 * @since 0.1.0
 * @category conversions
 */
export const shownInput = (input: unknown): JsonReading => {
  const reading = toJson(input)
  if (reading._tag === "JsonFault") return reading
  const value = reading.value ?? null
  // one object that stands in many places has a long text
  return measure(value).bytesAtMost > longestText ? tooLong : { _tag: "Json", value: jsonCopy(value, { freeze: true }) }
}

/**
 * Whether an object has no entries. Nothing is allocated: nearly always it is true.
 *
 * @since 0.1.0
 * @category guards
 */
export const isEmptyObject = (value: object): boolean => {
  for (const _ in value) return false
  return true
}

/**
 * Whether a value can be metadata: a plain object of JSON values.
 *
 * @since 0.1.0
 * @category guards
 */
export const isMetadata = (value: unknown): value is Metadata =>
  typeof value === "object" && value !== null && !Array.isArray(value) && isPlainObject(value) &&
  // nearly all metadata is empty, and this runs for every result
  (isEmptyObject(value) || isJson(value))

/**
 * Metadata as its maker cannot change it any more, or why there is none. Nearly all metadata is empty.
 *
 * @since 0.1.0
 * @category conversions
 */
export const readMetadata = (value: unknown): { readonly _tag: "Json"; readonly value: Metadata } | JsonFault =>
  isEmptyMetadata(value) ? noMetadata : toJsonObject(value)

const isEmptyMetadata = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && isPlainObject(value) && isEmptyObject(value)

/** For both sides: what is JSON already stays what it was, anything else becomes JSON if it can. */
const normalizing = <A>(isAlready: (value: unknown) => value is A, read: (value: unknown) => JsonReadingOf<A>) => {
  const parse = () => (value: unknown, _: unknown, ast: AST.Declaration) => {
    if (isAlready(value)) return ParseResult.succeed(value)
    const reading = read(value)
    return reading._tag === "Json"
      ? ParseResult.succeed(reading.value)
      : ParseResult.fail(new ParseResult.Type(ast, value))
  }
  return { decode: parse, encode: parse }
}

type JsonReadingOf<A> = { readonly _tag: "Json"; readonly value: A } | JsonFault

const wrongJsonId = Symbol.for("effect-task-manager/wrongJson")

/** What the schema takes, and what stands in its way where: paths and kinds, never a value. */
const naming = (takes: string, read: (value: unknown) => JsonReadingOf<unknown>) => {
  const wrongJson = (value: unknown): string => {
    const reading = read(value)
    if (reading._tag === "Json" || reading.kind === "missing") return `must be ${takes}`
    return reading.path === "$"
      ? `must be ${takes}, not ${reading.kind}`
      : `must be ${takes}, but ${describeFault(reading)}`
  }
  return { [wrongJsonId]: wrongJson, message: (issue: ParseResult.ParseIssue) => wrongJson(issue.actual) }
}

/**
 * What is wrong with a value that the `Json` or `Metadata` schema of an issue refused; undefined for other schemas.
 *
 * @since 0.1.0
 * @category formatters
 */
export const describeWrongJson = (ast: AST.AST, value: unknown): string | undefined => {
  const wrongJson = ast.annotations[wrongJsonId]
  // the annotation is made in this file only
  return typeof wrongJson === "function" ? (wrongJson as (value: unknown) => string)(value) : undefined
}

/**
 * Any JSON value. A decoded value is the value that was given, unless that has to be made JSON first: fields that are
 * `undefined` are left out, a `Date` becomes its ISO string, as `JSON.stringify` does it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Json: Schema.Schema<unknown> = Schema.declare(
  [],
  normalizing((value): value is unknown => isJson(value), toSomeJson),
  {
    identifier: "Json",
    description: "a JSON value",
    ...naming("a JSON value", toSomeJson),
    arbitrary: () => (fc) => fc.jsonValue(),
    // anything; with no keyword at all it would not be taken for the whole of a schema
    jsonSchema: { anyOf: [{}] }
  }
)

/**
 * Free-form JSON data that travels with requests, results and tasks. `__proto__` and similar names are plain keys: the
 * record is kept as it was decoded, unless it has to be made JSON first.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Metadata: Schema.Schema<Metadata> = Schema.declare([], normalizing(isMetadata, readMetadata), {
  identifier: "Metadata",
  description: "an object of JSON values",
  ...naming("an object of JSON values", readMetadata),
  arbitrary: () => (fc) => fc.dictionary(fc.string(), fc.jsonValue()),
  jsonSchema: { type: "object" }
})

/**
 * A value of the `Metadata` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface Metadata extends Readonly<Record<string, unknown>> {}

/**
 * The metadata of a value that has none.
 *
 * @since 0.1.0
 * @category constants
 */
export const emptyMetadata: Metadata = Object.freeze({})

const noMetadata = { _tag: "Json", value: emptyMetadata } as const
