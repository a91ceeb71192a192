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
import type { EventSubscription } from "../../../shared/EventSubscription.js"
import type { SubscriptionAsked } from "../../api/internal/bodies.js"
import type { TaskManagerUnreachable } from "../../TaskManagerUnreachable.js"
import type { Frame } from "./FrameReader.js"
import { type Bounds, eventBytes, ResetEvents, subscriptionOf } from "./ResetEvents.js"

/** Where a subscription begins. */
export type Begin = "replay" | "now" | "snapshot"

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
  hear(frame: Frame, manager: string): void {
    const { data, event, id } = frame
    if (id !== undefined) {
      this.last = id
      this.manager = manager
    }
    switch (event) {
      case "task":
        return this.add(decodeEvent(data), eventBytes(frame))
      case "reset":
        return this.reset(decodeReset(data), eventBytes(frame))
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

  /** The next that comes is a `Reset`. */
  protected beginAnew(): void {
    this.last = tooLate
    this.options.renew()
  }
}

/** Every event: one that is not read loses the oldest, and sees it by the gap in their numbers. */
export class AllEvents extends Subscription<TaskEvent> {
  readonly events = subscriptionOf<TaskEvent>(this.options, () => this.isEnded)

  protected add(event: TaskEvent, bytes: number): void {
    this.events.unsafeOffer(event, bytes)
  }

  protected reset(): void {}
}

/** The events of a filter: one that is not read gets a `Reset` in the place of what it has lost. */
export class FilteredEvents extends Subscription<FilteredTaskEvent> {
  private readonly resetting: ResetEvents<FilteredTaskEvent> = new ResetEvents<FilteredTaskEvent>(this.options, {
    isEnded: () => this.isEnded,
    empty: { _tag: "Reset", seq: 0, live: [] },
    ask: () => this.beginAnew()
  })
  readonly events = this.resetting.events

  protected add(event: TaskEvent, bytes: number): void {
    this.events.unsafeOffer(event, bytes)
  }

  protected reset(event: EventReset, bytes: number): void {
    this.resetting.reset(event, bytes)
  }
}

export type AnySubscription = AllEvents | FilteredEvents
