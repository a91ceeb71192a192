/** A binary heap whose entries can be removed from anywhere and moved where their order has changed. */

/** What stands in a heap; `index` is its place there, -1 while it is in none. The heap writes it. */
export interface HeapEntry {
  index: number
}

export class Heap<A extends HeapEntry> {
  private readonly entries: Array<A> = []
  private readonly isBefore: (one: A, other: A) => boolean

  constructor(isBefore: (one: A, other: A) => boolean) {
    this.isBefore = isBefore
  }

  get size(): number {
    return this.entries.length
  }

  /** The entry that no other one is before. */
  get first(): A | undefined {
    return this.entries[0]
  }

  add(entry: A): void {
    entry.index = this.entries.length
    this.entries.push(entry)
    this.up(entry)
  }

  /** Does nothing to an entry that is not in it. */
  remove(entry: A): void {
    if (this.entries[entry.index] !== entry) return
    const last = this.entries.pop()
    if (last !== undefined && last !== entry) {
      this.put(last, entry.index)
      this.moved(last)
    }
    entry.index = -1
  }

  /** To be called when the order of an entry has changed. */
  moved(entry: A): void {
    this.up(entry)
    this.down(entry)
  }

  clear(): void {
    for (const entry of this.entries) entry.index = -1
    this.entries.length = 0
  }

  private put(entry: A, index: number): void {
    this.entries[index] = entry
    entry.index = index
  }

  private up(entry: A): void {
    while (entry.index > 0) {
      const { index } = entry
      const above = this.entries[(index - 1) >> 1]
      if (above === undefined || !this.isBefore(entry, above)) return
      this.put(entry, above.index)
      this.put(above, index)
    }
  }

  private down(entry: A): void {
    for (;;) {
      const { index } = entry
      const left = this.entries[2 * index + 1]
      const right = this.entries[2 * index + 2]
      const below = left !== undefined && right !== undefined && this.isBefore(right, left) ? right : left
      if (below === undefined || !this.isBefore(below, entry)) return
      this.put(entry, below.index)
      this.put(below, index)
    }
  }
}
