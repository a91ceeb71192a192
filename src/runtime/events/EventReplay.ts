/**
 * The events that late readers can still get: the last ones of each session, and the last ones over all, within a budget of bytes.
 *
 * Every event stands in the ring of its session, which counts its bytes; the last ones over all are only pointed to. Beyond
 * the budget the session that holds most (to a factor of two) loses its oldest, so that a busy session costs a quiet one
 * nothing. Publishing takes amortised constant time.
 */
import type { SessionId } from "../../model/ids.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import { LinkedList, type LinkedNode } from "../../shared/LinkedList.js"
import { memoryOf } from "../../shared/memoryOf.js"
import { SizedQueue } from "../../shared/SizedQueue.js"

/** What a ring takes without its events, and with an id of usual length. */
const bytesPerRing = 512

/** An id may be of any length: what it takes beyond a usual one. */
const idBytes = (id: SessionId): number => Math.max(0, memoryOf(id) - bytesPerRing / 2)

/** How much of the bytes the ids of sessions may take that have no ring any more. */
const shareOfGone = 1 / 8

/** How many sessions are looked at for one that may go, when one comes. */
const looks = 2

/** Rings of less than 2 KiB are alike; from there on, each doubling is a class of its own. */
const sizeClassOf = (bytes: number): number => 31 - Math.clz32(Math.min(bytes, 2 ** 31 - 1) >> 10 | 1)

class Ring {
  readonly id: SessionId
  readonly events = new SizedQueue<TaskEvent>()
  readonly idBytes: number
  /** The number of the newest event of the session that is not kept any more. */
  lost: number
  lastSeq = 0
  sizeClass = 0
  /** Its place among the rings of its size class. */
  sizeNode: LinkedNode<Ring> | undefined = undefined
  /** Its place among the rings of closed sessions, if it is one. */
  closedNode: LinkedNode<Ring> | undefined = undefined
  // its neighbours in the order of the last event
  previous: Ring | undefined = undefined
  next: Ring | undefined = undefined

  constructor(id: SessionId, lost: number) {
    this.id = id
    this.idBytes = idBytes(id)
    this.lost = lost
  }
}

export interface ReplayOptions {
  /** How many events are kept per session, and over all. */
  readonly events: number
  /** How many bytes are kept over all sessions. */
  readonly bytes: number
  /** How many sessions have a replay, without those that must be kept. */
  readonly sessions: number
  /** Whether the session must be kept: something of it is live or undelivered. */
  readonly isRemembered: (id: SessionId) => boolean
}

/** Is given one event after the other, with its bytes. */
export type VisitEvent = (event: TaskEvent, bytes: number) => void

export class EventReplay {
  private readonly options: ReplayOptions
  private readonly rings = new Map<SessionId, Ring>()
  private readonly bySize: Array<LinkedList<Ring>> = []
  private oldest: Ring | undefined = undefined
  private newest: Ring | undefined = undefined
  /** Rings of closed sessions, which serve nothing but the last events over all. */
  private readonly closed = new LinkedList<Ring>()
  /** The last events over all, by their number; undefined where the ring has lost one for its bytes. */
  private readonly overall: Array<TaskEvent | undefined> = []
  private readonly overallBytes: Array<number> = []
  private overallLost = 0
  private seq = 0
  /** The last event of sessions that have no ring any more. */
  private readonly gone = new Map<SessionId, number>()
  /** How many bytes of these ids are counted. */
  private goneBytes = 0
  /** The same for sessions that are not even in `gone`: none of their events came later. */
  private goneBefore = 0
  /** How many bytes are kept, with the ids. */
  bytes = 0

  constructor(options: ReplayOptions) {
    this.options = options
  }

  /** How many sessions have a replay. */
  get sessions(): number {
    return this.rings.size
  }

  /** The events up to this number were told by an earlier process, and are not kept. To be called before the first event. */
  beginAfter(seq: number): void {
    this.seq = seq
    this.overallLost = seq
    this.goneBefore = seq
  }

  publish(event: TaskEvent, bytes: number): void {
    const { bytes: budget, events } = this.options
    this.seq = event.seq
    if (events === 0 || budget === 0) {
      this.overallLost = event.seq
      this.goneBefore = event.seq
      return
    }
    const ring = this.newest?.id === event.sessionId ? this.newest : this.ringOf(event.sessionId)
    ring.events.push(event, bytes, event.seq)
    ring.lastSeq = event.seq
    this.bytes += bytes
    this.overall[event.seq % events] = event
    this.overallBytes[event.seq % events] = bytes
    if (ring.events.length > events) this.loseOldest(ring)
    else this.classify(ring)
    this.shrink()
    // an id that was opened again meanwhile goes on with what it has
    if (event._tag === "SessionClosed" && !this.options.isRemembered(ring.id)) this.close(ring)
    const closed = this.closed.first?.value
    if (closed !== undefined && closed.lastSeq <= event.seq - events) this.forget(closed)
    // the id of one that is gone counts as well
    this.shrink()
  }

  private shrink(): void {
    while (this.bytes > this.options.bytes && this.bySize.length > 0) this.loseOldestOfLargest()
  }

  /** The last events of a session, or over all, oldest first. */
  recent(sessionId: SessionId | undefined, visit: VisitEvent): void {
    if (sessionId === undefined) this.visitOverall(0, visit)
    else this.rings.get(sessionId)?.events.forEach(visit)
  }

  /** The events of a session, or over all, that came after `after`; false if one of them is not kept any more. */
  since(sessionId: SessionId | undefined, after: number, visit: VisitEvent): boolean {
    if (sessionId === undefined) {
      if (after < Math.max(this.overallLost, this.seq - this.options.events)) return false
      this.visitOverall(after, visit)
      return true
    }
    const ring = this.rings.get(sessionId)
    if (after < (ring === undefined ? this.goneAt(sessionId) : ring.lost)) return false
    ring?.events.forEach((event, bytes) => {
      if (event.seq > after) visit(event, bytes)
    })
    return true
  }

  private visitOverall(after: number, visit: VisitEvent): void {
    const { events } = this.options
    for (let seq = Math.max(after, this.seq - events) + 1; seq <= this.seq; seq++) {
      const event = this.overall[seq % events]
      if (event !== undefined) visit(event, this.overallBytes[seq % events] ?? 0)
    }
  }

  /** The ring of a session, made when it is first needed; it becomes the newest. */
  private ringOf(id: SessionId): Ring {
    const known = this.rings.get(id)
    if (known !== undefined) {
      this.unlink(known)
      this.link(known)
      return known
    }
    this.makeRoom()
    const ring = new Ring(id, this.goneAt(id))
    this.forgetGone(id)
    this.rings.set(id, ring)
    this.link(ring)
    ring.sizeNode = this.ofSize(0).append(ring)
    this.bytes += bytesPerRing + ring.idBytes
    return ring
  }

  /** Forgets the session that was silent for longest where there is one too many, unless it must be kept. */
  private makeRoom(): void {
    for (let look = 0; look < looks && this.rings.size >= this.options.sessions; look++) {
      const ring = this.oldest
      if (ring === undefined) return
      if (this.options.isRemembered(ring.id)) {
        this.unlink(ring)
        this.link(ring)
      } else {
        this.forget(ring)
      }
    }
  }

  private loseOldestOfLargest(): void {
    const largest = this.bySize.at(-1)?.first?.value
    if (largest === undefined) this.bySize.pop()
    else if (largest.events.length > 0) this.loseOldest(largest)
    else this.forget(largest)
  }

  private loseOldest(ring: Ring): void {
    this.drop(ring)
    this.classify(ring)
  }

  private drop(ring: Ring): void {
    const { events } = this.options
    const seq = ring.events.oldest
    if (seq === undefined) return
    const before = ring.events.bytes
    ring.events.shift()
    this.bytes -= before - ring.events.bytes
    ring.lost = seq
    if (seq <= this.seq - events) return
    this.overall[seq % events] = undefined
    this.overallLost = Math.max(this.overallLost, seq)
  }

  private ofSize(sizeClass: number): LinkedList<Ring> {
    let list = this.bySize[sizeClass]
    while (list === undefined) {
      this.bySize.push(new LinkedList())
      list = this.bySize[sizeClass]
    }
    return list
  }

  private classify(ring: Ring): void {
    const sizeClass = sizeClassOf(ring.events.bytes + ring.idBytes)
    if (sizeClass === ring.sizeClass) return
    if (ring.sizeNode !== undefined) ring.sizeNode.list?.remove(ring.sizeNode)
    ring.sizeClass = sizeClass
    ring.sizeNode = this.ofSize(sizeClass).append(ring)
  }

  /** Nobody gets its events by the session's id any more; for a while they are among the last ones over all. */
  private close(ring: Ring): void {
    // the budget was too small for its last event
    if (this.rings.get(ring.id) !== ring) return
    this.leave(ring)
    ring.closedNode = this.closed.append(ring)
  }

  private forget(ring: Ring): void {
    if (ring.closedNode === undefined) this.leave(ring)
    else this.closed.remove(ring.closedNode)
    if (ring.sizeNode !== undefined) ring.sizeNode.list?.remove(ring.sizeNode)
    while (ring.events.length > 0) this.drop(ring)
    this.bytes -= bytesPerRing + ring.idBytes
  }

  /** How far the session had come is remembered, for as many sessions as have a ring, and within a share of the bytes. */
  private leave(ring: Ring): void {
    this.rings.delete(ring.id)
    this.unlink(ring)
    this.forgetGone(ring.id)
    this.gone.set(ring.id, ring.lastSeq)
    this.goneBytes += ring.idBytes
    this.bytes += ring.idBytes
    const { bytes, sessions } = this.options
    for (const [id, seq] of this.gone) {
      if (this.gone.size <= sessions && this.goneBytes <= bytes * shareOfGone) return
      this.forgetGone(id)
      this.goneBefore = Math.max(this.goneBefore, seq)
    }
  }

  private forgetGone(id: SessionId): void {
    if (!this.gone.delete(id)) return
    const bytes = idBytes(id)
    this.goneBytes -= bytes
    this.bytes -= bytes
  }

  private goneAt(id: SessionId): number {
    return this.gone.get(id) ?? this.goneBefore
  }

  private link(ring: Ring): void {
    ring.previous = this.newest
    if (this.newest === undefined) this.oldest = ring
    else this.newest.next = ring
    this.newest = ring
  }

  private unlink(ring: Ring): void {
    if (ring.previous === undefined) this.oldest = ring.next
    else ring.previous.next = ring.next
    if (ring.next === undefined) this.newest = ring.previous
    else ring.next.previous = ring.previous
    ring.previous = undefined
    ring.next = undefined
  }
}
