/** The newest bytes of what a task has written, as UTF-8. It grows by doubling up to its limit and forgets the oldest. */
import type { LinkedNode } from "./LinkedList.js"

/** How large the ring of one task may be made: 256 MiB, which can still be read as one string. */
export const maxOutputBuffer = 268_435_456

const encoder = new TextEncoder()
// a byte order mark that a tool wrote is output like any other
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

const smallest = 256
// of a chunk without end, no copy without end is made
const unitsAtOnce = 16_384

const none = new Uint8Array(0)

const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** A piece of the output; offsets count bytes from the very first. */
export interface OutputPiece {
  readonly text: string
  readonly start: number
  readonly end: number
  readonly total: number
}

export class OutputRing {
  /** Whether a reader was told that there is more to read, and has not read since. */
  isTold = false
  /** Where the output stands among those of settled tasks; undefined while its task is live. */
  node: LinkedNode<OutputRing> | undefined = undefined
  private readonly limit: number
  private bytes = none
  /** Where in `bytes` the oldest kept byte is. */
  private first = 0
  private kept = 0
  private total = 0
  /** The first half of a character whose other half has not come yet; it counts once it has, or will not. */
  private half = ""

  constructor(limit: number) {
    this.limit = limit
  }

  /** A ring that goes on behind what was written before: `text` from byte `start` on. */
  static resumed(limit: number, start: number, text: string): OutputRing {
    const ring = new OutputRing(limit)
    ring.total = start
    ring.write(text)
    return ring
  }

  /** Where the oldest byte that is kept stands, counted from the very first. */
  get start(): number {
    return this.total - this.kept
  }

  /** How many bytes are kept. */
  get size(): number {
    return this.kept
  }

  /** How many bytes were written so far. */
  get end(): number {
    return this.total
  }

  /** How many bytes of memory it takes, room for more included. */
  get memory(): number {
    return this.bytes.length
  }

  write(chunk: string): void {
    const text = this.half + chunk
    this.half = isHighSurrogate(text.charCodeAt(text.length - 1)) ? text.slice(-1) : ""
    const length = text.length - this.half.length
    for (let from = 0; from < length;) {
      let to = Math.min(length, from + unitsAtOnce)
      if (to < length && isHighSurrogate(text.charCodeAt(to - 1))) to--
      this.append(encoder.encode(text.slice(from, to)))
      from = to
    }
  }

  /** Nothing is written any more: keeps no more memory than it needs. */
  close(): void {
    if (this.half !== "") {
      this.half = ""
      this.append(encoder.encode("\ufffd"))
    }
    this.bytes = this.copy(this.start, this.total)
    this.first = 0
  }

  /** Lets go of the text and remembers how long it was. */
  forget(): void {
    this.bytes = none
    this.first = 0
    this.kept = 0
  }

  /** A piece of what is kept, cut between characters: its start moves forward, its end back, but for one whole character after a given start. */
  read(range: { readonly maxBytes?: number | undefined; readonly start?: number | undefined }): OutputPiece {
    const { maxBytes = Infinity, start: wanted } = range
    const { total } = this
    let start = Math.min(total, Math.max(this.start, wanted ?? total - maxBytes))
    while (start < total && isContinuation(this.at(start))) start++
    let end = Math.min(total, start + maxBytes)
    while (end > start && end < total && isContinuation(this.at(end))) end--
    // who reads on from where the last piece ended would stand still before a character that is longer
    if (end === start && start < total && wanted !== undefined && maxBytes > 0) {
      do end++
      while (end < total && isContinuation(this.at(end)))
    }
    return { text: decoder.decode(this.copy(start, end)), start, end, total }
  }

  private at(position: number): number | undefined {
    return this.bytes[(this.first + position - this.start) % this.bytes.length]
  }

  private append(added: Uint8Array): void {
    this.total += added.length
    const { limit } = this
    if (added.length >= limit) {
      // a view would hold all that was written
      this.bytes = added.slice(added.length - limit)
      this.first = 0
      this.kept = limit
      return
    }
    this.reserve(Math.min(limit, this.kept + added.length))
    const capacity = this.bytes.length
    const dropped = Math.max(0, this.kept + added.length - capacity)
    this.first = (this.first + dropped) % capacity
    this.kept -= dropped
    const at = (this.first + this.kept) % capacity
    const head = added.subarray(0, capacity - at)
    this.bytes.set(head, at)
    this.bytes.set(added.subarray(head.length), 0)
    this.kept += added.length
  }

  private reserve(size: number): void {
    if (size <= this.bytes.length) return
    let capacity = Math.max(smallest, 2 * this.bytes.length)
    while (capacity < size) capacity *= 2
    const grown = new Uint8Array(Math.min(this.limit, capacity))
    grown.set(this.copy(this.start, this.total))
    this.bytes = grown
    this.first = 0
  }

  private copy(start: number, end: number): Uint8Array<ArrayBuffer> {
    const length = end - start
    const copy = new Uint8Array(length)
    if (length === 0) return copy
    const at = (this.first + start - this.start) % this.bytes.length
    const head = this.bytes.subarray(at, Math.min(this.bytes.length, at + length))
    copy.set(head)
    copy.set(this.bytes.subarray(0, length - head.length), head.length)
    return copy
  }
}
