/** Which piece of time the time line shows. */

/** `until` is left out while it follows the clock. All in epoch milliseconds and milliseconds. */
export interface Range {
  readonly length: number
  readonly until?: number
}

const shortest = 1_000
const longest = 7 * 24 * 3_600_000

const within = (length: number): number => Math.min(longest, Math.max(shortest, length))

/** A little room after now, so that a bar that grows does not touch the edge. */
const room = (length: number): number => length * 0.02

/** Its beginning and its end at a moment. */
export const edges = (range: Range, now: number): { readonly from: number; readonly until: number } => {
  const until = range.until ?? now + room(range.length)
  return { from: until - range.length, until }
}

/** Makes the piece shorter (`factor` below 1) or longer, around a moment that stays where it is; one that follows the clock keeps its end. */
export const zoomed = (range: Range, factor: number, now: number, around?: number): Range => {
  const length = within(range.length * factor)
  if (range.until === undefined || around === undefined) return { ...range, length }
  const { from } = edges(range, now)
  const share = (around - from) / range.length
  return { length, until: around - share * length + length }
}

/** Moves the piece by so many milliseconds; at now it follows the clock again. */
export const moved = (range: Range, by: number, now: number): Range => {
  const { until } = edges(range, now)
  const next = until + by
  return by > 0 && next >= now ? { length: range.length } : { length: range.length, until: next }
}

/** The piece with which the page begins: the tasks that live are seen from their beginning, within an hour. */
export const beginning = (earliest: number, now: number): Range => ({
  length: Math.min(3_600_000, Math.max(60_000, (now - earliest) * 1.25))
})

/** A piece in which everything between two moments is seen. */
export const fitting = (from: number, until: number, now: number): Range => {
  const length = within((until - from) * 1.04)
  return until >= now - 1_000 ? { length } : { length, until: until + length * 0.02 }
}

const steps = [
  100,
  200,
  500,
  1_000,
  2_000,
  5_000,
  10_000,
  15_000,
  30_000,
  60_000,
  120_000,
  300_000,
  600_000,
  900_000,
  1_800_000,
  3_600_000,
  7_200_000,
  10_800_000,
  21_600_000,
  43_200_000,
  86_400_000
]

/** The moments that get a label: at least `apart` pixels from each other on a line of `width` pixels. */
export const ticks = (
  { from, until }: { readonly from: number; readonly until: number },
  width: number,
  apart: number
): { readonly step: number; readonly at: ReadonlyArray<number> } => {
  const wanted = ((until - from) / Math.max(1, width)) * apart
  const step = steps.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400_000) * 86_400_000
  const at: Array<number> = []
  for (let tick = Math.ceil(from / step) * step; tick <= until; tick += step) at.push(tick)
  return { step, at }
}
