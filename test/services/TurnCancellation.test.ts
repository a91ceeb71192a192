/** Telling a waiting loop that its turn is over. */
import { it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import {
  CancellationController,
  ScriptedOutcome,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerTest,
  TaskManagerTestControl,
  TurnCancellation
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { request, turnRef } from "../support/world.js"

describe("CancellationController", () => {
  it.effect("interrupt cancels every checkpoint taken so far and none taken later", () =>
    Effect.gen(function*() {
      const controller = yield* CancellationController.make
      const [first, second] = [yield* controller.checkpoint, yield* controller.checkpoint]
      const waiting = yield* Effect.fork(first.cancelled)
      yield* Effect.yieldNow()
      assert.isFalse(yield* first.isCancelled)
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* controller.interrupt
      yield* Fiber.join(waiting)
      yield* second.cancelled
      assert.isTrue(yield* first.isCancelled)
      assert.isTrue(yield* second.isCancelled)
      const later = yield* controller.checkpoint
      assert.isFalse(yield* later.isCancelled)
      yield* controller.interrupt
      assert.isTrue(yield* later.isCancelled)
      assert.isTrue(yield* first.isCancelled)
    }))

  it.effect("two controllers have nothing to do with each other", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* CancellationController.make, yield* CancellationController.make]
      const checkpoint = yield* other.checkpoint
      yield* one.interrupt
      assert.isFalse(yield* checkpoint.isCancelled)
    }))
})

describe("TurnCancellation.fromAbortSignal", () => {
  it.effect("follows the signal", () =>
    Effect.gen(function*() {
      const controller = new AbortController()
      const cancellation = TurnCancellation.fromAbortSignal(controller.signal)
      assert.isFalse(yield* cancellation.isCancelled)
      const waiting = yield* Effect.fork(cancellation.cancelled)
      yield* Effect.yieldNow()
      controller.abort()
      yield* Fiber.join(waiting)
      assert.isTrue(yield* cancellation.isCancelled)
      yield* cancellation.cancelled
    }))

  it.effect("leaves no listener behind when the wait is interrupted or over", () =>
    Effect.gen(function*() {
      const { signal } = new AbortController()
      const listeners = new Set<unknown>()
      const add = signal.addEventListener.bind(signal)
      const remove = signal.removeEventListener.bind(signal)
      signal.addEventListener = (name: string, listener: () => void) => {
        listeners.add(listener)
        add(name, listener)
      }
      signal.removeEventListener = (name: string, listener: () => void) => {
        listeners.delete(listener)
        remove(name, listener)
      }
      const waiting = yield* Effect.fork(TurnCancellation.fromAbortSignal(signal).cancelled)
      yield* Effect.yieldNow()
      assert.strictEqual(listeners.size, 1)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(listeners.size, 0)
    }))
})

describe("TurnCancellation.never", () => {
  it.effect("never happens", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* TurnCancellation.never.isCancelled)
      const waiting = yield* Effect.fork(TurnCancellation.never.cancelled)
      yield* Effect.yieldNow()
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
    }))
})

describe("a wait that is cancelled", () => {
  const start = Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    const manager = yield* TaskManager
    yield* control.script("tool", ScriptedOutcome.Hang)
    yield* manager.startTask(TaskLaunchRequest.plain({ request: request("a"), taskId: TaskId.make("a") }))
    return { control, manager }
  })

  it.effect("gives None, takes nothing and stops no tool", () =>
    Effect.gen(function*() {
      const { control, manager } = yield* start
      const controller = yield* CancellationController.make
      const cancellation = yield* controller.checkpoint
      const waiting = yield* Effect.fork(manager.waitForTurn(turnRef(), { cancellation }))
      yield* Effect.yieldNow()
      yield* controller.interrupt
      assert.isTrue(Option.isNone(yield* Fiber.join(waiting)))
      assert.strictEqual((yield* manager.handle.get(TaskId.make("a"))).status, "Running")
      yield* control.complete(TaskId.make("a"), "done")
      yield* manager.handle.waitForIdle
      assert.isTrue(Option.isNone(yield* manager.waitForTurn(turnRef(), { cancellation })))
      assert.isTrue(Option.isSome(yield* manager.waitForTurn(turnRef())))
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("that is not cancelled gives what comes", () =>
    Effect.gen(function*() {
      const { control, manager } = yield* start
      const controller = yield* CancellationController.make
      const cancellation = yield* controller.checkpoint
      const waiting = yield* Effect.fork(manager.waitForTurn(turnRef(), { cancellation }))
      yield* Effect.yieldNow()
      yield* control.complete(TaskId.make("a"), "done")
      assert.isTrue(Option.isSome(yield* Fiber.join(waiting)))
      assert.isTrue(Option.isNone(yield* manager.waitForTurn(turnRef(), { cancellation })))
    }).pipe(Effect.provide(TaskManagerTest)))

  it.effect("of several with one update, one gets it and the others wait on", () =>
    Effect.gen(function*() {
      const { control, manager } = yield* start
      yield* manager.startTask(TaskLaunchRequest.plain({ request: request("b"), taskId: TaskId.make("b") }))
      const controller = yield* CancellationController.make
      const cancellation = yield* controller.checkpoint
      const waiting = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.fork(manager.waitForTurn(turnRef(), { cancellation }))
      )
      yield* Effect.yieldNow()
      yield* control.complete(TaskId.make("a"), "done")
      yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow())
      const polled = yield* Effect.forEach(waiting, (fiber) => Fiber.poll(fiber))
      assert.strictEqual(polled.filter(Option.isSome).length, 1)
      yield* control.complete(TaskId.make("b"), "done")
      const updates = yield* Fiber.joinAll(waiting)
      assert.strictEqual(updates.filter(Option.isSome).length, 2)
    }).pipe(Effect.provide(TaskManagerTest)))
})
