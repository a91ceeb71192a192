/** Waits with a timeout, and clocks that jump. */
import { it } from "@effect/vitest"
import { Deferred, type Duration, Effect, Exit, Fiber, Option, TestClock } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManagerConfig,
  ToolExecutor,
  TurnCancellation,
  WaitTimedOut
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { takeTurnUpdate } from "../../src/machine/delivery.js"
import { launchEnded } from "../../src/machine/finish.js"
import { makeEngine, makeManager } from "../../src/runtime/make.js"
import { startConcurrently } from "../../src/runtime/starting/startTask.js"
import { runSimulated } from "../../src/testing/index.js"
import { withJumpingClock } from "../support/clock.js"
import { request, turnRef } from "../support/world.js"

const settle = Effect.forEach(Array.from({ length: 10 }), () => Effect.yieldNow(), { discard: true })

const setup = Effect.gen(function*() {
  const engine = yield* makeEngine
  return { engine, ...makeManager(engine, startConcurrently) }
})

type Manager = Effect.Effect.Success<typeof setup>

const started = (manager: Manager, id: string, tool: Effect.Effect<string>) =>
  manager.startTask(TaskLaunchRequest.plain({ request: request(id), taskId: TaskId.make(id) })).pipe(
    Effect.provide(ToolExecutor.fromHandlers({ tool: () => tool }))
  )

const sessionId = SessionId.make("s")

const waits: ReadonlyArray<
  readonly [name: string, wait: (manager: Manager, timeout: Duration.DurationInput) => Effect.Effect<unknown, unknown>]
> = [
  ["waitForTurn", (m, timeout) => m.waitForTurn(turnRef(), { timeout })],
  [
    "waitForTurn with a cancellation",
    (m, timeout) => m.waitForTurn(turnRef(), { timeout, cancellation: TurnCancellation.never })
  ],
  ["consumeTurnUpdate", (m, timeout) => m.consumeTurnUpdate(turnRef(), () => Effect.void, { timeout })],
  ["waitForTask", (m, timeout) => m.waitForTask([TaskId.make("a")], { timeout })],
  ["waitForLoopUpdate", (m, timeout) => m.waitForLoopUpdate(sessionId, { timeout })],
  ["waitForIdleWithin", (m, timeout) => m.handle.waitForIdleWithin(timeout)]
]

describe("a wait with a timeout", () => {
  for (const [name, wait] of waits) {
    it.scoped(`${name}: stops its timer when it ends, is interrupted or times out, and parks nowhere then`, () =>
      Effect.gen(function*() {
        const manager = yield* setup
        const { timers } = manager.engine
        const gate = yield* Deferred.make<string>()
        yield* started(manager, "a", Deferred.await(gate))
        const interrupted = yield* Effect.fork(wait(manager, "1 minute"))
        yield* settle
        assert.strictEqual(timers.size(), 1)
        yield* Fiber.interrupt(interrupted)
        assert.strictEqual(timers.size(), 0)
        const late = yield* Effect.fork(wait(manager, "1 second"))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.await(late), Exit.fail(new WaitTimedOut({ millis: 1_000 })))
        assert.strictEqual(timers.size(), 0)
        assert.deepStrictEqual(yield* Effect.exit(wait(manager, 0)), Exit.fail(new WaitTimedOut({ millis: 0 })))
        yield* Effect.fork(wait(manager, "Infinity" as Duration.DurationInput).pipe(Effect.ignore))
        const inTime = yield* Effect.fork(wait(manager, "1 minute"))
        yield* settle
        if (name === "waitForLoopUpdate") yield* manager.handle.detach(TaskId.make("a"))
        yield* Deferred.succeed(gate, "done")
        yield* settle
        // of two readers of a turn one gets the update and the other finds it drained
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(inTime)))
        assert.strictEqual(timers.size(), 0)
      }))
  }

  it.scoped("keeps its deadline when another reader was faster", () =>
    Effect.gen(function*() {
      const manager = yield* setup
      yield* started(manager, "a", Effect.never)
      yield* started(manager, "b", Effect.never)
      const waiting = yield* Effect.fork(manager.waitForTurn(turnRef(), { timeout: "10 seconds" }))
      yield* TestClock.adjust("9 seconds")
      const { state } = manager.engine
      yield* Effect.sync(() => {
        const task = state.table.live.first?.value
        assert(task !== undefined)
        // it is woken for an update that is gone when it comes to take it
        state.unsafeModify((table, now) => launchEnded(table, task, 1, { _tag: "Cancelled" }, now))
        state.unsafeModify((table) => takeTurnUpdate(table, turnRef()))
      })
      yield* TestClock.adjust("999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.await(waiting), Exit.fail(new WaitTimedOut({ millis: 10_000 })))
    }))

  it.scoped("of a tool goes on over the limit when the time passes: the place it lent may never come back", () =>
    Effect.gen(function*() {
      const manager = yield* setup
      const told = yield* Deferred.make<string>()
      const waitsFor2 = manager.waitForTask([TaskId.make("b")], { timeout: "1 second" })
      yield* started(
        manager,
        "a",
        Effect.zipRight(Effect.yieldNow(), Effect.flip(waitsFor2)).pipe(
          Effect.orDie,
          Effect.map(({ _tag }) => _tag),
          Effect.tap((tag) => Deferred.succeed(told, tag))
        )
      )
      yield* started(manager, "b", Effect.never)
      yield* settle
      assert.strictEqual((yield* manager.handle.get(TaskId.make("b"))).status, "Running")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Deferred.await(told), "WaitTimedOut")
    }).pipe(Effect.provide(TaskManagerConfig.layer({ concurrency: 1 }))))

  it("loses no update, whatever comes first", () => {
    let given = 0
    let missed = 0
    for (let seed = 0; seed < 100; seed++) {
      const run = runSimulated(() =>
        Effect.gen(function*() {
          const manager = yield* setup
          yield* started(manager, "a", Effect.as(Effect.sleep(10), "done"))
          const first = yield* Effect.option(manager.waitForTurn(turnRef(), { timeout: 10 }))
          if (Option.isSome(first)) {
            assert.isTrue(Option.isSome(first.value), `seed ${seed}`)
            given++
          } else {
            assert.isTrue(Option.isSome(yield* manager.waitForTurn(turnRef())), `seed ${seed}`)
            missed++
          }
        }).pipe(Effect.scoped), { seed, preemption: 0.2 })
      assert.strictEqual(run.end._tag, "Done", `seed ${seed}`)
    }
    assert.isAbove(given, 20)
    assert.isAbove(missed, 20)
  })
})

describe("a wall clock that jumps by an hour", () => {
  for (const jump of [-3_600_000, 3_600_000]) {
    const named = jump < 0 ? "back" : "forward"

    for (const [name, wait] of waits) {
      it.scoped(`${named}: ${name} lasts as long as it is told`, () =>
        withJumpingClock((set) =>
          Effect.gen(function*() {
            const manager = yield* setup
            yield* started(manager, "a", Effect.never)
            const waiting = yield* Effect.fork(wait(manager, "300 millis"))
            yield* TestClock.adjust(30)
            set(jump)
            yield* TestClock.adjust(269)
            assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
            yield* TestClock.adjust(1)
            assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
          })
        ))
    }

    for (
      const [name, decision, after] of [
        ["a timeout", RoutingDecision.Foreground({ timeout: "300 millis" }), "Failed Foreground"],
        ["a detach", RoutingDecision.ForegroundThenDetachAfter({ duration: "300 millis" }), "Running Background"]
      ] as const
    ) {
      it.scoped(`${named}: ${name} comes in its time`, () =>
        withJumpingClock((set) =>
          Effect.gen(function*() {
            const manager = yield* setup
            yield* started(manager, "a", Effect.never)
            const state = Effect.map(
              manager.handle.get(TaskId.make("a")),
              ({ kind, status }) => `${status} ${kind}`
            )
            yield* TestClock.adjust(30)
            set(jump)
            yield* TestClock.adjust(269)
            assert.strictEqual(yield* state, "Running Foreground")
            yield* TestClock.adjust(1)
            assert.strictEqual(yield* state, after)
          })
        ).pipe(Effect.provideService(RoutingPolicy, () => Effect.succeed(decision))))
    }

    it.scoped(`${named}: a grace period ends in its time`, () =>
      withJumpingClock((set) =>
        Effect.gen(function*() {
          const manager = yield* setup
          yield* started(manager, "a", Effect.uninterruptible(Effect.never))
          const cancelling = yield* Effect.fork(manager.handle.cancel(TaskId.make("a")))
          yield* TestClock.adjust(30)
          set(jump)
          yield* TestClock.adjust(269)
          assert.isTrue(Option.isNone(yield* Fiber.poll(cancelling)))
          yield* TestClock.adjust(1)
          yield* Fiber.join(cancelling)
        })
      ).pipe(Effect.provide(TaskManagerConfig.layer({ cancelGracePeriod: "300 millis" }))))
  }
})

describe("who waits for a task that is being stopped", () => {
  const stops: ReadonlyArray<readonly [name: string, stop: (manager: Manager) => Effect.Effect<unknown, unknown>]> = [
    ["cancel", ({ handle }) => handle.cancel(TaskId.make("a"))],
    ["onTurnInterrupted", (m) => m.onTurnInterrupted(turnRef())],
    ["closeSession", (m) => m.closeSession(sessionId)]
  ]
  for (const [name, stop] of stops) {
    it.scoped(`${name}: leaves nothing at it when it is interrupted, and returns to the others`, () =>
      Effect.gen(function*() {
        for (let steps = 0; steps < 8; steps++) {
          const manager = yield* setup
          const gate = yield* Deferred.make<string>()
          yield* started(manager, "a", Effect.uninterruptible(Deferred.await(gate)))
          const task = manager.engine.state.table.tasks.get(TaskId.make("a"))
          assert.isTrue(task?.isLive)
          if (task?.isLive !== true) return
          const [waiting, leaving] = [yield* Effect.fork(stop(manager)), yield* Effect.fork(stop(manager))]
          for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(leaving)
          yield* settle
          const waiters = task.settledWaiters?.size ?? 0
          yield* Deferred.succeed(gate, "too late")
          assert.isAtMost(waiters, 1)
          assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
          assert.strictEqual(task.snapshot.status, "Cancelled")
        }
      }))
  }
})
