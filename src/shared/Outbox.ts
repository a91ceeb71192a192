/**
 * What a step sends out: first in, first out, and empty again when the step is done. It keeps its room from step to step; an
 * array that grows from nothing in each of a task's steps costs 150 bytes a time, of 16 KB that a lifecycle allocates.
 */
export class Outbox<A> {
  private readonly values: Array<A | undefined> = []
  private first = 0
  private end = 0

  get isEmpty(): boolean {
    return this.first === this.end
  }

  push(value: A): void {
    this.values[this.end++] = value
  }

  /** Takes the oldest value. */
  shift(): A | undefined {
    if (this.first === this.end) return undefined
    const value = this.values[this.first]
    this.values[this.first++] = undefined
    if (this.first === this.end) this.reset()
    return value
  }

  /** Moves everything into another one. */
  moveTo(other: Outbox<A>): Outbox<A> {
    for (let value = this.shift(); value !== undefined; value = this.shift()) other.push(value)
    return other
  }

  private reset(): void {
    this.first = 0
    this.end = 0
    // the room of a step that was out of the ordinary is given back
    if (this.values.length > 1_024) this.values.length = 0
  }
}
