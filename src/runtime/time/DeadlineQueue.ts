/**
 * Timers by deadline. Timers of one duration run out in the order in which they were started, so each duration has a
 * first-in-first-out list, and a heap holds the lists by their first deadline: starting and stopping the hundred thousandth
 * timer of a duration takes constant time.
 */
import { Heap, type HeapEntry } from "../../shared/Heap.js"
import { LinkedList, type LinkedNode } from "../../shared/LinkedList.js"

/** An armed timer. */
export interface Timer {
  readonly deadline: number
  readonly fire: () => void
  /** Where it waits; undefined once it has fired or was stopped. */
  place: { readonly row: Row; readonly node: LinkedNode<Timer> } | undefined
}

interface Row extends HeapEntry {
  readonly millis: number
  readonly timers: LinkedList<Timer>
}

const firstDeadline = (row: Row): number => row.timers.first?.value.deadline ?? Infinity

export class DeadlineQueue {
  private readonly rows = new Map<number, Row>()
  private readonly heap = new Heap<Row>((one, other) => firstDeadline(one) < firstDeadline(other))
  private armed = 0

  get size(): number {
    return this.armed
  }

  /** The timer that runs out first. */
  get first(): Timer | undefined {
    return this.heap.first?.timers.first?.value
  }

  add(now: number, millis: number, fire: () => void): Timer {
    const row = this.rows.get(millis) ?? this.addRow(millis)
    const isNew = row.timers.isEmpty
    const timer: Timer = { deadline: now + millis, fire, place: undefined }
    // the clock may have been set back: a row stays in order all the same
    let before = row.timers.last
    while (before !== undefined && before.value.deadline > timer.deadline) before = before.previous
    timer.place = { row, node: row.timers.insertAfter(before, timer) }
    this.armed++
    if (isNew) this.heap.add(row)
    else if (row.timers.first?.value === timer) this.heap.moved(row)
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
    if (row.timers.isEmpty) {
      this.rows.delete(row.millis)
      this.heap.remove(row)
    } else if (wasFirst) this.heap.moved(row)
  }

  clear(): void {
    // whoever stops one of them later must not count it again
    for (const { timers } of this.rows.values()) for (const timer of timers) timer.place = undefined
    this.rows.clear()
    this.heap.clear()
    this.armed = 0
  }

  private addRow(millis: number): Row {
    const row: Row = { millis, timers: new LinkedList(), index: -1 }
    this.rows.set(millis, row)
    return row
  }
}
