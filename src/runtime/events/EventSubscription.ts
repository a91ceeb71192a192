/**
 * One reader of the host events. The buffer is a subscription of the `PubSub`; waiting is done here, for three reasons:
 * what it holds can be read to its end after shutdown, a reader that is interrupted while it waits loses nothing, and it
 * is woken once for all events of a step.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type { TaskEvent } from "../../model/TaskEvent.js"
import { ParkedReaders } from "./ParkedReaders.js"

export class EventSubscription extends Effectable.Class<TaskEvent> implements Queue.Dequeue<TaskEvent> {
  readonly [Queue.DequeueTypeId] = { _Out: (_: never): TaskEvent => _ }
  private readonly buffer: Queue.Dequeue<TaskEvent>
  /** The buffer may have more places than this. */
  private readonly limit: number
  private readonly isEnded: () => boolean
  private readonly parked = new ParkedReaders()

  constructor(buffer: Queue.Dequeue<TaskEvent>, limit: number, isEnded: () => boolean) {
    super()
    this.buffer = buffer
    this.limit = limit
    this.isEnded = isEnded
  }

  /** Wakes whoever waits, if there is something to see. */
  unsafeWake(): void {
    if (this.parked.isEmpty || (this.held() === 0 && !this.isOver())) return
    this.parked.wakeAll()
  }

  private buffered(): number {
    return Option.getOrElse(this.buffer.unsafeSize(), () => 0)
  }

  private held(): number {
    return Math.min(this.buffered(), this.limit)
  }

  /** Nothing is held, and nothing more will come. */
  private isOver(): boolean {
    return this.held() === 0 && (this.isEnded() || !this.buffer.isActive())
  }

  private get waitForEvent(): Effect.Effect<void> {
    return this.parked.parkUnless(() => this.held() > 0 || this.isOver())
  }

  commit(): Effect.Effect<TaskEvent> {
    return this.take
  }

  get take(): Effect.Effect<TaskEvent> {
    return Effect.flatMap(
      this.takeBetween(1, 1),
      // oxlint-disable-next-line no-accessor-recursion -- asked again when the effect runs, not by the getter
      (events) => Chunk.isNonEmpty(events) ? Effect.succeed(Chunk.headNonEmpty(events)) : this.take
    )
  }

  get takeAll(): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    return this.takeUpTo(Infinity)
  }

  takeUpTo(max: number): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    return Effect.suspend(() => {
      const surplus = this.buffered() - this.limit
      if (surplus > 0) return Effect.zipRight(this.buffer.takeUpTo(surplus), this.takeHeld(max))
      return this.held() === 0 ? Effect.succeed(Chunk.empty()) : this.takeHeld(max)
    })
  }

  private takeHeld(max: number): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    const taken = this.buffer.takeUpTo(max)
    // whoever waits for the end waits for the last event to be read
    return this.isEnded() ? Effect.tap(taken, () => Effect.sync(() => this.unsafeWake())) : taken
  }

  takeBetween(min: number, max: number): Effect.Effect<Chunk.Chunk<TaskEvent>> {
    if (min <= 0) return this.takeUpTo(max)
    return Effect.flatMap(this.waitForEvent, () =>
      Effect.suspend(() => {
        if (this.isOver()) return Effect.interrupt
        if (this.held() >= min || this.isEnded()) return this.takeUpTo(max)
        return Effect.flatMap(this.takeUpTo(max), (first) =>
          Effect.map(this.takeBetween(min - first.length, max - first.length), (rest) =>
            Chunk.appendAll(first, rest)))
      }))
  }

  capacity(): number {
    return this.limit
  }

  isActive(): boolean {
    return !this.isOver()
  }

  unsafeSize(): Option.Option<number> {
    return this.isOver() ? Option.none() : Option.some(this.held())
  }

  get size(): Effect.Effect<number> {
    return Effect.sync(() => this.held())
  }

  get isFull(): Effect.Effect<boolean> {
    return Effect.sync(() => this.held() === this.capacity())
  }

  get isEmpty(): Effect.Effect<boolean> {
    return Effect.sync(() => this.held() === 0)
  }

  get shutdown(): Effect.Effect<void> {
    return Effect.zipRight(this.buffer.shutdown, Effect.sync(() => this.unsafeWake()))
  }

  get isShutdown(): Effect.Effect<boolean> {
    return Effect.sync(() => this.isOver())
  }

  get awaitShutdown(): Effect.Effect<void> {
    return Effect.flatMap(
      this.parked.parkUnless(() => this.isOver()),
      // oxlint-disable-next-line no-accessor-recursion -- asked again when the effect runs, not by the getter
      () => this.isOver() ? Effect.void : this.awaitShutdown
    )
  }
}
