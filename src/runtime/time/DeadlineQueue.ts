/**
 * Timers by deadline. Timers of one duration run out in the order in which they were started, so each duration has a
 * first-in-first-out list, and a heap holds the lists by their first deadline: starting and stopping the hundred thousandth
 * timer of a duration takes constant time.
 */
import { LinkedList, type LinkedNode } from "../../shared/LinkedList.js"

/** An armed timer. */
export interface Timer {
  readonly deadline: number
  readonly fire: () => void
  /** Where it waits; undefined once it has fired or was stopped. */
  place: { readonly row: Row; readonly node: LinkedNode<Timer> } | undefined
}

interface Row {
  readonly millis: number
  readonly timers: LinkedList<Timer>
  /** Its place in the heap. */
  index: number
}

const firstDeadline = (row: Row): number => row.timers.first?.value.deadline ?? Infinity

export class DeadlineQueue {
  private readonly rows = new Map<number, Row>()
  private readonly heap: Array<Row> = []
  private armed = 0

  get size(): number {
    return this.armed
  }

  /** The timer that runs out first. */
  get first(): Timer | undefined {
    return this.heap[0]?.timers.first?.value
  }

  add(now: number, millis: number, fire: () => void): Timer {
    const row = this.rows.get(millis) ?? this.addRow(millis)
    const timer: Timer = { deadline: now + millis, fire, place: undefined }
    // the clock may have been set back: a row stays in order all the same
    let before = row.timers.last
    while (before !== undefined && before.value.deadline > timer.deadline) before = before.previous
    timer.place = { row, node: row.timers.insertAfter(before, timer) }
    this.armed++
    if (row.timers.first?.value === timer) this.up(row)
    return timer
  }

  /** Does nothing to a timer that has fired or was stopped. */
  remove(timer: Timer): void {
    const { place } = timer
    if (place === undefined) return
    timer.place = undefined
    const { node, row } = place
    const wasFirst = row.timers.first === node
    row.timers.remove(node)
    this.armed--
    if (row.timers.isEmpty) this.removeRow(row)
    else if (wasFirst) this.down(row)
  }

  clear(): void {
    // whoever stops one of them later must not count it again
    for (const { timers } of this.rows.values()) for (const timer of timers) timer.place = undefined
    this.rows.clear()
    this.heap.length = 0
    this.armed = 0
  }

  private addRow(millis: number): Row {
    const row: Row = { millis, timers: new LinkedList(), index: this.heap.length }
    this.rows.set(millis, row)
    this.heap.push(row)
    return row
  }

  private removeRow(row: Row): void {
    this.rows.delete(row.millis)
    const last = this.heap.pop()
    if (last === undefined || last === row) return
    this.put(last, row.index)
    this.up(last)
    this.down(last)
  }

  private put(row: Row, index: number): void {
    this.heap[index] = row
    row.index = index
  }

  private up(row: Row): void {
    const deadline = firstDeadline(row)
    while (row.index > 0) {
      const index = row.index
      const above = this.heap[(index - 1) >> 1]
      if (above === undefined || firstDeadline(above) <= deadline) return
      this.put(row, above.index)
      this.put(above, index)
    }
  }

  private down(row: Row): void {
    const deadline = firstDeadline(row)
    for (;;) {
      const index = row.index
      const left = this.heap[2 * index + 1]
      const right = this.heap[2 * index + 2]
      const below = left !== undefined && right !== undefined && firstDeadline(right) < firstDeadline(left)
        ? right
        : left
      if (below === undefined || firstDeadline(below) >= deadline) return
      this.put(row, below.index)
      this.put(below, index)
    }
  }
}
