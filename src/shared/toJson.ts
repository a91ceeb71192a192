/**
 * JSON of a program's values: what `JSON.stringify` takes is taken, and what it would lose or refuse is named.
 *
 * @since 0.1.0
 */
import { ownText } from "./ownText.js"
import { printable } from "./text.js"
import { wellFormedText } from "./wellFormed.js"

/**
 * Deeper values than this are not taken for JSON. A cycle is an endless depth and so is refused too.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxJsonDepth = 512

/**
 * Whether an object is a plain one, not an instance of a class.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPlainObject = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/**
 * Why a value cannot be made JSON: what stands where in it. `cause` is what was thrown where it was read, if anything was.
 *
 * @since 0.1.0
 * @category models
 */
export interface JsonFault {
  readonly _tag: "JsonFault"
  /** From the value itself, which is `$`: `$.order.items[3].price`. */
  readonly path: string
  /** With its article: `a BigInt`, `a cycle`. */
  readonly kind: string
  /** Whether it is a cycle, or nested deeper than `maxJsonDepth` levels, and nothing else is wrong so far. */
  readonly isEndless: boolean
  readonly cause: unknown
}

/**
 * The JSON value, `undefined` where `JSON.stringify` would give nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type JsonReading = { readonly _tag: "Json"; readonly value: unknown } | JsonFault

/** What a value is, where an object was wanted. */
export const kindOf = (value: unknown): string =>
  value === undefined ? "missing" : value === null ? "null" : withArticle(Array.isArray(value) ? "array" : typeof value)

/** Thrown inside a walk, which knows the path. */
class Impossible {
  readonly kind: string
  readonly isEndless: boolean
  constructor(kind: string, isEndless = false) {
    this.kind = kind
    this.isEndless = isEndless
  }
}

const withArticle = (name: string): string => `${/^[aeio]/i.test(name) ? "an" : "a"} ${printable(name)}`

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1)

const lossy = [Map, Set, WeakMap, WeakSet, Promise, Error, RegExp, ArrayBuffer]

/** What the object is, if its own fields are not what it holds. */
const kindWithoutFields = (value: object): string | undefined => {
  if (ArrayBuffer.isView(value) || lossy.some((one) => value instanceof one)) return withArticle(tagOf(value))
  // whatever names itself (a Blob, Headers, a generator) and shows no field holds something that would be lost
  const tag = tagOf(value)
  return tag !== "Object" && Object.keys(value).length === 0 ? withArticle(tag) : undefined
}

const boxes = ["Number", "String", "Boolean", "BigInt"]

/** A boxed primitive as what is in the box. */
const unboxed = (value: object): unknown => boxes.includes(tagOf(value)) ? value.valueOf() : value

interface WithToJson {
  readonly toJSON: (key: string) => unknown
}

const hasToJson = (value: unknown): value is WithToJson =>
  value !== null && (typeof value === "object" || typeof value === "function" || typeof value === "bigint") &&
  // read as JSON.stringify does; a number has a field too, for all that is asked here
  typeof (value as { readonly toJSON?: unknown }).toJSON === "function"

// a longer list is never walked through: its text would be cut, and a list of holes takes no memory to make
const longestList = 2 ** 24

interface Known {
  /** Undefined while its own fields are read: who comes back to it then goes in a circle. */
  copy: object | undefined
  /** How many levels of objects and lists it has. */
  height: number
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

const pathText = (path: ReadonlyArray<string | number>): string =>
  printable(
    path.reduce<string>(
      (text, key) =>
        typeof key === "number" ? `${text}[${key}]` : identifier.test(key) ? `${text}.${key}` : `${text}["${key}"]`,
      "$"
    )
  )

/** One walk through a value. Depth is bounded, so recursion is; what several places share is copied once. */
class Walk {
  readonly path: Array<string | number> = []
  private readonly known = new Map<object, Known>()
  /** Of what was read last. */
  private height = 0
  private readonly keepsNumbers: boolean

  constructor(keepsNumbers: boolean) {
    this.keepsNumbers = keepsNumbers
  }

  read(given: unknown, key: string | number): unknown {
    const value = hasToJson(given) ? given.toJSON(String(key)) : given
    this.height = 0
    switch (typeof value) {
      case "string":
        return ownText(value)
      case "number":
        return this.keepsNumbers || Number.isFinite(value) ? value : null
      case "boolean":
      case "undefined":
        return value
      case "object":
        return value === null ? null : this.readObject(value)
      case "bigint":
        throw new Impossible("a BigInt")
      case "symbol":
        throw new Impossible("a symbol")
      case "function":
        throw new Impossible("a function")
    }
  }

  private readObject(value: object): unknown {
    const isList = Array.isArray(value)
    if (!isList && !isPlainObject(value)) {
      const primitive = unboxed(value)
      if (typeof primitive !== "object") return this.read(primitive, "")
      const kind = kindWithoutFields(value)
      if (kind !== undefined) throw new Impossible(kind)
    }
    const before = this.known.get(value)
    if (before !== undefined) {
      if (before.copy === undefined) throw new Impossible("a cycle", true)
      this.checkDepth(before.height)
      this.height = before.height
      return before.copy
    }
    this.checkDepth(1)
    const known: Known = { copy: undefined, height: 0 }
    this.known.set(value, known)
    const copy = isList ? this.readList(value) : this.readFields(value)
    known.copy = copy
    known.height = this.height
    return copy
  }

  private readList(list: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    if (list.length > longestList) throw new Impossible(`an array of ${list.length} items`)
    const copy: Array<unknown> = []
    let height = 0
    for (let index = 0; index < list.length; index++) {
      this.path.push(index)
      const item = this.read(list[index], index)
      this.path.pop()
      copy.push(item === undefined ? null : item)
      height = Math.max(height, this.height)
    }
    this.height = height + 1
    // a list that has grown item by item has room for more: of one item, for sixteen
    return copy.slice()
  }

  private readFields(value: object): object {
    const copy: Record<string, unknown> = {}
    let height = 0
    for (const key of Object.keys(value)) {
      this.path.push(key)
      const given: unknown = Reflect.get(value, key)
      // it was called already, and answered with an object that has one itself
      const field = key === "toJSON" && typeof given === "function" ? undefined : this.read(given, key)
      this.path.pop()
      if (field === undefined) continue
      height = Math.max(height, this.height)
      const name = wellFormedText(key)
      // defined, not assigned: it is a key like any other
      if (name === "__proto__") {
        Object.defineProperty(copy, name, { value: field, enumerable: true, writable: true, configurable: true })
      } else copy[name] = field
    }
    this.height = height + 1
    return copy
  }

  private checkDepth(height: number): void {
    if (this.path.length + height > maxJsonDepth) {
      throw new Impossible(`nested deeper than ${maxJsonDepth} levels`, true)
    }
  }
}

/**
 * `keepsNumbers`: NaN and the infinities stay what they are, for who reads the value in this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToJsonOptions {
  readonly keepsNumbers?: boolean | undefined
}

const fault = (path: string, kind: string, cause?: unknown, isEndless = false): JsonFault => ({
  _tag: "JsonFault",
  path,
  kind,
  isEndless,
  cause
})

/**
 * A copy of the value as JSON, which shares nothing with it: fields that are `undefined` are left out, `toJSON` is
 * honoured (a `Date` becomes its ISO string), an instance of a class is its own fields, NaN and the infinities are null,
 * halves of characters become U+FFFD. A BigInt, a cycle, a function, a symbol, and what would silently lose what it
 * holds (a `Map`, a `Set`, an `Error`, bytes…) is a fault. Never throws, whatever a getter or a proxy does.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toJson = (value: unknown, options?: ToJsonOptions): JsonReading => {
  const walk = new Walk(options?.keepsNumbers === true)
  try {
    return { _tag: "Json", value: walk.read(value, "") }
  } catch (thrown) {
    return thrown instanceof Impossible
      ? fault(pathText(walk.path), thrown.kind, undefined, thrown.isEndless)
      : fault(pathText(walk.path), "a value that throws where it is read", thrown)
  }
}

/**
 * The same, where nothing is not enough.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSomeJson = (value: unknown): JsonReading => {
  const reading = toJson(value)
  return reading._tag === "Json" && reading.value === undefined ? fault("$", "missing") : reading
}

const isFields = (json: unknown): json is Readonly<Record<string, unknown>> =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/**
 * The same for an object with fields, and nothing else.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toJsonObject = (
  value: unknown,
  options?: ToJsonOptions
): { readonly _tag: "Json"; readonly value: Readonly<Record<string, unknown>> } | JsonFault => {
  const reading = toJson(value, options)
  if (reading._tag === "JsonFault") return reading
  return isFields(reading.value) ? { _tag: "Json", value: reading.value } : fault("$", kindOf(reading.value))
}

/**
 * The fault in words, from `root`, which is what the value is called: `metadata.order.price is a BigInt`.
 *
 * @since 0.1.0
 * @category formatters
 */
export const describeFault = ({ kind, path }: JsonFault, root = "$"): string => `${root}${path.slice(1)} is ${kind}`
