/** How much memory the cause of a failure keeps alive: it can be anything, and most are small. */
import { memoryOf } from "./memoryOf.js"

/** An object that is not JSON, with its own fields. */
const bareObject = 128
/** So many objects and texts are looked at, those that are nearest to the cause first: one may hold half of its program. */
const mostSeen = 1_000

/** What an object holds. No getter is called: what it would make is not kept by the object. */
const held = (value: object): Iterable<unknown> => {
  if (value instanceof Map) return [...value].flat()
  if (value instanceof Set) return value
  if (Array.isArray(value) && value.length > mostSeen) return value.slice(0, mostSeen)
  // a stack is a text only once somebody looks at it
  return Reflect.ownKeys(value).map((key) =>
    key === "stack" ? undefined : Object.getOwnPropertyDescriptor(value, key)?.value
  )
}

const estimate = (cause: unknown, limit: number): number => {
  const seen = new Set<unknown>([cause])
  const see = (value: unknown): void => {
    const isHeld = typeof value === "string" || typeof value === "object" && value !== null
    if (isHeld && seen.size < mostSeen) seen.add(value)
  }
  let bytes = 0
  // a Set goes on to what is added meanwhile
  for (const value of seen) {
    if (bytes > limit) break
    if (typeof value === "string") bytes += memoryOf(value)
    if (typeof value !== "object" || value === null) continue
    bytes += bareObject
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) bytes += value.byteLength
    else for (const child of held(value)) see(child)
  }
  return bytes
}

/** An estimate in bytes. Beyond `limit` it stops counting. A proxy that throws where it is looked at counts as nothing. */
export const memoryOfCause = (cause: unknown, limit: number): number => {
  if (cause === undefined) return 0
  try {
    return estimate(cause, limit)
  } catch {
    return 0
  }
}
