/**
 * Which names may have been meant.
 *
 * @since 0.1.0
 */

// what is longer is no name, and comparing it would take long
const longestName = 64

/** How many characters have to be added, taken away or replaced to make one text of the other. */
const distance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

const comparable = (name: string): string => name.slice(0, longestName).toLowerCase()

/**
 * At most `count` of the names, those first that differ least from the one that was given, in whatever case.
 *
 * @since 0.1.0
 * @category combinators
 */
export const nearestNames = (given: string, names: Iterable<string>, count = 3): ReadonlyArray<string> => {
  const wanted = comparable(given)
  return Array.from(names, (name) => ({ name, distance: distance(wanted, comparable(name)) }))
    .sort((one, other) => one.distance - other.distance)
    .slice(0, count)
    .map(({ name }) => name)
}
