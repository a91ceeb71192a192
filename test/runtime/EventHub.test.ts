/** Host events: sliding subscriptions, the last events for late readers, and the end of all of it. */
import { it } from "@effect/vitest"
import { Chunk, Effect, Exit, FastCheck as fc, Fiber, Option, Queue } from "effect"
import {
  type FilteredTaskEvent,
  SessionId,
  type TaskEvent,
  TaskId,
  type TaskSnapshot,
  ToolCallId,
  TurnId
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { EventHub, type HubOptions } from "../../src/runtime/events/EventHub.js"
import { toldAtOnce } from "../../src/shared/EventSubscription.js"

const event = (seq: number): Extract<TaskEvent, { readonly _tag: "ContinueRequested" }> => ({
  _tag: "ContinueRequested",
  seq,
  at: 0,
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  taskId: TaskId.make("a")
})

const snapshot: TaskSnapshot = {
  id: TaskId.make("a"),
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  callId: ToolCallId.make("call"),
  toolName: "tool",
  kind: "Foreground",
  status: "Running",
  launch: 1,
  deliveryMode: "ToLoop",
  continuePolicy: "NotifyOnly",
  createdAt: 0,
  metadata: {}
}

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

  it.scoped("an interrupted reader that waits for several takes none with it", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 6; steps++) {
        const { hub, queue } = yield* setup()
        const reader = yield* Effect.fork(Queue.takeN(queue, 3))
        yield* Effect.yieldNow()
        publish(hub, 1)
        yield* Effect.yieldNow()
        publish(hub, 2)
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(reader)
        assert.deepStrictEqual(seqs(yield* queue.takeAll), [1, 2])
      }
    }))

  it.scoped("a reader that waits for more than the buffer holds gets them, and the buffer is as before", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup({ buffer: 2 })
      const reader = yield* Effect.fork(Queue.takeN(queue, 4))
      yield* Effect.yieldNow()
      publish(hub, 1, 2, 3, 4)
      assert.deepStrictEqual(seqs(yield* Fiber.join(reader)), [1, 2, 3, 4])
      publish(hub, 5, 6, 7)
      assert.deepStrictEqual(seqs(yield* queue.takeAll), [6, 7])
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

const ofSession = (
  seq: number,
  session: string,
  task = "a"
): Extract<TaskEvent, { readonly _tag: "ContinueRequested" }> => ({
  ...event(seq),
  sessionId: SessionId.make(session),
  taskId: TaskId.make(task)
})

/** A filtered subscription, and what its reader has learnt, in the words of the hub alone. */
const filtered = (hub: EventHub, seqOf: () => number, filter: { readonly session?: string; readonly task?: string }) =>
  hub.unsafeSubscribeTo(
    {
      ...(filter.session === undefined ? undefined : { sessionId: SessionId.make(filter.session) }),
      ...(filter.task === undefined ? undefined : { taskId: TaskId.make(filter.task) })
    },
    () => toldAtOnce<FilteredTaskEvent>({ _tag: "Reset", seq: seqOf(), live: [] })
  )

const words = (events: Iterable<FilteredTaskEvent>): ReadonlyArray<string> =>
  [...events].map(({ _tag, seq }) => _tag === "Reset" ? `Reset ${seq}` : String(seq))

describe("a subscription with a filter", () => {
  it.effect("is given the events of its session, of its task, or all", () =>
    Effect.gen(function*() {
      const { hub } = yield* setup()
      const subscriptions = [{ session: "s" }, { task: "a" }, { session: "s", task: "b" }, {}].map((filter) =>
        filtered(hub, () => 0, filter)
      )
      for (
        const [index, [session, task]] of ([["s", "a"], ["s", "b"], ["other", "a2"], ["s", "a"]] as const).entries()
      ) hub.unsafePublish(ofSession(index + 1, session, task))
      hub.unsafePublish({ _tag: "SessionClosed", seq: 5, at: 0, sessionId: SessionId.make("s") })
      const read = yield* Effect.forEach(subscriptions, (subscription) => subscription.takeAll)
      assert.deepStrictEqual(read.map(words), [["1", "2", "4", "5"], ["1", "4"], ["2"], ["1", "2", "3", "4", "5"]])
    }))

  it.effect("is not pushed out by the events of others", () =>
    Effect.gen(function*() {
      const { hub } = yield* setup({ buffer: 2, bytes: 5_000 })
      const mine = filtered(hub, () => 0, { session: "quiet" })
      hub.unsafePublish(ofSession(1, "quiet"))
      for (let seq = 2; seq < 100; seq++) hub.unsafePublish(ofSession(seq, "busy"))
      hub.unsafePublish(ofSession(100, "quiet"))
      assert.deepStrictEqual(words(yield* mine.takeAll), ["1", "100"])
    }))

  it.effect("that was too slow is told so once, when it reads, and goes on from there", () =>
    Effect.gen(function*() {
      const { hub } = yield* setup({ buffer: 2 })
      let seq = 0
      const mine = filtered(hub, () => seq, { session: "s" })
      const waiting = yield* Effect.fork(mine.take)
      yield* Effect.yieldNow()
      const publishTo = (last: number) => {
        while (seq < last) hub.unsafePublish(ofSession(++seq, "s"))
        hub.unsafeWake()
      }
      publishTo(5)
      assert.deepStrictEqual(words([yield* Fiber.join(waiting)]), ["Reset 5"])
      publishTo(7)
      assert.strictEqual(yield* mine.size, 2)
      assert.deepStrictEqual(words(yield* mine.takeAll), ["6", "7"])
      publishTo(20)
      assert.strictEqual(yield* mine.size, 1)
      publishTo(21)
      assert.deepStrictEqual(words(yield* mine.takeBetween(1, 5)), ["Reset 21"])
    }))

  it.effect("and one without hold no more than their bytes, or one event", () =>
    Effect.gen(function*() {
      const { hub, queue } = yield* setup({ bytes: 500 })
      const mine = filtered(hub, () => 9, { session: "s" })
      publish(hub, 1, 2, 3, 4, 5, 6, 7, 8, 9)
      assert.deepStrictEqual(seqs(yield* queue.takeAll), [7, 8, 9])
      assert.deepStrictEqual(words(yield* mine.takeAll), ["Reset 9"])
      const tiny = yield* setup({ bytes: 0 })
      publish(tiny.hub, 1, 2)
      assert.deepStrictEqual(seqs(yield* tiny.queue.takeAll), [2])
    }))

  it.effect("costs nothing to those who publish elsewhere, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { hub } = yield* setup()
      const offered: Array<string> = []
      const subscriptions = Array.from({ length: 50 }, (_, index) => {
        const subscription = filtered(hub, () => 0, index % 2 === 0 ? { session: `s${index}` } : { task: `t${index}` })
        const offer = subscription.unsafeOffer.bind(subscription)
        subscription.unsafeOffer = (given, bytes) => {
          offered.push(String(index))
          offer(given, bytes)
        }
        return subscription
      })
      hub.unsafePublish(ofSession(1, "s4", "t7"))
      hub.unsafePublish(ofSession(2, "elsewhere", "none"))
      assert.deepStrictEqual(offered, ["4", "7"])
      for (const subscription of subscriptions) yield* subscription.shutdown
      hub.unsafePublish(ofSession(3, "s4", "t7"))
      assert.deepStrictEqual(offered, ["4", "7"])
    }))

  it.effect("misses nothing, sees nothing twice and is told of every gap, however it is read", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ session: fc.nat(2), reads: fc.nat(6), bytes: fc.nat(3) }), { maxLength: 60 }),
          fc.integer({ min: 1, max: 5 }),
          (steps, buffer) =>
            Effect.runPromise(Effect.gen(function*() {
              const { hub } = yield* setup({ buffer, bytes: 4_000 })
              let seq = 0
              const mine = filtered(hub, () => seq, { session: "s0" })
              const published: Array<number> = []
              const known: Array<number> = []
              let reset = 0
              const read = (events: Iterable<FilteredTaskEvent>) => {
                for (const given of events) {
                  if (given._tag === "Reset") reset = given.seq
                  else known.push(given.seq)
                }
                // after a reset everything up to it is known
                const due = [...published.filter((past) => past <= reset), ...known.filter((past) => past > reset)]
                assert.deepStrictEqual(due, published.slice(0, due.length))
                assert.deepStrictEqual(known, [...new Set(known)].sort((left, right) => left - right))
              }
              for (const { bytes, reads, session } of steps) {
                seq++
                hub.unsafePublish({
                  ...ofSession(seq, `s${session}`),
                  _tag: "Progress",
                  progress: { message: "x".repeat(1_000 * bytes) },
                  snapshot
                })
                if (session === 0) published.push(seq)
                if (reads > 2) read(yield* mine.takeUpTo(reads - 2))
              }
              read(yield* mine.takeAll)
              const last = known.at(-1) ?? 0
              assert.isAtLeast(Math.max(last, reset), published.at(-1) ?? 0)
            }))
        )
      )
    ))
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
