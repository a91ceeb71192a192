/**
 * How much memory a JSON value keeps alive, for budgets that hold for any value of a tool: 1 MiB of JSON text can be 3 MB of
 * heap, or 60. The figures are those of V8 with full pointers (Node, Deno), measured in test/shared/memoryOf.test.ts.
 */

const slot = 8
const arrayHeader = 32
const objectHeader = 24
/** Of a string, an array's items, and the properties beyond the first four. */
const storeHeader = 16
const heapNumber = 16
/** A class instance that is not JSON: it is not looked into. */
const opaque = 256
/** An error with its stack. */
const errorWithStack = 2_048
/** What V8 keeps for the first object of a shape, for each key by which the shape differs from a known one. */
const perShape = 144
/** An object of more keys than this can be a hash table. */
const fastKeys = 127
const perHashedKey = 56
/** Shorter text is taken for two bytes a unit: looking at it costs more than what it could save. */
const shortText = 256
// further apart than any number of keys, and shapes times this is still a safe integer
const shapeStride = 2 ** 26

// oxlint-disable-next-line no-control-regex -- every character that V8 stores in one byte
const wide = /[^\u0000-\u00ff]/

const words = (bytes: number): number => Math.ceil(bytes / slot) * slot

const ofText = (text: string): number =>
  text.length === 0
    ? 0
    : storeHeader + words(text.length <= shortText || wide.test(text) ? 2 * text.length : text.length)

const isSmall = (value: number): boolean => (value | 0) === value && !Object.is(value, -0)

const ofPrimitive = (value: unknown): number =>
  typeof value === "string" ? ofText(value) : typeof value === "number" && !isSmall(value) ? heapNumber : 0

/** Keys such as "7" are kept in a separate store, with room up to the largest or as a hash table. */
const ofIndexes = (count: number, largest: number): number => {
  if (count === 0) return 0
  const dense = storeHeader + slot * (1.5 * largest + 16)
  const hashed = (largest < 1_024 ? 5_500 : 150) + 150 * count
  return Math.min(dense, hashed)
}

const largestIndex = 2 ** 32 - 2

/** The index that V8 makes of a key, or -1 if it makes none. */
const indexOf = (key: string): number => {
  const first = key.charCodeAt(0)
  if (!(first >= 48 && first <= 57) || key.length > 10) return -1
  const index = Number(key)
  return index <= largestIndex && String(index) === key ? index : -1
}

class Estimate {
  bytes = 0
  private readonly limit: number
  private readonly pending: Array<object> = []
  private readonly seen = new Set<object>()
  private readonly keys = new Map<string, number>()
  private readonly shapes = new Map<number, number>()

  constructor(limit: number) {
    this.limit = limit
  }

  of(value: object): number {
    this.add(value)
    for (let next = this.pending.pop(); next !== undefined && this.bytes <= this.limit; next = this.pending.pop()) {
      if (Array.isArray(next)) this.addArray(next)
      else this.addObject(next)
    }
    return this.bytes
  }

  /** The size of a value without the reference to it. */
  private add(value: unknown): void {
    if (typeof value !== "object" || value === null) this.bytes += ofPrimitive(value)
    else if (!this.seen.has(value)) {
      this.seen.add(value)
      this.pending.push(value)
    }
  }

  private addArray(items: ReadonlyArray<unknown>): void {
    this.bytes += arrayHeader
    if (items.length === 0) return
    this.bytes += storeHeader + slot * items.length
    for (const item of items) {
      this.add(item)
      if (this.bytes > this.limit) return
    }
  }

  private addObject(value: object): void {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && prototype !== Object.prototype) {
      this.addInstance(value)
      return
    }
    const keys = Object.keys(value)
    const isHashed = prototype === null || keys.length > fastKeys
    let shape = 0
    let named = 0
    let indexes = 0
    let largest = 0
    for (const key of keys) {
      const child: unknown = Reflect.get(value, key)
      // even a small one is in a cell of its own where V8 has seen fractions under the key
      if (typeof child === "number") this.bytes += heapNumber
      else this.add(child)
      const index = indexOf(key)
      if (index >= 0) {
        indexes++
        largest = Math.max(largest, index)
      } else {
        named++
        const number = this.keyNumber(key)
        if (!isHashed) shape = this.nextShape(shape, number)
      }
      if (this.bytes > this.limit) return
    }
    this.bytes += objectHeader + (isHashed ? 192 + perHashedKey * named : slot * Math.max(4, named)) +
      (named > 4 ? 2 * storeHeader : 0) + ofIndexes(indexes, largest)
  }

  private addInstance(value: object): void {
    this.bytes += opaque
    if (!(value instanceof Error)) return
    const message: unknown = Object.getOwnPropertyDescriptor(value, "message")?.value
    this.bytes += errorWithStack
    this.add(typeof message === "string" ? message : undefined)
  }

  /** V8 keeps each key once. */
  private keyNumber(key: string): number {
    const known = this.keys.get(key)
    if (known !== undefined) return known
    this.bytes += ofText(key)
    this.keys.set(key, this.keys.size)
    return this.keys.size - 1
  }

  private nextShape(shape: number, key: number): number {
    const step = shape * shapeStride + key
    const known = this.shapes.get(step)
    if (known !== undefined) return known
    this.bytes += perShape
    this.shapes.set(step, this.shapes.size + 1)
    return this.shapes.size
  }
}

/**
 * An estimate in bytes of the heap that a JSON value keeps alive, rather too high than too low; what is shared is counted once.
 * Beyond `limit` it stops counting: it answers with some number above it.
 */
export const memoryOf = (value: unknown, limit = Infinity): number =>
  typeof value === "object" && value !== null ? new Estimate(limit).of(value) : ofPrimitive(value)
