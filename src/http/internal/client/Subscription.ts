/**
 * One subscription of a client: what its reader has not taken, within bounds. One that is not read falls out by itself, as in the manager: it
 * loses its oldest events, or all of them and is told so by a `Reset`, for which the server is asked when it is read again.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import { EventReset, type FilteredTaskEvent, TaskEvent, type TaskEventFilter } from "../../../model/TaskEvent.js"
import { EventSubscription, type StandIn } from "../../../shared/EventSubscription.js"
import type { SubscriptionAsked } from "../../api/internal/bodies.js"
import type { TaskManagerUnreachable } from "../../TaskManagerUnreachable.js"
import type { Frame } from "./FrameReader.js"

/** Where a subscription begins. */
export type Begin = "replay" | "now" | "snapshot"

export interface Bounds {
  /** How many events wait for a reader. */
  readonly limit: number
  /** How many bytes of them. */
  readonly bytes: number
}

interface SubscriptionOptions extends Bounds {
  readonly from: Begin
  readonly filter: TaskEventFilter
  /** When it was asked for, for how long it may wait to open. */
  readonly since: number
  /** Asks for it anew, under another number. */
  readonly renew: () => void
}

const decodeEvent = Schema.decodeUnknownSync(TaskEvent)
const decodeReset = Schema.decodeUnknownSync(EventReset)

/** Behind an event that never comes: the manager answers with a `Reset`. */
const tooLate = Number.MAX_SAFE_INTEGER

/** Of an event in a buffer, beside its text. */
const bareBytes = 160

/** What stands for events that were lost, until the server has said what is there now. */
interface Asked<A> extends StandIn<A> {
  value: A
}

abstract class Subscription<A> {
  readonly since: number
  /** What the server showed first, of one that begins with `snapshot`. */
  readonly opened = Deferred.unsafeMake<EventReset | undefined>(FiberId.none)
  abstract readonly events: EventSubscription<A>
  isOpen = false
  isEnded = false
  protected readonly options: SubscriptionOptions
  /** The number of the last event that has come, and which manager has counted it. */
  private last: number | undefined = undefined
  private manager: string | undefined = undefined

  constructor(options: SubscriptionOptions) {
    this.options = options
    this.since = options.since
  }

  /** What the server is asked for: behind the last event that has come, or as at first. */
  askedFor(id: number, manager: string): SubscriptionAsked {
    const { filter: { after, sessionId, taskId }, from } = this.options
    const scope = {
      id,
      ...(sessionId === undefined ? undefined : { sessionId }),
      ...(taskId === undefined ? undefined : { taskId })
    }
    // before it has opened, what came is nothing to go on from: the snapshot may be missing
    if (this.isOpen && this.last !== undefined) {
      return { ...scope, from: "now", after: this.manager === manager ? this.last : tooLate }
    }
    return { ...scope, from, ...(after === undefined ? undefined : { after }) }
  }

  /** Hears what came for it. Throws for what cannot be read. */
  hear({ bytes, data, event, id }: Frame, manager: string): void {
    if (id !== undefined) {
      this.last = id
      this.manager = manager
    }
    switch (event) {
      case "task":
        return this.add(decodeEvent(data), bareBytes + bytes)
      case "reset":
        return this.reset(decodeReset(data), bareBytes + bytes)
      case "opened":
        return this.open(undefined, manager)
      case "snapshot":
        return this.open(decodeReset(data), manager)
      case "end":
        return this.end()
    }
  }

  private open(first: EventReset | undefined, manager: string): void {
    this.isOpen = true
    if (this.last === undefined && this.options.filter.after !== undefined) {
      this.last = this.options.filter.after
      this.manager = manager
    }
    Deferred.unsafeDone(this.opened, Effect.succeed(first))
  }

  protected abstract add(event: TaskEvent, bytes: number): void

  protected abstract reset(event: EventReset, bytes: number): void

  /** Nothing more comes. */
  end(): void {
    this.isEnded = true
    Deferred.unsafeDone(this.opened, Exit.succeed(undefined))
    this.events.unsafeWake()
  }

  /** It cannot be asked for. */
  fail(error: TaskManagerUnreachable): void {
    Deferred.unsafeDone(this.opened, Effect.die(error))
    this.end()
  }

  protected get usual() {
    return {
      limit: this.options.limit,
      bytes: this.options.bytes,
      isEnded: () => this.isEnded,
      onNews: (events: { readonly unsafeWake: () => void }) => events.unsafeWake(),
      onClose: () => {}
    }
  }

  /** The next that comes is a `Reset`. */
  protected beginAnew(): void {
    this.last = tooLate
    this.options.renew()
  }
}

/** Every event: one that is not read loses the oldest, and sees it by the gap in their numbers. */
export class AllEvents extends Subscription<TaskEvent> {
  readonly events = new EventSubscription<TaskEvent>({ ...this.usual, reset: undefined })

  protected add(event: TaskEvent, bytes: number): void {
    this.events.unsafeOffer(event, bytes)
  }

  protected reset(): void {}
}

/** The events of a filter: one that is not read gets a `Reset` in the place of what it has lost. */
export class FilteredEvents extends Subscription<FilteredTaskEvent> {
  private asked: Asked<FilteredTaskEvent> | undefined = undefined
  readonly events: EventSubscription<FilteredTaskEvent> = new EventSubscription<FilteredTaskEvent>({
    ...this.usual,
    reset: () => {
      this.asked = { value: { _tag: "Reset", seq: 0, live: [] }, isTold: false }
      this.beginAnew()
      return this.asked
    }
  })

  protected add(event: TaskEvent, bytes: number): void {
    this.events.unsafeOffer(event, bytes)
  }

  protected reset(event: EventReset, bytes: number): void {
    const { asked } = this
    if (asked === undefined) return this.events.unsafeOffer(event, bytes)
    this.asked = undefined
    asked.value = event
    asked.isTold = true
    this.events.unsafeWake()
  }
}

export type AnySubscription = AllEvents | FilteredEvents
