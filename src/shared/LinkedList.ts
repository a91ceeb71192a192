/**
 * A doubly linked list whose entries can be removed from anywhere in constant time: what queues with withdrawal and
 * indexes that tasks enter and leave need, and what neither an array, a `Set` nor Effect's `MutableList` offers.
 */

export interface LinkedNode<A> {
  readonly value: A
  previous: LinkedNode<A> | undefined
  next: LinkedNode<A> | undefined
  /** The list the node is in; undefined once it was removed. */
  list: LinkedList<A> | undefined
}

/** Counts the entries of several lists together. */
export interface Tally {
  count: number
}

export class LinkedList<A> {
  private readonly tally: Tally | undefined
  first: LinkedNode<A> | undefined = undefined
  last: LinkedNode<A> | undefined = undefined
  size = 0

  constructor(tally?: Tally) {
    this.tally = tally
  }

  get isEmpty(): boolean {
    return this.first === undefined
  }

  append(value: A): LinkedNode<A> {
    return this.insertAfter(this.last, value)
  }

  /** Inserts behind `node`, or in front of everything where there is none. */
  insertAfter(node: LinkedNode<A> | undefined, value: A): LinkedNode<A> {
    const next = node === undefined ? this.first : node.next
    const inserted: LinkedNode<A> = { value, previous: node, next, list: this }
    if (node === undefined) this.first = inserted
    else node.next = inserted
    if (next === undefined) this.last = inserted
    else next.previous = inserted
    this.size++
    if (this.tally !== undefined) this.tally.count++
    return inserted
  }

  /** Removes a node; does nothing if it was removed before. */
  remove(node: LinkedNode<A>): void {
    if (node.list !== this) return
    if (node.previous === undefined) this.first = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.last = node.previous
    else node.next.previous = node.previous
    node.previous = undefined
    node.next = undefined
    node.list = undefined
    this.size--
    if (this.tally !== undefined) this.tally.count--
  }

  /** Removes and returns the first value. */
  shift(): A | undefined {
    const node = this.first
    if (node === undefined) return undefined
    this.remove(node)
    return node.value
  }

  /** Every value, first to last. */
  toArray(): Array<A> {
    const values: Array<A> = []
    for (let node = this.first; node !== undefined; node = node.next) values.push(node.value)
    return values
  }

  /** Removes and returns every value, first to last. */
  drain(): Array<A> {
    const values = this.toArray()
    while (this.first !== undefined) this.remove(this.first)
    return values
  }

  *[Symbol.iterator](): IterableIterator<A> {
    for (let node = this.first; node !== undefined; node = node.next) yield node.value
  }
}
