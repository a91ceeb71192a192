/** A queue that knows how many bytes it holds, in a ring of slots that grows by doubling. */

const fewest = 4
/** An empty queue keeps no more room than this. */
const mostIdle = 64

export class SizedQueue<A> {
  private values: Array<A | undefined> = []
  private sizes: Array<number> = []
  private first = 0
  length = 0
  bytes = 0

  push(value: A, bytes: number): void {
    if (this.length === this.values.length) this.grow()
    const at = (this.first + this.length) & (this.values.length - 1)
    this.values[at] = value
    this.sizes[at] = bytes
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
    this.first = (first + 1) & (this.values.length - 1)
    if (--this.length === 0 && this.values.length > mostIdle) this.clear()
    return value
  }

  clear(): void {
    this.values = []
    this.sizes = []
    this.first = 0
    this.length = 0
    this.bytes = 0
  }

  /** Visits every value with its bytes, oldest first. */
  forEach(visit: (value: A, bytes: number) => void): void {
    for (let index = 0; index < this.length; index++) {
      const at = (this.first + index) & (this.values.length - 1)
      const value = this.values[at]
      if (value !== undefined) visit(value, this.sizes[at] ?? 0)
    }
  }

  private grow(): void {
    const values: Array<A | undefined> = []
    const sizes: Array<number> = []
    this.forEach((value, bytes) => {
      values.push(value)
      sizes.push(bytes)
    })
    const capacity = Math.max(fewest, 2 * this.values.length)
    while (values.length < capacity) {
      values.push(undefined)
      sizes.push(0)
    }
    this.values = values
    this.sizes = sizes
    this.first = 0
  }
}
