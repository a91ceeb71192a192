/**
 * The random numbers of the simulator.
 *
 * @since 0.1.0
 */

/**
 * A small seeded generator of random numbers: the same seed gives the same numbers, on every machine. It is not for
 * secrets.
 *
 * @since 0.1.0
 * @category models
 */
export class SimRandom {
  private state: number

  constructor(seed: number) {
    // neighbouring seeds would otherwise begin alike
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0
    this.next()
    this.next()
  }

  /**
   * A number from 0 up to, but not including, 1.
   *
   * @since 0.1.0
   */
  next(): number {
    // mulberry32
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /**
   * An integer from 0 up to, but not including, `limit`.
   *
   * @since 0.1.0
   */
  int(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /**
   * Whether something of the given probability happens.
   *
   * @since 0.1.0
   */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /**
   * One of the values; there has to be one.
   *
   * @since 0.1.0
   */
  pick<const A>(values: readonly [A, ...ReadonlyArray<A>]): A {
    return values[this.int(values.length)] ?? values[0]
  }

  /**
   * One of the values, or undefined if there is none.
   *
   * @since 0.1.0
   */
  pickFrom<A>(values: ReadonlyArray<A>): A | undefined {
    return values[this.int(values.length)]
  }
}
