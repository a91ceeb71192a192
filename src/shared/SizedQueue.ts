/**
 * A queue that knows how many bytes it holds, in a ring of slots that doubles when it is full. The bytes and the number of each value
 * stand in arrays of their own: the oldest values have left the caches of the processor, and to drop one without reading it
 * saves a tenth of a call's time.
 */

const fewest = 4
/** An empty queue keeps no more room than this. */
const mostIdle = 256

export class SizedQueue<A> {
  private values: Array<A | undefined> = []
  private sizes: Array<number> = []
  private numbers: Array<number> = []
  private capacity = fewest
  private first = 0
  length = 0
  bytes = 0

  /** The number of the oldest value. */
  get oldest(): number | undefined {
    return this.length === 0 ? undefined : this.numbers[this.first]
  }

  /** How many values have a smaller number. The numbers must ascend. */
  countBelow(number: number): number {
    let below = 0
    let notBelow = this.length
    while (below < notBelow) {
      const middle = (below + notBelow) >> 1
      if (this.numberAt(middle) < number) below = middle + 1
      else notBelow = middle
    }
    return below
  }

  /** The value at a place, 0 for the oldest. */
  at(index: number): A | undefined {
    return index < 0 || index >= this.length ? undefined : this.values[this.slotOf(index)]
  }

  /** The number of the value at a place. */
  numberAt(index: number): number {
    return this.numbers[this.slotOf(index)] ?? 0
  }

  private slotOf(index: number): number {
    return (this.first + index) & (this.capacity - 1)
  }

  *[Symbol.iterator](): IterableIterator<A> {
    for (let index = 0; index < this.length; index++) {
      const value = this.at(index)
      if (value !== undefined) yield value
    }
  }

  /** Adds a value that takes so many bytes; `number` is for the caller. */
  push(value: A, bytes: number, number = 0): void {
    if (this.length === this.capacity) this.grow()
    const at = this.slotOf(this.length)
    this.values[at] = value
    this.sizes[at] = bytes
    this.numbers[at] = number
    this.length++
    this.bytes += bytes
  }

  /** Takes the oldest value. */
  shift(): A | undefined {
    if (this.length === 0) return undefined
    const { first } = this
    const value = this.values[first]
    this.values[first] = undefined
    this.bytes -= this.sizes[first] ?? 0
    if (--this.length > 0) {
      this.first = (first + 1) & (this.capacity - 1)
    } else if (this.capacity > mostIdle) {
      this.clear()
    } else {
      this.first = 0
    }
    return value
  }

  clear(): void {
    this.values = []
    this.sizes = []
    this.numbers = []
    this.capacity = fewest
    this.first = 0
    this.length = 0
    this.bytes = 0
  }

  /** Visits every value with its bytes, oldest first. */
  forEach(visit: (value: A, bytes: number) => void): void {
    for (let index = 0; index < this.length; index++) {
      const at = this.slotOf(index)
      const value = this.values[at]
      if (value !== undefined) visit(value, this.sizes[at] ?? 0)
    }
  }

  /** The arrays themselves grow as values come. */
  private grow(): void {
    const { first } = this
    this.capacity *= 2
    if (first === 0) return
    const unrolled = <B>(ring: ReadonlyArray<B>): Array<B> => ring.slice(first).concat(ring.slice(0, first))
    this.values = unrolled(this.values)
    this.sizes = unrolled(this.sizes)
    this.numbers = unrolled(this.numbers)
    this.first = 0
  }
}
