import { Deferred, Effect, Fiber, FiberId, Queue } from "effect"
import { runSimulated } from "effect-task-manager/testing"
import { assert, beforeEach, describe, it } from "vitest"
import { SimRandom } from "../../src/testing/simulator/SimRandom.js"
import { SimScheduler } from "../../src/testing/simulator/SimScheduler.js"
import { VirtualClock } from "../../src/testing/simulator/VirtualClock.js"
import { isFull } from "../support/fullMode.js"
import { formatSimulation, runSimulations, simulate } from "./manager/simulate.js"

const seeds = Number(process.env["SIMULATED_SEEDS"] ?? 200)

// those whose traces are compared
const traced = Array.from({ length: isFull ? 40 : 4 }, (_, seed) => seed)

// in parts, so that the test runner hears of it meanwhile
const part = 200
const parts = Array.from({ length: Math.ceil(seeds / part) }, (_, index) => ({
  from: index * part,
  seeds: Math.min(part, seeds - index * part)
}))

// a part is one long synchronous run, and between tests there are only microtasks: the runner's messages need more
beforeEach(() => new Promise<void>((resume) => setImmediate(resume)))

describe("the simulated manager", () => {
  const met = new Set<string>()
  let never: ReadonlyArray<string> = []
  let played = 0

  for (const { from, seeds: count } of parts) {
    it(`keeps its promises for the seeds from ${from} to ${from + count - 1}`, () => {
      const { failed, failures, races, tasks } = runSimulations({ from, seeds: count })
      assert.strictEqual(failed, 0, failures.map(formatSimulation).join("\n\n"))
      assert.isAbove(tasks, count)
      for (const [race, times] of Object.entries(races)) if (times > 0) met.add(race)
      never = Object.keys(races).filter((race) => !met.has(race))
      played += count
    })
  }

  it("has met every race", () => {
    // fewer seeds need not meet the rarest
    if (played >= 10_000) assert.deepStrictEqual(never, [])
    assert.isAbove(met.size, 20)
  })

  it("gives the same trace for the same seed, byte for byte", () => {
    const play = (seed: number) => formatSimulation(simulate({ seed, trace: true }))
    const once = traced.map(play)
    // other runs in between must not matter
    const again = [...traced].reverse().map(play)
    assert.deepStrictEqual(again.reverse(), once)
    assert.strictEqual(new Set(once).size, traced.length)
  })

  it("gives the same run whether or not it is traced", () => {
    for (const seed of traced) {
      const { trace: _, ...withTrace } = simulate({ seed, trace: true })
      const { trace, ...plain } = simulate({ seed })
      assert.deepStrictEqual(plain, withTrace)
      assert.deepStrictEqual(trace, [])
    }
  })

  it("prints the seed, the violations and the trace of a run", () => {
    const report = simulate({ seed: 5, trace: true })
    const text = formatSimulation({ ...report, violations: [{ invariant: 2, message: "something was lost" }] })
    assert.include(text, "seed 5:")
    assert.include(text, "invariant 2 is broken: something was lost")
    assert.include(text, "startTask")
    assert.match(text, /^ {2} +\d+ms {2}/m)
  })
})

describe("SimScheduler and VirtualClock", () => {
  it("sleep in no time at all, in the order of the clock", () => {
    const woken: Array<string> = []
    const sleeper = (name: string, hours: number) =>
      Effect.zipRight(Effect.sleep(`${hours} hours`), Effect.sync(() => woken.push(name)))
    const run = runSimulated(
      () => Effect.all([sleeper("late", 3), sleeper("early", 1)], { concurrency: "unbounded" }),
      { seed: 1 }
    )
    assert.strictEqual(run.end._tag, "Done")
    assert.deepStrictEqual(woken, ["early", "late"])
    assert.strictEqual(run.millis, 3 * 3_600_000)
    assert.strictEqual(run.fibersLeft, 0)
  })

  it("find every order of two fibers", () => {
    const orders = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const order: Array<string> = []
      runSimulated(() =>
        Effect.all([Effect.sync(() => order.push("a")), Effect.sync(() => order.push("b"))], {
          concurrency: "unbounded"
        }), { seed })
      orders.add(order.join(""))
    }
    assert.deepStrictEqual([...orders].sort(), ["ab", "ba"])
  })

  it("preempt a fiber between two operations", () => {
    // a counter that is read in one operation and written in the next: without preemption nothing is ever lost
    const lost = (preemption: number): number => {
      let runs = 0
      for (let seed = 0; seed < 200; seed++) {
        let counter = 0
        const increment = Effect.flatMap(Effect.sync(() => counter), (read) =>
          Effect.sync(() => {
            counter = read + 1
          }))
        runSimulated(() => Effect.all([increment, increment], { concurrency: "unbounded" }), { seed, preemption })
        if (counter < 2) runs++
      }
      return runs
    }
    assert.strictEqual(lost(0), 0)
    assert.isAbove(lost(0.1), 0)
  })

  it("tell a hang, an endless program and fibers that are left", () => {
    assert.deepStrictEqual(runSimulated(() => Effect.never, { seed: 1 }).end, { _tag: "Hang" })
    assert.strictEqual(
      runSimulated(() => Effect.forever(Effect.yieldNow()), { seed: 1, maxSteps: 1_000 }).end._tag,
      "Endless"
    )
    assert.strictEqual(runSimulated(() => Effect.forkDaemon(Effect.never), { seed: 1 }).fibersLeft, 1)
  })

  it("find what a queue loses when its taker is interrupted", () => {
    let lost = 0
    for (let seed = 0; seed < 500; seed++) {
      const taken: Array<number> = []
      runSimulated(() =>
        Effect.gen(function*() {
          const queue = yield* Queue.unbounded<number>()
          const taker = yield* Effect.fork(
            Effect.flatMap(Queue.take(queue), (value) => Effect.sync(() => taken.push(value)))
          )
          yield* Effect.yieldNow()
          yield* Effect.fork(Queue.offer(queue, 1))
          yield* Fiber.interrupt(taker)
          yield* Effect.yieldNow()
          yield* Effect.sleep(1)
          for (const value of yield* Queue.takeAll(queue)) taken.push(value)
        }), { seed })
      if (taken.length === 0) lost++
    }
    assert.isAbove(lost, 0)
  })

  it("call back when nobody is ready and when the program has ended", () => {
    const quiet: Array<string> = []
    const done = Deferred.unsafeMake<string>(FiberId.none)
    const run = runSimulated(({ clock }) =>
      Effect.zipRight(
        Effect.fork(Effect.zipRight(Effect.sleep(10), Deferred.succeed(done, `at ${clock.unsafeCurrentTimeMillis()}`))),
        Deferred.await(done)
      ), {
      seed: 3,
      onQuiet: () => quiet.push("quiet"),
      onEnd: () => quiet.push("end")
    })
    assert.deepStrictEqual(quiet, ["quiet", "end"])
    assert.strictEqual(run.millis, 10)
  })

  it("make sleeps last a little longer than asked where there is jitter", () => {
    const ends = new Set<number>()
    for (let seed = 0; seed < 50; seed++) {
      ends.add(runSimulated(() => Effect.sleep(100), { seed, jitterMillis: 5 }).millis)
    }
    assert.isAbove(ends.size, 3)
    assert.isTrue([...ends].every((end) => end >= 100 && end <= 105))
  })

  it("forget a sleeper that is interrupted", () => {
    const run = runSimulated(() =>
      Effect.gen(function*() {
        const sleeper = yield* Effect.fork(Effect.sleep("1 day"))
        yield* Effect.sleep(5)
        yield* Fiber.interrupt(sleeper)
        yield* Effect.sleep(5)
      }), { seed: 1 })
    assert.strictEqual(run.millis, 10)
    assert.isFalse(new VirtualClock().advance())
  })

  it("give the time to programs, in milliseconds and nanoseconds", () => {
    const clock = new VirtualClock({ start: 1_500 })
    assert.strictEqual(Effect.runSync(clock.currentTimeMillis), 1_500)
    assert.strictEqual(Effect.runSync(clock.currentTimeNanos), 1_500_000_000n)
  })

  it("do nothing where nothing is ready", () => {
    assert.isFalse(new SimScheduler(new SimRandom(1)).runNext())
    assert.deepStrictEqual(new SimScheduler(new SimRandom(1)).liveFibers(), [])
  })

  it("throw fair and repeatable dice", () => {
    const dice = (seed: number) => {
      const random = new SimRandom(seed)
      return Array.from({ length: 1_000 }, () => random.int(6))
    }
    assert.deepStrictEqual(dice(7), dice(7))
    assert.notDeepEqual(dice(7), dice(8))
    for (let side = 0; side < 6; side++) assert.approximately(dice(7).filter((one) => one === side).length, 167, 50)
    const random = new SimRandom(1)
    assert.strictEqual(random.pick(["only"]), "only")
    assert.strictEqual(random.pickFrom([]), undefined)
  })
})
