/** How large the JSON text of a value is, and the text itself where it can be made. */

export interface Measure {
  readonly depth: number
  readonly bytesAtMost: number
}

/**
 * How deep a JSON value is nested, and a bound for the bytes of its JSON text that is cheap to compute. What several
 * places share is measured once and counted in each: a small value can have an endless text. No value is deeper than
 * `maxJsonDepth` here, so recursion is bounded.
 */
export const measure = (value: unknown, known = new Map<object, Measure>()): Measure => {
  if (typeof value === "string") return { depth: 0, bytesAtMost: 6 * value.length + 3 }
  if (typeof value !== "object" || value === null) return { depth: 0, bytesAtMost: 25 }
  const before = known.get(value)
  if (before !== undefined) return before
  let depth = 0
  let bytesAtMost = 3
  const add = (child: unknown, around: number): void => {
    const inner = measure(child, known)
    depth = Math.max(depth, inner.depth + 1)
    bytesAtMost += inner.bytesAtMost + around
  }
  // without entries: the names of the places of a list take many times the list
  if (Array.isArray(value)) { for (const child of value) add(child, 1) }
  else for (const [key, child] of Object.entries(value)) add(child, 6 * key.length + 4)
  const measured = { depth, bytesAtMost }
  known.set(value, measured)
  return measured
}

// a longer JSON text is never made, not even to be cut: it may not fit into a string, or into memory
export const longestText = 2 ** 28

/** The JSON text of a JSON value, undefined where it would be too long to be made. */
export const jsonText = (value: unknown): string | undefined =>
  measure(value).bytesAtMost > longestText ? undefined : JSON.stringify(value)
