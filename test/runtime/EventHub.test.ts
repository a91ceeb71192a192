/** Host events: sliding subscriptions, the last events for late readers, and the end of all of it. */
import { it } from "@effect/vitest"
import { Chunk, Effect, Exit, Fiber, Option } from "effect"
import { SessionId, type TaskEvent, TaskId, TurnId } from "effect-task-manager"
import { assert, describe } from "vitest"
import { EventHub, type HubOptions } from "../../src/runtime/events/EventHub.js"

const event = (seq: number): TaskEvent => ({
  _tag: "ContinueRequested",
  seq,
  at: 0,
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  taskId: TaskId.make("a")
})

const seqs = (events: Iterable<TaskEvent>): Array<number> => [...events].map(({ seq }) => seq)

const publish = (hub: EventHub, ...numbers: ReadonlyArray<number>): void => {
  for (const seq of numbers) hub.unsafePublish(event(seq))
  hub.unsafeWake()
}

const setup = (options: Partial<HubOptions> = {}) =>
  Effect.sync(() => {
    const hub = new EventHub({
      buffer: 16,
      replay: 0,
      bytes: 1_000_000,
      sessions: 10,
      isRemembered: () => false,
      ...options
    })
    return { hub, queue: hub.unsafeSubscribe(), subscribe: () => hub.unsafeSubscribe() }
  })

const recent = (hub: EventHub): ReadonlyArray<TaskEvent> => {
  const events: Array<TaskEvent> = []
  hub.recent(undefined, (event) => events.push(event))
  return events
}

/** What a fiber that waits has come to, without waiting for it. */
const poll = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.map(Fiber.poll(fiber), Option.map((exit) => Exit.isSuccess(exit) ? exit.value : "interrupted"))

describe("EventHub", () => {
  it.scoped("every subscriber sees each event from its subscription on", () =>
    Effect.gen(function*() {
      const { hub, queue, subscribe } = yield* setup()
      publish(hub, 1, 2)
      const late = subscribe()
      publish(hub, 3)
      assert.deepStrictEqual(seqs(yield* queue.takeAll), [1, 2, 3])
      assert.deepStrictEqual(seqs(yield* late.takeAll), [3])
    }))

  for (const buffer of [1, 2, 3, 16]) {
    it.scoped(`a subscriber that does not read keeps the last ${buffer} and loses the oldest`, () =>
      Effect.gen(function*() {
        const { hub, queue, subscribe } = yield* setup({ buffer })
        const reader = subscribe()
        const read: Array<number> = []
        for (let seq = 1; seq <= 40; seq++) {
          publish(hub, seq)
          read.push(...seqs(yield* reader.takeAll))
        }
        assert.deepStrictEqual(read, Array.from({ length: 40 }, (_, index) => index + 1))
        const kept = seqs(yield* queue.takeAll)
        assert.deepStrictEqual(kept, Array.from({ length: buffer }, (_, index) => 41 - buffer + index))
        publish(hub, 41)
        assert.deepStrictEqual(seqs(yield* queue.takeAll), [41])
      }))
  }

  it.scoped("recent: the last events, oldest first, cut to the replay", () =>
    Effect.gen(function*() {
      const { hub } = yield* setup({ replay: 3 })
      assert.deepStrictEqual(recent(hub), [])
      publish(hub, 1, 2)
      assert.deepStrictEqual(seqs(recent(hub)), [1, 2])
      publish(hub, 3)
      assert.deepStrictEqual(seqs(recent(hub)), [1, 2, 3])
      publish(hub, 4)
      assert.deepStrictEqual(seqs(recent(hub)), [2, 3, 4])
      publish(hub, 5, 6, 7, 8)
      assert.deepStrictEqual(seqs(recent(hub)), [6, 7, 8])
    }))

  it.scoped("recent: nothing with a replay of 0", () =>
    Effect.gen(function*() {
      const none = yield* setup({ replay: 0 })
      publish(none.hub, 1, 2, 3)
      assert.deepStrictEqual(recent(none.hub), [])
    }))

  it.scoped("what recent gave does not change afterwards", () =>
    Effect.gen(function*() {
      const { hub } = yield* setup({ replay: 2 })
      publish(hub, 1)
      const before = recent(hub)
      publish(hub, 2, 3)
      assert.deepStrictEqual(seqs(before), [1])
    }))

  it.scoped("a reader that waits is woken by the next event", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup()
      const reader = yield* Effect.fork(queue.take)
      yield* Effect.yieldNow()
      assert.isTrue(Option.isNone(yield* poll(reader)))
      publish(hub, 1)
      assert.strictEqual((yield* Fiber.join(reader)).seq, 1)
      // the queue is itself the effect of taking from it
      publish(hub, 2)
      assert.strictEqual((yield* queue).seq, 2)
    }))

  it.scoped("readers that wait for one event get one each", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup()
      const readers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(queue.take))
      yield* Effect.yieldNow()
      publish(hub, 1, 2)
      yield* Effect.yieldNow()
      publish(hub, 3)
      assert.sameMembers((yield* Fiber.joinAll(readers)).map(({ seq }) => seq), [1, 2, 3])
    }))

  it.scoped("an interrupted reader takes nothing with it", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup()
      const reader = yield* Effect.fork(queue.take)
      yield* Effect.yieldNow()
      publish(hub, 1)
      yield* Fiber.interrupt(reader)
      const left = seqs(yield* queue.takeAll)
      const taken = Option.getOrElse(yield* poll(reader), () => "nothing" as const)
      assert.deepStrictEqual(typeof taken === "string" ? left : [taken.seq], [1])
    }))

  it.scoped("takeUpTo and takeBetween take what they say", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup()
      assert.deepStrictEqual(seqs(yield* queue.takeUpTo(3)), [])
      assert.deepStrictEqual(seqs(yield* queue.takeBetween(0, 3)), [])
      publish(hub, 1, 2, 3, 4, 5)
      assert.deepStrictEqual(seqs(yield* queue.takeUpTo(2)), [1, 2])
      assert.deepStrictEqual(seqs(yield* queue.takeBetween(1, 2)), [3, 4])
      const three = yield* Effect.fork(queue.takeBetween(3, 4))
      yield* Effect.yieldNow()
      publish(hub, 6)
      yield* Effect.yieldNow()
      assert.isTrue(Option.isNone(yield* poll(three)))
      publish(hub, 7)
      assert.deepStrictEqual(seqs(yield* Fiber.join(three)), [5, 6, 7])
    }))

  it.scoped("says how much it holds", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup({ buffer: 2 })
      assert.strictEqual(queue.capacity(), 2)
      assert.isTrue(queue.isActive())
      assert.isFalse(yield* queue.isShutdown)
      assert.strictEqual(yield* queue.size, 0)
      assert.deepStrictEqual(queue.unsafeSize(), Option.some(0))
      assert.isTrue(yield* queue.isEmpty)
      assert.isFalse(yield* queue.isFull)
      publish(hub, 1, 2, 3)
      assert.strictEqual(yield* queue.size, 2)
      assert.deepStrictEqual(queue.unsafeSize(), Option.some(2))
      assert.isFalse(yield* queue.isEmpty)
      assert.isTrue(yield* queue.isFull)
    }))

  it.scoped("a subscription that is closed sees nothing more", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup()
      const reader = yield* Effect.fork(queue.take)
      yield* Effect.yieldNow()
      queue.unsafeClose()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(reader)))
      publish(hub, 1)
      assert.isFalse(queue.isActive())
      assert.deepStrictEqual(seqs(yield* queue.takeAll), [])
    }))
})

describe("after the end", () => {
  const ended = Effect.gen(function*() {
    const { hub, queue, subscribe } = yield* setup()
    publish(hub, 1, 2, 3)
    hub.unsafeEnd()
    return { hub, queue, subscribe }
  })

  it.scoped("what is held can still be taken, then taking interrupts", () =>
    Effect.gen(function*() {
      const { queue } = yield* ended
      assert.strictEqual((yield* queue.take).seq, 1)
      assert.deepStrictEqual(seqs(yield* queue.takeUpTo(1)), [2])
      assert.isFalse(yield* queue.isShutdown)
      assert.isTrue(queue.isActive())
      // fewer than asked for, but nothing more will come
      assert.deepStrictEqual(seqs(yield* queue.takeBetween(2, 5)), [3])
      for (const taking of [Effect.asVoid(queue.take), Effect.asVoid(queue.takeBetween(1, 2))]) {
        const fiber = yield* Effect.fork(taking)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
      }
    }))

  it.scoped("everything else says that it is over", () =>
    Effect.gen(function*() {
      const { queue } = yield* ended
      assert.deepStrictEqual(seqs(yield* queue.takeAll), [1, 2, 3])
      assert.isTrue(yield* queue.isShutdown)
      assert.isFalse(queue.isActive())
      assert.deepStrictEqual(queue.unsafeSize(), Option.none())
      assert.strictEqual(yield* queue.size, 0)
      assert.isTrue(yield* queue.isEmpty)
      assert.isFalse(yield* queue.isFull)
      assert.isTrue(Chunk.isEmpty(yield* queue.takeAll))
      assert.isTrue(Chunk.isEmpty(yield* queue.takeUpTo(1)))
      assert.isTrue(Chunk.isEmpty(yield* queue.takeBetween(0, 1)))
      yield* queue.awaitShutdown
    }))

  it.scoped("awaitShutdown returns once the last event was read", () =>
    Effect.gen(function*() {
      const { queue } = yield* ended
      const waiting = yield* Effect.fork(queue.awaitShutdown)
      yield* Effect.yieldNow()
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* queue.takeAll
      yield* Fiber.join(waiting)
    }))

  it.scoped("readers that wait are let go", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup()
      const readers = yield* Effect.forEach(
        [queue.take, queue.takeBetween(1, 2), queue.takeBetween(3, 3)].map((taking) =>
          Effect.asVoid<unknown, never, never>(taking)
        ),
        (taking) => Effect.fork(taking)
      )
      yield* Effect.yieldNow()
      hub.unsafeEnd()
      for (const reader of readers) assert.isTrue(Exit.isInterrupted(yield* Fiber.await(reader)))
    }))

  it.scoped("a new subscription is over at once", () =>
    Effect.gen(function*() {
      const { subscribe } = yield* ended
      const queue = subscribe()
      assert.isTrue(yield* queue.isShutdown)
      const fiber = yield* Effect.fork(queue.take)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
    }))

  it.scoped("shutdown of a subscription can be done and done again", () =>
    Effect.gen(function*() {
      const { queue } = yield* ended
      yield* queue.shutdown
      yield* queue.shutdown
      assert.isTrue(yield* queue.isShutdown)
    }))
})
