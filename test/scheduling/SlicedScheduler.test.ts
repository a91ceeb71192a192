import { it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Option, TestClock } from "effect"
import {
  SessionId,
  SlicedScheduler,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { runSimulated } from "effect-task-manager/testing"
import { stat } from "node:fs"
import { afterEach, assert, describe, vi } from "vitest"

/** A scheduler whose clock moves by a millisecond whenever it is looked at: a slice is a few looks, on any machine. */
const sliced = (slice = 4): SlicedScheduler => {
  let looks = 0
  return new SlicedScheduler({ slice, now: () => ++looks })
}

const count = 1_000

/** Runs the effect while the host counts turns of the event loop; what it and the effect did, in order. */
const withTurns = <A, E>(program: (did: (what: string) => void) => Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const log: Array<string> = []
    let isDone = false
    const turn = (): void => {
      log.push("turn")
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    return Effect.as(
      Effect.ensuring(
        program((what) => log.push(what)),
        Effect.sync(() => {
          isDone = true
        })
      ),
      log
    )
  })

/** The most that was done between two turns of the event loop. */
const longestWithoutTurn = (log: ReadonlyArray<string>): number => {
  let longest = 0
  let since = 0
  for (const what of log) {
    since = what === "turn" ? 0 : since + 1
    longest = Math.max(longest, since)
  }
  return longest
}

const manyFibers = (did: (what: string) => void) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => index),
    (index) => Effect.zipRight(Effect.yieldNow(), Effect.sync(() => did(String(index)))),
    { concurrency: "unbounded", discard: true }
  )

const longFiber = (did: (what: string) => void) =>
  Effect.zipRight(
    Effect.yieldNow(),
    Effect.forEach(Array.from({ length: count }), () => Effect.sync(() => did("operation")), { discard: true })
  )

afterEach(() => {
  vi.unstubAllGlobals()
})

describe("fibers", () => {
  it.live("run in the order in which they became ready, over many slices", () =>
    Effect.gen(function*() {
      const log = yield* Effect.withScheduler(withTurns(manyFibers), sliced())
      assert.deepStrictEqual(
        log.filter((what) => what !== "turn"),
        Array.from({ length: count }, (_, index) => String(index))
      )
      assert.isAbove(log.length, count + 100)
    }))

  it.live("with a lower number of priority go first", () =>
    Effect.gen(function*() {
      const order: Array<number> = []
      const waiting = [2, 0, 1].map((priority) =>
        Effect.withSchedulingPriority(
          Effect.zipRight(Effect.yieldNow(), Effect.sync(() => order.push(priority))),
          priority
        )
      )
      yield* Effect.withScheduler(Effect.all(waiting, { concurrency: "unbounded" }), sliced())
      assert.deepStrictEqual(order, [0, 1, 2])
    }))

  it.live("keep their priority when a slice ends in the middle of them", () =>
    Effect.gen(function*() {
      const scheduler = sliced(0)
      const priorities: Array<number> = []
      const schedule = scheduler.scheduleTask.bind(scheduler)
      scheduler.scheduleTask = (task, priority) => {
        priorities.push(priority)
        schedule(task, priority)
      }
      yield* Effect.withSchedulingPriority(Effect.withScheduler(longFiber(() => {}), scheduler), 7)
      assert.isAbove(priorities.length, 10)
      assert.isTrue(priorities.every((priority) => priority === 7))
    }))
})

describe("the event loop", () => {
  it.live("turns after every slice, however many fibers are ready", () =>
    Effect.gen(function*() {
      const log = yield* Effect.withScheduler(withTurns(manyFibers), sliced())
      assert.isAtMost(longestWithoutTurn(log), 5)
      // what Effect's own scheduler does: it is what this one is for
      assert.strictEqual(longestWithoutTurn(yield* withTurns(manyFibers)), count)
    }))

  it.live("turns in the middle of a long fiber", () =>
    Effect.gen(function*() {
      const log = yield* Effect.withScheduler(withTurns(longFiber), sliced())
      // one look at the clock in 64 operations, of which each `did` takes a few
      assert.isAtMost(longestWithoutTurn(log), 5 * 64)
      assert.isAbove(log.filter((what) => what === "turn").length, 3)
    }))

  it.live("serves timers and files while fibers never stop", () =>
    Effect.gen(function*() {
      let timers = 0
      let files = 0
      setTimeout(() => timers++, 0)
      stat(".", () => files++)
      // nothing but the two ends it
      const spin: Effect.Effect<void> = Effect.flatMap(Effect.yieldNow(), () =>
        timers > 0 && files > 0 ? Effect.void : spin)
      yield* Effect.withScheduler(spin, sliced())
      assert.deepStrictEqual([timers, files], [1, 1])
    }))

  it.live("is not kept busy by a program that waits, and wakes it", () =>
    Effect.gen(function*() {
      let immediates = 0
      const real = setImmediate
      vi.stubGlobal("setImmediate", (run: () => void) => {
        immediates++
        return real(run)
      })
      let wake: () => void = () => assert.fail("it does not wait")
      const fiber = yield* Effect.fork(Effect.withScheduler(
        Effect.async<string>((resume) => {
          wake = () => resume(Effect.succeed("awake"))
        }),
        sliced()
      ))
      for (let turns = 0; turns < 10; turns++) yield* Effect.promise(() => new Promise<void>((resume) => real(resume)))
      const before = immediates
      for (let turns = 0; turns < 10; turns++) yield* Effect.promise(() => new Promise<void>((resume) => real(resume)))
      assert.strictEqual(immediates, before)
      wake()
      assert.strictEqual(yield* Fiber.join(fiber), "awake")
    }))
})

describe("slices", () => {
  /** The event loop in the hand of the test. */
  const stubbed = () => {
    const immediates: Array<() => void> = []
    const microtasks: Array<() => void> = []
    vi.stubGlobal("setImmediate", (run: () => void) => immediates.push(run))
    vi.stubGlobal("queueMicrotask", (run: () => void) => microtasks.push(run))
    return { immediates, microtasks }
  }

  it("last as long as asked, and what is left goes on in the next", () => {
    const { immediates, microtasks } = stubbed()
    let now = 0
    const scheduler = new SlicedScheduler({ slice: "10 millis", now: () => now })
    const ran: Array<number> = []
    for (const task of [1, 2, 3, 4]) {
      scheduler.scheduleTask(() => {
        ran.push(task)
        now += 6
      }, 0)
    }
    assert.deepStrictEqual([ran, immediates.length, microtasks.length], [[], 1, 0])
    immediates.shift()?.()
    assert.deepStrictEqual([ran, immediates.length], [[1, 2], 1])
    immediates.shift()?.()
    assert.deepStrictEqual([ran, immediates.length], [[1, 2, 3, 4], 0])
  })

  it("take what becomes ready meanwhile in a microtask, and begin anew after a pause", () => {
    const { immediates, microtasks } = stubbed()
    let now = 0
    const scheduler = new SlicedScheduler({ now: () => now })
    const ran: Array<string> = []
    scheduler.scheduleTask(() => {
      ran.push("first")
      scheduler.scheduleTask(() => ran.push("second"), 0)
    }, 0)
    immediates.shift()?.()
    assert.deepStrictEqual([ran, immediates.length, microtasks.length], [["first"], 0, 1])
    microtasks.shift()?.()
    assert.deepStrictEqual([ran, immediates.length, microtasks.length], [["first", "second"], 0, 0])
    now = 4
    scheduler.scheduleTask(() => ran.push("same slice"), 0)
    microtasks.shift()?.()
    now = 5
    scheduler.scheduleTask(() => ran.push("after a pause"), 0)
    immediates.shift()?.()
    assert.deepStrictEqual(ran, ["first", "second", "same slice", "after a pause"])
  })

  it("go on behind a task that throws", () => {
    const { immediates, microtasks } = stubbed()
    const scheduler = new SlicedScheduler({ now: () => 0 })
    const ran: Array<string> = []
    scheduler.scheduleTask(() => {
      throw new Error("an observer threw")
    }, 0)
    scheduler.scheduleTask(() => ran.push("next"), 0)
    assert.throws(() => immediates.shift()?.(), "an observer threw")
    microtasks.shift()?.()
    assert.deepStrictEqual(ran, ["next"])
  })
})

describe("together with", () => {
  const call = (number: number) => ({
    sessionId: SessionId.make("session-1"),
    turnId: TurnId.make("turn-1"),
    callId: ToolCallId.make(`call-${number}`),
    toolName: "work",
    input: {},
    metadata: {}
  })

  const agent = (tasks: number, work: Effect.Effect<string>) =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      for (let number = 0; number < tasks; number++) {
        yield* manager.startTask(TaskLaunchRequest.plain({ request: call(number) }))
      }
      let results = 0
      while (Option.isSome(yield* manager.waitForTurn(call(0)))) results++
      return results
    }).pipe(Effect.provide(Layer.merge(TaskManagerLive, ToolExecutor.fromHandlers({ work: () => work }))))

  it.live("the manager: the event loop turns while its tasks run, and every result arrives", () =>
    Effect.gen(function*() {
      const scheduler = sliced()
      let results = 0
      const log = yield* withTurns((did) =>
        Effect.withScheduler(
          Effect.map(
            agent(count, Effect.zipRight(Effect.yieldNow(), Effect.sync(() => (did("task"), "done")))),
            (found) => {
              results = found
            }
          ),
          scheduler
        )
      )
      assert.strictEqual(results, count)
      assert.isAtMost(longestWithoutTurn(log), 5)
    }))

  it.effect("the TestClock: sleeps follow it", () =>
    Effect.gen(function*() {
      const work = Effect.as(Effect.sleep("1 hour"), "rested")
      const fiber = yield* Effect.fork(Effect.withScheduler(agent(3, work), sliced()))
      // the tasks need turns of the event loop to come to their sleep, and the clock does not wait for those
      const turnOfTheEventLoop = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
      yield* Effect.repeat(Effect.zipRight(turnOfTheEventLoop, TestClock.sleeps()), {
        until: (sleeps) => Chunk.size(sleeps) === 3
      })
      yield* TestClock.adjust("59 minutes")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), 3)
    }))

  it.live("the simulator: a simulation has its own scheduler, and runs the same within a slice", () =>
    Effect.gen(function*() {
      const simulated = () => runSimulated(() => agent(5, Effect.as(Effect.sleep("1 hour"), "rested")), { seed: 3 })
      const within = yield* Effect.withScheduler(Effect.zipRight(Effect.yieldNow(), Effect.sync(simulated)), sliced())
      assert.strictEqual(within.end._tag, "Done")
      assert.deepStrictEqual(within, simulated())
    }))

  it("the simulator: a program that brings its own scheduler leaves the simulation, which calls it a hang", () => {
    const run = runSimulated(() => Effect.withScheduler(Effect.yieldNow(), sliced()), { seed: 3 })
    assert.strictEqual(run.end._tag, "Hang")
  })
})
