/**
 * What has arrived at a client and is on its way to its reader. The reader takes it in one bare step; what a reader that was
 * interrupted has left is given back soon, unless another one takes it. A reader that waits for more before it takes what is there says so.
 */
import * as Effect from "effect/Effect"
import type { Connection } from "./Connection.js"
import type { Given } from "./inHand.js"
import { wireMillis, wireSleep } from "./wire.js"

interface Shelved<A> {
  readonly group: number
  readonly given: Given<A>
  since: number
  /** Its runner need not be told any more that it is held. */
  letGo: () => void
}

const leftAfter = 20

export class Shelf<A> {
  private readonly shelved = new Map<string, Array<Shelved<A>>>()
  /** How many readers wait before they take what is there. */
  private readonly waiting = new Map<string, number>()
  private readonly connection: Connection
  private readonly keep: (group: number, token: number) => () => void
  private isSwept = false

  /** `keep` tells a group that it is held for long what has a token, until its result is called. */
  constructor(connection: Connection, keep: Shelf<A>["keep"]) {
    this.connection = connection
    this.keep = keep
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
    const letGo = this.waiting.has(place) ? this.keep(group, given.token) : () => {}
    there.push({ group, given, since: wireMillis(), letGo })
    this.shelved.set(place, there)
    if (this.isSwept) return
    this.isSwept = true
    this.connection.fork(this.sweep())
  }

  private sweep(): Effect.Effect<void> {
    return Effect.flatMap(wireSleep(leftAfter), () => {
      const now = wireMillis()
      for (const [place, there] of this.shelved) {
        if (this.waiting.has(place)) continue
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

  /** Nothing at a place is given back while `self` runs: whoever runs it takes what is there after that. */
  during<B, E, R>(place: string, self: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.beginWait(place)),
      () => self,
      () => Effect.sync(() => this.endWait(place))
    )
  }

  private beginWait(place: string): void {
    const others = this.waiting.get(place) ?? 0
    this.waiting.set(place, others + 1)
    if (others > 0) return
    for (const one of this.shelved.get(place) ?? []) one.letGo = this.keep(one.group, one.given.token)
  }

  private endWait(place: string): void {
    const others = (this.waiting.get(place) ?? 1) - 1
    if (others > 0) return void this.waiting.set(place, others)
    this.waiting.delete(place)
    for (const one of this.shelved.get(place) ?? []) {
      one.letGo()
      // as if it had arrived now: it is taken in a step after this one
      one.since = wireMillis()
    }
  }

  /** Puts back all that is there. */
  clear(): void {
    for (const there of this.shelved.values()) {
      for (const { given, group, letGo } of there) {
        letGo()
        this.connection.putBack(group, given)
      }
    }
    this.shelved.clear()
  }

  /** Takes the first, undefined if there is none. It is the reader's from here on. */
  hold(place: string): { readonly group: number; readonly given: Given<A> } | undefined {
    const there = this.shelved.get(place)
    const first = there?.shift()
    first?.letGo()
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
