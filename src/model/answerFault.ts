/**
 * The check of answers with the JSON Schema of their question. The schema of a tool is hostile, and so is the answer: the check counts
 * its steps, and gives up after so many.
 *
 * @since 0.1.0
 */
import { remainder } from "effect/Number"
import { isString } from "effect/Predicate"
import { printable } from "../shared/text.js"
import { articles, isObject, type JsonObject, patternOf, referred } from "./answerSchema.js"
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

/**
 * How many steps are left to checks that share them: a schema can name itself, and a small one can take endless steps with a small value.
 *
 * @since 0.1.0
 * @category models
 */
export interface CheckSteps {
  left: number
}

/**
 * The steps of the answers that are given in one call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeCheckSteps = (): CheckSteps => ({ left: 100_000 })

const deepest = 1_000

/** How many characters are compared, or counted, in one step. */
const charactersInStep = 64

/** What a detail names at most: of a long list nobody reads more. */
const mostNamed = 20
const longestDetail = 200
const longestChoices = 4_000

type Path = ReadonlyArray<string | number>

/** As `AnswerFault`. Its words are made once it is the one that is told: of all forms that do not fit, most are not. */
interface Finding {
  readonly path: Path
  readonly details: ReadonlyArray<() => string>
}

const finding = (path: Path, detail: () => string): Finding => ({ path, details: [detail] })

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

const oneOf = (choices: ReadonlyArray<unknown>): string => {
  const named: Array<string> = []
  let length = 0
  for (const choice of choices) {
    if (named.length === mostNamed || length > longestChoices) break
    const text = JSON.stringify(choice) ?? ""
    length += text.length
    named.push(printable(text))
  }
  const others = choices.length - named.length
  return `must be ${choices.length === 1 ? "" : "one of "}${named.join(", ")}${
    others === 0 ? "" : ` and ${others} more`
  }`
}

class Check {
  private readonly root: unknown
  private readonly sizes = new Map<object, number>()
  private readonly steps: CheckSteps
  /** It takes too many steps, or goes too deep. Nothing is found any more: not even `not` turns that into an answer that fits. */
  isGivenUp = false

  constructor(root: unknown, steps: CheckSteps) {
    this.root = root
    this.steps = steps
  }

  /** Counts steps before they are made. Returns whether they may be. */
  private mayTake(steps: number): boolean {
    this.steps.left -= steps
    if (this.steps.left < 0) this.isGivenUp = true
    return !this.isGivenUp
  }

  /** How many steps it takes to go through a value. */
  private sizeOf(value: unknown): number {
    if (isString(value)) return 1 + Math.floor(value.length / charactersInStep)
    if (typeof value !== "object" || value === null) return 1
    const known = this.sizes.get(value)
    if (known !== undefined) return known
    let size = 0
    const pending: Array<unknown> = [value]
    while (pending.length > 0) {
      const next = pending.pop()
      if (typeof next !== "object" || next === null) {
        size += this.sizeOf(next)
        continue
      }
      size++
      for (const child of Object.values(next)) pending.push(child)
    }
    this.sizes.set(value, size)
    return size
  }

  private equals(choice: unknown, value: unknown): boolean {
    const isLong = isString(choice)
      ? isString(value) && choice.length === value.length
      : typeof choice === "object" && typeof value === "object"
    return this.mayTake(isLong ? this.sizeOf(choice) + this.sizeOf(value) : 1) && jsonEquals(choice, value)
  }

  /** Undefined where the value fits, and where the check is given up. */
  find(schema: unknown, value: unknown, path: Path, depth = 0): Finding | undefined {
    if (depth > deepest) this.isGivenUp = true
    if (!this.mayTake(1)) return undefined
    if (schema === false) return finding(path, () => "is not expected")
    if (!isObject(schema)) return undefined
    const inner = (other: unknown) => this.find(other, value, path, depth + 1)
    const { $ref, allOf, anyOf, enum: choices, not, oneOf: forms, type } = schema
    if (isString($ref) && this.mayTake(this.sizeOf($ref))) {
      const found = inner(referred(this.root, $ref))
      if (found !== undefined) return found
    }
    if (type !== undefined) {
      const types: ReadonlyArray<unknown> = Array.isArray(type) ? type : [type]
      if (this.mayTake(types.length) && !types.some((one) => isOfType(one, value))) {
        return finding(path, () => `must be ${[...new Set(types)].map((one) => articles[String(one)]).join(" or ")}`)
      }
    }
    if (Array.isArray(choices) && !choices.some((choice) => this.isGivenUp || this.equals(choice, value))) {
      return finding(path, () => oneOf(choices))
    }
    if (Object.hasOwn(schema, "const") && !this.equals(schema["const"], value)) {
      return finding(path, () => `must be ${jsonOf(schema["const"])}`)
    }
    for (const part of Array.isArray(allOf) ? allOf : []) {
      const found = inner(part)
      if (found !== undefined || this.isGivenUp) return found
    }
    for (const [parts, most] of [[anyOf, Infinity], [forms, 1]] as const) {
      if (!Array.isArray(parts)) continue
      const found: Array<Finding> = []
      for (const part of parts) {
        const fault = inner(part)
        if (this.isGivenUp) return undefined
        if (fault !== undefined) found.push(fault)
      }
      const fitting = parts.length - found.length
      if (fitting > most) return finding(path, () => "fits more than one of the forms that exclude each other")
      if (fitting === 0) return nearest(found, path)
    }
    if (not !== undefined && inner(not) === undefined) return finding(path, () => "is not allowed")
    if (isString(value)) return this.mayTake(this.sizeOf(value)) ? textFinding(schema, value, path) : undefined
    if (typeof value === "number") return numberFinding(schema, value, path)
    if (Array.isArray(value)) return this.findInList(schema, value, path, depth)
    return isObject(value) ? this.findInObject(schema, value, path, depth) : undefined
  }

  private findInList(
    { additionalItems, items, maxItems, minItems, prefixItems }: JsonObject,
    value: ReadonlyArray<unknown>,
    path: Path,
    depth: number
  ): Finding | undefined {
    if (minItems !== undefined && value.length < Number(minItems)) {
      return finding(path, () => `must have at least ${Number(minItems)} items`)
    }
    if (maxItems !== undefined && value.length > Number(maxItems)) {
      return finding(path, () => `must have at most ${Number(maxItems)} items`)
    }
    const first: ReadonlyArray<unknown> = Array.isArray(items) ? items : Array.isArray(prefixItems) ? prefixItems : []
    const others = Array.isArray(items) ? additionalItems : items
    for (let index = 0; index < value.length; index++) {
      const schema = index < first.length ? first[index] : others
      const found = this.find(schema ?? true, value[index], [...path, index], depth + 1)
      if (found !== undefined || this.isGivenUp) return found
    }
    return undefined
  }

  private findInObject(
    { additionalProperties, patternProperties, properties, propertyNames, required }: JsonObject,
    value: JsonObject,
    path: Path,
    depth: number
  ): Finding | undefined {
    for (const name of Array.isArray(required) ? required : []) {
      if (!this.mayTake(1)) return undefined
      if (!Object.hasOwn(value, name)) return finding([...path, name], () => "is missing")
    }
    const named = isObject(properties) ? properties : {}
    const patterns = isObject(patternProperties) ? Object.entries(patternProperties) : []
    const names = Object.keys(value)
    if (!this.mayTake(patterns.length + names.length)) return undefined
    for (const name of names) {
      const at = [...path, name]
      if (propertyNames !== undefined && this.find(propertyNames, name, at, depth + 1) !== undefined) {
        return finding(at, () => "is not expected")
      }
      if (!this.mayTake(patterns.length * this.sizeOf(name))) return undefined
      const meant = patterns.flatMap(([pattern, schema]) => patternOf(pattern)?.test(name) === true ? [schema] : [])
      if (Object.hasOwn(named, name)) meant.push(named[name])
      if (meant.length === 0) meant.push(additionalProperties ?? true)
      for (const schema of meant) {
        const found = this.find(schema, value[name], at, depth + 1)
        if (found !== undefined || this.isGivenUp) return found
      }
    }
    return undefined
  }
}

/** Of several forms the one that the value comes nearest to; all of them where it comes near none. */
const nearest = (found: ReadonlyArray<Finding>, path: Path): Finding => {
  let inside: Finding | undefined
  for (const one of found) {
    if (one.path.length > (inside?.path ?? path).length) inside = one
  }
  if (inside !== undefined) return inside
  const details: Array<() => string> = []
  for (const one of found) {
    if (details.length < mostNamed) details.push(...one.details.slice(0, mostNamed - details.length))
  }
  return { path, details }
}

/** The words of a finding. */
const told = ({ details: [first, ...others], path }: Finding): AnswerFault => {
  if (first === undefined || others.length === 0) return { path, detail: first?.() ?? "" }
  const details = new Set<string>()
  let length = 0
  for (const detail of [first, ...others]) {
    // what is longer is cut
    if (length > longestDetail) break
    const text = detail()
    if (!details.has(text)) length += text.length
    details.add(text)
  }
  const parts = [...details]
  const takes = parts.every((detail) => detail.startsWith("must be "))
    ? `must be ${parts.map((detail) => detail.slice("must be ".length)).join(" or ")}`
    : parts.join(" or ")
  return { path, detail: printable(takes) }
}

/** Whether a text has fewer characters. Each is one unit of its `length`, or two: they are counted only where that decides. */
const isShorter = (text: string, characters: number): boolean =>
  text.length < characters || text.length < 2 * characters && [...text].length < characters

const textFinding = (
  { maxLength, minLength, pattern }: JsonObject,
  value: string,
  path: Path
): Finding | undefined => {
  if (minLength !== undefined && isShorter(value, Number(minLength))) {
    return finding(path, () => `must have at least ${Number(minLength)} characters`)
  }
  if (maxLength !== undefined && !isShorter(value, Number(maxLength) + 1)) {
    return finding(path, () => `must have at most ${Number(maxLength)} characters`)
  }
  return isString(pattern) && patternOf(pattern)?.test(value) === false
    ? finding(path, () => `must match ${printable(pattern)}`)
    : undefined
}

const numberFinding = (
  { exclusiveMaximum, exclusiveMinimum, maximum, minimum, multipleOf }: JsonObject,
  value: number,
  path: Path
): Finding | undefined => {
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
  return takes === undefined ? undefined : finding(path, () => `must be ${takes}`)
}

/**
 * What is wrong with a JSON value, undefined if it fits the schema. The schema must be one that `schemaFault` has nothing against. Values
 * that are checked together share their steps: where those are used up, the rest takes too long.
 *
 * @since 0.1.0
 * @category guards
 */
export const answerFault = (
  schema: unknown,
  value: unknown,
  steps: CheckSteps = makeCheckSteps()
): AnswerFault | undefined => {
  const check = new Check(schema, steps)
  const found = check.find(schema, value, [])
  if (check.isGivenUp) return { path: [], detail: "takes too long to be checked" }
  return found === undefined ? undefined : told(found)
}
