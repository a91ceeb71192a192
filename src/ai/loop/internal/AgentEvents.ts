/** The subscribers of one session, each with a buffer of its own. In which order they are told is decided in news.ts. */
import { EventSubscription, toldAtOnce } from "../../../shared/EventSubscription.js"
import { memoryOf } from "../../../shared/memoryOf.js"
import type { AgentEvent } from "../AgentEvent.js"

export interface AgentEventsOptions {
  /** How many events a subscriber holds. */
  readonly buffer: number
  /** How many bytes of events a subscriber holds; one event may be larger. */
  readonly bytes: number
  /** What stands for the events that a subscriber has lost, at the moment it is read. */
  readonly reset: () => AgentEvent
}

interface Subscriber {
  readonly subscription: EventSubscription<AgentEvent>
  readonly isLast: (event: AgentEvent) => boolean
  /** It was told its last event. */
  isDone: boolean
}

/** An event itself, and its place where it is kept. */
const bareBytes = 160

export class AgentEvents {
  private readonly options: AgentEventsOptions
  private readonly subscribers = new Set<Subscriber>()
  /** No event follows. */
  isOver = false

  constructor(options: AgentEventsOptions) {
    this.options = options
  }

  /** Tells every subscriber, in the current step. */
  unsafeTell(event: AgentEvent): void {
    if (this.isOver || this.subscribers.size === 0) return
    const bytes = bareBytes + memoryOf(event)
    for (const subscriber of this.subscribers) {
      if (subscriber.isLast(event)) {
        subscriber.isDone = true
        this.subscribers.delete(subscriber)
      }
      subscriber.subscription.unsafeOffer(event, bytes)
    }
  }

  /**
   * Subscribes in the current step, until the subscription is closed, the session is over, or the subscriber was told an event
   * that is its last. What it holds by then can still be read.
   */
  unsafeSubscribe(isLast: (event: AgentEvent) => boolean = () => false): EventSubscription<AgentEvent> {
    const { options } = this
    const subscriber: Subscriber = {
      subscription: new EventSubscription<AgentEvent>({
        limit: options.buffer,
        bytes: options.bytes,
        reset: () => toldAtOnce(options.reset()),
        isEnded: () => this.isOver || subscriber.isDone,
        onNews: (subscription) => subscription.unsafeWake(),
        onClose: () => this.subscribers.delete(subscriber)
      }),
      isLast,
      isDone: false
    }
    if (!this.isOver) this.subscribers.add(subscriber)
    return subscriber.subscription
  }

  /** No event follows: readers that wait return, the others return once they have read what they hold. */
  unsafeEnd(): void {
    this.isOver = true
    for (const { subscription } of this.subscribers) subscription.unsafeWake()
    this.subscribers.clear()
  }
}
