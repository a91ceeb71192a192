/**
 * What has arrived at a client and is on its way to its reader. The reader takes it in one bare step; what a reader that was
 * interrupted has left is given back soon, unless another one takes it.
 */
import * as Effect from "effect/Effect"
import type { Connection } from "./Connection.js"
import type { Given } from "./inHand.js"
import { wireMillis, wireSleep } from "./wire.js"

interface Shelved<A> {
  readonly group: number
  readonly given: Given<A>
  readonly since: number
}

const leftAfter = 20

export class Shelf<A> {
  private readonly shelved = new Map<string, Array<Shelved<A>>>()
  private readonly connection: Connection
  private isSwept = false

  constructor(connection: Connection) {
    this.connection = connection
  }

  get isEmpty(): boolean {
    return this.shelved.size === 0
  }

  put(place: string, group: number, given: Given<A>): void {
    const { orders } = given
    // it has reached its reader before
    if (orders.length > 0 && orders.every((order) => this.connection.wasTaken(group, order))) {
      this.connection.taken(group, given)
      return
    }
    const there = this.shelved.get(place) ?? []
    there.push({ group, given, since: wireMillis() })
    this.shelved.set(place, there)
    if (this.isSwept) return
    this.isSwept = true
    this.connection.fork(this.sweep())
  }

  private sweep(): Effect.Effect<void> {
    return Effect.flatMap(wireSleep(leftAfter), () => {
      const now = wireMillis()
      for (const [place, there] of this.shelved) {
        const left = there.filter(({ since }) => now - since >= leftAfter)
        for (const { given, group } of left) this.connection.putBack(group, given)
        const rest = there.filter((one) => !left.includes(one))
        if (rest.length === 0) this.shelved.delete(place)
        else this.shelved.set(place, rest)
      }
      this.isSwept = this.shelved.size > 0
      return this.isSwept ? this.sweep() : Effect.void
    })
  }

  /** Puts back all that is there. */
  clear(): void {
    for (const there of this.shelved.values()) {
      for (const { given, group } of there) this.connection.putBack(group, given)
    }
    this.shelved.clear()
  }

  /** Takes the first, undefined if there is none. It is the reader's from here on. */
  hold(place: string): { readonly group: number; readonly given: Given<A> } | undefined {
    const there = this.shelved.get(place)
    const first = there?.shift()
    if (there?.length === 0) this.shelved.delete(place)
    return first
  }

  /** As `hold`, and says that it has reached its reader. */
  take(place: string): { readonly value: A } | undefined {
    const held = this.hold(place)
    if (held === undefined) return undefined
    this.connection.taken(held.group, held.given)
    return held.given
  }

  has(place: string): boolean {
    return this.shelved.has(place)
  }
}
