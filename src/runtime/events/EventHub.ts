/** Publishes the host events: to the subscriptions that they concern, and to the replay for late readers. */
import type { SessionId, TaskId } from "../../model/ids.js"
import type { FilteredTaskEvent, TaskEvent } from "../../model/TaskEvent.js"
import { EventSubscription, type StandIn } from "../../shared/EventSubscription.js"
import { LinkedList } from "../../shared/LinkedList.js"
import { Outbox } from "../../shared/Outbox.js"
import { makeEventBytes } from "./eventBytes.js"
import { EventReplay, type ReplayOptions, type VisitEvent } from "./EventReplay.js"

export interface HubOptions {
  /** How many events a subscription holds. */
  readonly buffer: number
  /** How many events are replayed. */
  readonly replay: number
  /** How many bytes a subscription holds, and how many the replay of all sessions. */
  readonly bytes: number
  /** As in `ReplayOptions`. */
  readonly sessions: ReplayOptions["sessions"]
  readonly isRemembered: ReplayOptions["isRemembered"]
}

/** Which events a subscription is given. */
export interface Scope {
  readonly sessionId?: SessionId | undefined
  readonly taskId?: TaskId | undefined
}

type Subscription = EventSubscription<TaskEvent> | EventSubscription<FilteredTaskEvent>

// a step is told after it: a subscription that was made meanwhile may know of it already
const offer = (subscription: Subscription, event: TaskEvent, bytes: number): void => {
  if (event.seq > subscription.after) subscription.unsafeOffer(event, bytes)
}

const offerAll = (subscriptions: ReadonlySet<Subscription> | undefined, event: TaskEvent, bytes: number): void => {
  if (subscriptions !== undefined) { for (const subscription of subscriptions) offer(subscription, event, bytes) }
}

const keyOfBoth = (sessionId: SessionId, taskId: TaskId): string => JSON.stringify([sessionId, taskId])

/** The subscriptions of one session or task. */
class Index<Key> {
  private readonly sets = new Map<Key, Set<Subscription>>()

  get isEmpty(): boolean {
    return this.sets.size === 0
  }

  get(key: Key): ReadonlySet<Subscription> | undefined {
    return this.sets.get(key)
  }

  add(key: Key, subscription: Subscription): void {
    const known = this.sets.get(key)
    if (known === undefined) this.sets.set(key, new Set([subscription]))
    else known.add(subscription)
  }

  delete(key: Key, subscription: Subscription): void {
    const known = this.sets.get(key)
    if (known?.delete(subscription) === true && known.size === 0) this.sets.delete(key)
  }

  *[Symbol.iterator](): IterableIterator<Subscription> {
    for (const set of this.sets.values()) yield* set
  }
}

export class EventHub {
  private readonly options: HubOptions
  private readonly replay: EventReplay
  // not a Set: its iterator makes an object for every subscription, at every event
  private readonly ofAll = new LinkedList<Subscription>()
  private readonly ofSession = new Index<SessionId>()
  private readonly ofTask = new Index<TaskId>()
  /** By `keyOfBoth`. */
  private readonly ofTaskInSession = new Index<string>()
  /** Subscriptions with readers to wake at the end of the step. */
  private readonly told = new Outbox<Subscription>()
  private readonly bytesOf = makeEventBytes()
  private ended = false

  constructor(options: HubOptions) {
    this.options = options
    this.replay = new EventReplay({ ...options, events: options.replay })
  }

  /** As in `EventReplay`. */
  beginAfter(seq: number): void {
    this.replay.beginAfter(seq)
  }

  /** Publishes in the current step. A subscription that is not read loses its oldest event, or all with a word about it. */
  unsafePublish(event: TaskEvent): void {
    const bytes = this.bytesOf(event)
    this.replay.publish(event, bytes)
    for (let node = this.ofAll.first; node !== undefined; node = node.next) offer(node.value, event, bytes)
    const { sessionId, taskId } = event
    if (!this.ofSession.isEmpty) offerAll(this.ofSession.get(sessionId), event, bytes)
    if (taskId === undefined) return
    if (!this.ofTask.isEmpty) offerAll(this.ofTask.get(taskId), event, bytes)
    if (!this.ofTaskInSession.isEmpty) offerAll(this.ofTaskInSession.get(keyOfBoth(sessionId, taskId)), event, bytes)
  }

  /** Wakes the subscriptions that wait, once for all events of a step. */
  unsafeWake(): void {
    for (let next = this.told.shift(); next !== undefined; next = this.told.shift()) next.unsafeWake()
  }

  /** Subscribes to the events after a number, until the subscription is closed. It loses its oldest events if it is not read. */
  unsafeSubscribe(after = 0): EventSubscription<TaskEvent> {
    const subscription = new EventSubscription<TaskEvent>({
      ...this.bounds,
      reset: undefined,
      onClose: () => this.ofAll.remove(node)
    })
    subscription.after = after
    const node = this.ofAll.append(subscription)
    return subscription
  }

  /** As `unsafeSubscribe`, for some of the events. If it is not read it loses all that it holds, and `reset` stands for them. */
  unsafeSubscribeTo(
    { sessionId, taskId }: Scope,
    reset: () => StandIn<FilteredTaskEvent>
  ): EventSubscription<FilteredTaskEvent> {
    const enter = (subscription: Subscription): () => void => {
      if (taskId !== undefined && sessionId !== undefined) {
        const key = keyOfBoth(sessionId, taskId)
        this.ofTaskInSession.add(key, subscription)
        return () => this.ofTaskInSession.delete(key, subscription)
      }
      if (taskId !== undefined) {
        this.ofTask.add(taskId, subscription)
        return () => this.ofTask.delete(taskId, subscription)
      }
      if (sessionId !== undefined) {
        this.ofSession.add(sessionId, subscription)
        return () => this.ofSession.delete(sessionId, subscription)
      }
      const node = this.ofAll.append(subscription)
      return () => this.ofAll.remove(node)
    }
    const subscription = new EventSubscription<FilteredTaskEvent>({ ...this.bounds, reset, onClose: () => leave() })
    const leave = enter(subscription)
    return subscription
  }

  /** The last events of a session, or over all, oldest first. */
  recent(sessionId: SessionId | undefined, visit: VisitEvent): void {
    this.replay.recent(sessionId, visit)
  }

  /** The events of a session, or over all, after the one of this number; false if one of them is not kept any more. */
  since(sessionId: SessionId | undefined, after: number, visit: VisitEvent): boolean {
    return this.replay.since(sessionId, after, visit)
  }

  /** Nothing more will be published: readers that wait return, the others return once they have read what they hold. */
  unsafeEnd(): void {
    this.ended = true
    for (const subscriptions of [this.ofAll, this.ofSession, this.ofTask, this.ofTaskInSession]) {
      for (const subscription of subscriptions) subscription.unsafeWake()
    }
  }

  private get bounds() {
    return {
      limit: this.options.buffer,
      bytes: this.options.bytes,
      isEnded: () => this.ended,
      onNews: (subscription: Subscription) => {
        this.told.push(subscription)
      }
    }
  }
}
