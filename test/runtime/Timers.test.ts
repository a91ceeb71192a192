/** Many timers on one sleeping fiber. */
import { it } from "@effect/vitest"
import { Clock, Duration, Effect, FastCheck as fc, TestClock } from "effect"
import { assert, describe } from "vitest"
import * as Timers from "../../src/runtime/time/Timers.js"

interface Sleeps {
  /** Lengths of the sleeps that began, and how many go on now. */
  readonly begun: Array<number>
  going: number
  mostAtOnce: number
}

/** Timers on the test clock, with an eye on the fibers that sleep for them. */
const make = Effect.gen(function*() {
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const sleeps: Sleeps = { begun: [], going: 0, mostAtOnce: 0 }
  const watched: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanos: clock.currentTimeNanos,
    sleep: (duration) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          sleeps.begun.push(Duration.toMillis(duration))
          sleeps.mostAtOnce = Math.max(sleeps.mostAtOnce, ++sleeps.going)
        }),
        () => clock.sleep(duration),
        () =>
          Effect.sync(() => {
            sleeps.going--
          })
      )
  }
  return { timers: Timers.make(watched, runtime), sleeps, clock }
})

const settle = TestClock.adjust(0)

describe("Timers", () => {
  it.effect("one that is stopped after the shutdown is not counted again", () =>
    Effect.gen(function*() {
      const timers = Timers.make(yield* Effect.clock, yield* Effect.runtime<never>())
      const timer = timers.start(10, () => assert.fail("it fired"))
      yield* timers.shutdown
      timers.stop(timer)
      assert.strictEqual(timers.size(), 0)
    }))

  it.effect("fire in the order of their deadlines, each once", () =>
    Effect.gen(function*() {
      const { timers } = yield* make
      const fired: Array<number> = []
      for (const millis of [30, 10, 50, 20, 40, 10]) timers.start(millis, () => fired.push(millis))
      assert.strictEqual(timers.size(), 6)
      yield* TestClock.adjust(9)
      assert.deepStrictEqual(fired, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(fired, [10, 10])
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(fired, [10, 10, 20, 30])
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(fired, [10, 10, 20, 30, 40, 50])
      assert.strictEqual(timers.size(), 0)
      yield* TestClock.adjust(1_000)
      assert.lengthOf(fired, 6)
    }))

  it.effect("do not fire once they are stopped, and stopping again does nothing", () =>
    Effect.gen(function*() {
      const { timers } = yield* make
      const fired: Array<string> = []
      const first = timers.start(10, () => fired.push("first"))
      timers.start(20, () => fired.push("second"))
      timers.stop(first)
      timers.stop(first)
      timers.stop(undefined)
      assert.strictEqual(timers.size(), 1)
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(fired, ["second"])
      timers.stop(first)
      assert.strictEqual(timers.size(), 0)
    }))

  it.effect("never start for Infinity", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      assert.isUndefined(timers.start(Infinity, () => assert.fail("fired")))
      assert.strictEqual(timers.size(), 0)
      yield* settle
      assert.deepStrictEqual(sleeps.begun, [])
    }))

  it.effect("of no length fire on another turn, not in the step that starts them", () =>
    Effect.gen(function*() {
      const { timers } = yield* make
      const fired: Array<string> = []
      timers.start(0, () => fired.push("now"))
      assert.deepStrictEqual(fired, [])
      yield* settle
      assert.deepStrictEqual(fired, ["now"])
    }))

  it.effect("share one sleeper, which goes when nothing is left", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      const started = [300, 200, 100, 400].map((millis) => timers.start(millis, () => undefined))
      yield* settle
      assert.strictEqual(sleeps.going, 1)
      assert.strictEqual(sleeps.mostAtOnce, 1)
      for (const timer of started) timers.stop(timer)
      yield* settle
      assert.strictEqual(sleeps.going, 0)
      assert.strictEqual(timers.size(), 0)
    }))

  it.effect("later than the sleeper wakes no other sleeper, an earlier one does", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      timers.start(100, () => undefined)
      yield* settle
      timers.start(200, () => undefined)
      timers.start(100, () => undefined)
      yield* settle
      assert.deepStrictEqual(sleeps.begun, [100])
      timers.start(50, () => undefined)
      yield* settle
      assert.deepStrictEqual(sleeps.begun, [100, 50])
      assert.strictEqual(sleeps.going, 1)
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(sleeps.begun, [100, 50, 50])
      yield* TestClock.adjust(150)
      assert.strictEqual(sleeps.going, 0)
      assert.strictEqual(timers.size(), 0)
    }))

  it.effect("that are started or stopped by one that fires are right", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      const fired: Array<string> = []
      const doomed = timers.start(10, () => fired.push("doomed"))
      timers.start(5, () => {
        fired.push("first")
        timers.stop(doomed)
        timers.start(5, () => fired.push("next"))
        timers.start(0, () => fired.push("at once"))
      })
      yield* TestClock.adjust(5)
      yield* settle
      assert.deepStrictEqual(fired, ["first", "at once"])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(fired, ["first", "at once", "next"])
      assert.strictEqual(sleeps.going, 0)
    }))

  it.effect("longer than the platform's timers are slept in pieces", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      const fired: Array<string> = []
      const longest = 2 ** 30
      timers.start(2 * longest + 5, () => fired.push("late"))
      yield* TestClock.adjust(longest)
      assert.deepStrictEqual(fired, [])
      yield* TestClock.adjust(longest)
      assert.deepStrictEqual(fired, [])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(fired, ["late"])
      assert.deepStrictEqual(sleeps.begun, [longest, longest, 5])
      assert.isTrue(sleeps.begun.every((millis) => millis <= longest))
    }))

  it.effect("with deadlines between two moments of the clock fire soon after, and do not spin until then", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      const fired: Array<string> = []
      yield* TestClock.adjust(0.1)
      // 0.1 + 0.2 is a little more than 0.3
      timers.start(0.2, () => fired.push("first"))
      timers.start(1.5, () => fired.push("second"))
      yield* TestClock.adjust(0.2)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(fired, ["first"])
      yield* TestClock.adjust(2)
      assert.deepStrictEqual(fired, ["first", "second"])
      assert.isAtMost(sleeps.begun.length, 4)
    }))

  it.effect("shutdown ends the sleeper and forgets everything", () =>
    Effect.gen(function*() {
      const { sleeps, timers } = yield* make
      timers.start(10, () => assert.fail("fired"))
      yield* settle
      yield* timers.shutdown
      assert.strictEqual(timers.size(), 0)
      assert.strictEqual(sleeps.going, 0)
      yield* TestClock.adjust(10)
      yield* timers.shutdown
    }))

  it.effect("shutdown of what never slept does nothing", () =>
    Effect.gen(function*() {
      const { timers } = yield* make
      yield* timers.shutdown
      assert.strictEqual(timers.size(), 0)
    }))

  it.effect.prop(
    "any starts and stops fire what is due, in order",
    {
      commands: fc.array(
        fc.oneof(
          fc.record({ _tag: fc.constant("start" as const), value: fc.nat(50) }),
          fc.record({ _tag: fc.constant("stop" as const), value: fc.nat(50) }),
          fc.record({ _tag: fc.constant("adjust" as const), value: fc.integer({ min: 1, max: 30 }) })
        ),
        { maxLength: 30 }
      )
    },
    ({ commands }) =>
      Effect.gen(function*() {
        const { clock, timers } = yield* make
        const armed: Array<
          { readonly id: number; readonly deadline: number; readonly timer: ReturnType<Timers.Timers["start"]> }
        > = []
        const fired: Array<number> = []
        const expected: Array<number> = []
        let id = 0
        for (const { _tag, value } of commands) {
          if (_tag === "start") {
            const name = id++
            armed.push({
              id: name,
              deadline: clock.unsafeCurrentTimeMillis() + value,
              timer: timers.start(value, () => fired.push(name))
            })
          } else if (_tag === "stop") {
            const [stopped] = armed.splice(value % Math.max(armed.length, 1), 1)
            timers.stop(stopped?.timer)
          } else {
            yield* TestClock.adjust(value)
            const now = clock.unsafeCurrentTimeMillis()
            const due = armed.filter(({ deadline }) => deadline <= now)
            for (const each of due) armed.splice(armed.indexOf(each), 1)
            expected.push(...due.map((each) => each.id))
          }
          assert.strictEqual(timers.size(), armed.length)
        }
        assert.sameMembers(fired, expected)
      }),
    { fastCheck: { numRuns: 40 } }
  )

  it.effect("a sleeper of many timers fires each in order of deadline within one wake-up", () =>
    Effect.gen(function*() {
      const { timers } = yield* make
      const fired: Array<number> = []
      const lengths = Array.from({ length: 200 }, (_, index) => (index * 7_919) % 997)
      const stopped = lengths.map((millis) => timers.start(millis, () => fired.push(millis)))
        .filter((_, index) => index % 3 === 0)
      for (const timer of stopped) timers.stop(timer)
      yield* TestClock.adjust(1_000)
      const left = lengths.filter((_, index) => index % 3 !== 0).sort((a, b) => a - b)
      assert.deepStrictEqual(fired, left)
    }))
})
