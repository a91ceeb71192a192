/** What happened in each of the last seconds: what the charts show. */

/** The sums of one second. `waited` is the sum of the waits in the queue that ended in it, in milliseconds; `began` how many those are. */
export interface Second {
  readonly second: number
  began: number
  completed: number
  failed: number
  cancelled: number
  waited: number
  longest: number
}

/** How many seconds are kept. */
const keptSeconds = 900

/** The seconds, in a ring: the place of a second is what is left of it after division by its length. */
export type Seconds = Array<Second | undefined>

export const noSeconds = (): Seconds => Array.from({ length: keptSeconds }, () => undefined)

/** The sums of the second of `at`; undefined where a later one has its place. */
export const secondOf = (seconds: Seconds, at: number): Second | undefined => {
  const second = Math.floor(at / 1_000)
  const place = second % keptSeconds
  const there = seconds[place]
  if (there?.second === second) return there
  if (there !== undefined && there.second > second) return undefined
  const fresh: Second = { second, began: 0, completed: 0, failed: 0, cancelled: 0, waited: 0, longest: 0 }
  seconds[place] = fresh
  return fresh
}

/** Columns for charts: one entry for every `step` seconds of the last `length` before `now`, in seconds of the epoch. */
export interface Columns {
  readonly times: Array<number>
  /** In one second. */
  readonly completed: Array<number>
  readonly failed: Array<number>
  readonly cancelled: Array<number>
  /** In milliseconds; null where nothing began. */
  readonly meanWait: Array<number | null>
  readonly longestWait: Array<number | null>
}

export const columnsOf = (
  seconds: Seconds,
  { length, now, step }: { readonly now: number; readonly length: number; readonly step: number }
): Columns => {
  const columns: Columns = { times: [], completed: [], failed: [], cancelled: [], meanWait: [], longestWait: [] }
  // the last whole step: one that has just begun would look like a fall
  const last = Math.floor(now / 1_000 / step) * step
  for (let from = last - length; from < last; from += step) {
    let began = 0
    let completed = 0
    let failed = 0
    let cancelled = 0
    let waited = 0
    let longest = 0
    for (let second = from; second < from + step; second++) {
      const there = seconds[second % keptSeconds]
      if (there?.second !== second) continue
      began += there.began
      completed += there.completed
      failed += there.failed
      cancelled += there.cancelled
      waited += there.waited
      longest = Math.max(longest, there.longest)
    }
    columns.times.push(from)
    columns.completed.push(completed / step)
    columns.failed.push(failed / step)
    columns.cancelled.push(cancelled / step)
    columns.meanWait.push(began === 0 ? null : waited / began)
    columns.longestWait.push(began === 0 ? null : longest)
  }
  return columns
}
