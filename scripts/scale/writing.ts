/**
 * The journals of a cluster and their database, event by event. Each writer has one transaction on its way at most; what is to be
 * written meanwhile waits, and goes with the next one. The database has so many cores, and serves transactions in the order in which
 * they come; the disk keeps them side by side. From one seed follows one run.
 */
import type { Inputs } from "./inputs.js"

export interface Load {
  readonly seed: number
  /** Whole lifecycles a second, over all writers. */
  readonly lifecycles: number
  /** How much of all work each writer has: the sum is 1. */
  readonly shares: ReadonlyArray<number>
  readonly serverCores: number
  readonly seconds: number
}

export interface Written {
  readonly transactions: number
  readonly rows: number
  /** How much of the cores of the database was busy, from 0 to 1. */
  readonly busy: number
  /** How long a row waited until it was on the disk, in milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
const randomOf = (seed: number) => () => {
  seed = seed + 0x6d2b79f5 | 0
  let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed)
  mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
  return ((mixed ^ mixed >>> 14) >>> 0) / 4_294_967_296
}

/** What comes next, the earliest first. */
class Timeline {
  private readonly heap: Array<{ readonly at: number; readonly writer: number }> = []

  get size(): number {
    return this.heap.length
  }

  add(at: number, writer: number): void {
    const { heap } = this
    let place = heap.length
    heap.push({ at, writer })
    while (place > 0) {
      const above = (place - 1) >> 1
      const upper = heap[above]
      if (upper === undefined || upper.at <= at) break
      heap[place] = upper
      place = above
    }
    heap[place] = { at, writer }
  }

  next(): { readonly at: number; readonly writer: number } | undefined {
    const { heap } = this
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let place = 0
    for (;;) {
      let below = 2 * place + 1
      const left = heap[below]
      if (left === undefined) break
      const right = heap[below + 1]
      if (right !== undefined && right.at < left.at) below++
      const lower = heap[below]
      if (lower === undefined || lower.at >= last.at) break
      heap[place] = lower
      place = below
    }
    heap[place] = last
    return first
  }
}

const quantile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN

export const write = (
  { diskMillis, rowsPerLifecycle, serverMillisPerRow, serverMillisPerTransaction }: Inputs,
  { lifecycles, seconds, seed, serverCores, shares }: Load
): Written => {
  const random = randomOf(seed)
  const rowsPerMilli = lifecycles * rowsPerLifecycle / 1_000
  const end = seconds * 1_000
  // which writer a row has: found by the sum of the shares before it
  const bounds: Array<number> = []
  let sum = 0
  for (const share of shares) bounds.push(sum += share)
  const writerAt = (place: number): number => {
    let low = 0
    let high = bounds.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((bounds[middle] ?? 1) * 1 > place * sum) high = middle
      else low = middle + 1
    }
    return low
  }

  const waiting = shares.map((): Array<number> => [])
  const isWriting = shares.map(() => false)
  const writing = shares.map((): ReadonlyArray<number> => [])
  const done = new Timeline()
  /** When each core of the database is free. */
  const cores = Array.from({ length: serverCores }, () => 0)
  let busyMillis = 0
  let transactions = 0
  const waits: Array<number> = []

  const begin = (writer: number, now: number): void => {
    const rows = waiting[writer] ?? []
    if (rows.length === 0) {
      isWriting[writer] = false
      return
    }
    isWriting[writer] = true
    waiting[writer] = []
    writing[writer] = rows
    let core = 0
    for (let other = 1; other < cores.length; other++) if ((cores[other] ?? 0) < (cores[core] ?? 0)) core = other
    const service = serverMillisPerTransaction + serverMillisPerRow * rows.length
    const ends = Math.max(now, cores[core] ?? 0) + service
    cores[core] = ends
    busyMillis += service
    transactions++
    done.add(ends + diskMillis, writer)
  }

  let arrives = -Math.log(1 - random()) / rowsPerMilli
  let finished = done.next()
  while (arrives < end) {
    if (finished !== undefined && finished.at <= arrives) {
      const { at, writer } = finished
      for (const since of writing[writer] ?? []) waits.push(at - since)
      writing[writer] = []
      begin(writer, at)
      finished = done.next()
      continue
    }
    if (finished !== undefined) done.add(finished.at, finished.writer)
    const writer = writerAt(random())
    waiting[writer]?.push(arrives)
    if (isWriting[writer] !== true) begin(writer, arrives)
    arrives += -Math.log(1 - random()) / rowsPerMilli
    finished = done.next()
  }
  // what waits still has waited so long at least
  for (const rows of [...waiting, ...writing]) for (const since of rows) waits.push(end - since)
  const sorted = Float64Array.from(waits).sort()
  return {
    transactions: transactions / seconds,
    rows: waits.length / seconds,
    busy: Math.min(1, busyMillis / (serverCores * end)),
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99)
  }
}
