/** Names of tools as every provider takes them, and back: `server__tool`, at most 64 letters, digits, `_` and `-`. */

const longest = 64

const strange = /[^a-zA-Z0-9_-]/g

/** Two 32-bit halves of FNV-1a, in base 36: it tells names apart, and keeps no secret. */
const fingerprint = (text: string): string => {
  let low = 0x811c9dc5
  let high = 0x9747b28c
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    low = Math.imul(low ^ unit, 0x01000193)
    high = Math.imul(high ^ unit, 0x85ebca6b)
  }
  const digits = (half: number) => (half >>> 0).toString(36).padStart(7, "0")
  return `${digits(low)}${digits(high)}`.slice(0, 10)
}

/** A tool, by the names that its user and its server have chosen. */
interface Named {
  readonly server: string
  readonly tool: string
}

const keyOf = ({ server, tool }: Named): string => JSON.stringify([server, tool])

const plainName = ({ server, tool }: Named): string => `${server}__${tool}`

/** The beginning of the plain name, and what tells it from every other. */
const markedName = (named: Named, attempt: number): string => {
  const mark = fingerprint(`${attempt === 0 ? "" : attempt}${keyOf(named)}`)
  return `${plainName(named).replace(strange, "_").slice(0, longest - mark.length - 1)}_${mark}`
}

const isPlain = (name: string): boolean => name.length <= longest && name.search(strange) < 0

/**
 * A name for each tool, no two the same. It is made of the names alone and not of the order in which servers or tools are listed: where
 * the plain one cannot be used, or is that of two tools, a fingerprint of both names is added.
 */
export const safeNames = <A extends Named>(tools: ReadonlyArray<A>): ReadonlyMap<string, A> => {
  const byKey = new Map(tools.map((tool) => [keyOf(tool), tool] as const))
  const wanted = new Map<string, number>()
  for (const tool of byKey.values()) {
    const name = plainName(tool)
    wanted.set(name, (wanted.get(name) ?? 0) + 1)
  }
  const named = new Map<string, A>()
  const marked: Array<readonly [key: string, tool: A]> = []
  for (const [key, tool] of byKey) {
    const name = plainName(tool)
    if (isPlain(name) && wanted.get(name) === 1) named.set(name, tool)
    else marked.push([key, tool])
  }
  for (const [, tool] of marked.sort(([left], [right]) => left < right ? -1 : 1)) {
    let attempt = 0
    while (named.has(markedName(tool, attempt))) attempt++
    named.set(markedName(tool, attempt), tool)
  }
  return named
}
