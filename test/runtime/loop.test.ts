/** Waiting, taking and consuming, and that nothing of it stays behind in the table. */
import { it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Option, Scheduler, Scope } from "effect"
import {
  CancellationController,
  CurrentTask,
  TaskId,
  TaskLaunchRequest,
  type TaskResolution,
  ToolExecutor,
  TurnCancellation,
  type TurnTaskUpdate
} from "effect-task-manager"
import { assert, describe } from "vitest"
import * as delivery from "../../src/machine/delivery.js"
import { makeEngine, makeManager } from "../../src/runtime/make.js"
import { startConcurrently } from "../../src/runtime/starting/startTask.js"
import { waitUntil } from "../../src/runtime/waiting/parking.js"
import { waitUntilSettled } from "../../src/runtime/waiting/untilSettled.js"
import { type Call, checkTable, request, sessionId, turnRef } from "../support/world.js"

const settle = Effect.forEach(Array.from({ length: 10 }), () => Effect.yieldNow(), { discard: true })

/** A manager whose table can be looked into, and hanging tools that end when told to. */
const setup = Effect.gen(function*() {
  const engine = yield* makeEngine
  const manager = makeManager(engine, startConcurrently)
  const gates = new Map<string, Deferred.Deferred<string>>()
  const tools = ToolExecutor.fromHandlers({
    tool: () =>
      Effect.gen(function*() {
        const { taskId } = yield* CurrentTask
        const gate = yield* Deferred.make<string>()
        gates.set(taskId, gate)
        return yield* Deferred.await(gate)
      })
  })
  const start = (id: string, call: Call & { readonly background?: boolean } = {}) =>
    Effect.gen(function*() {
      const taskId = TaskId.make(id)
      yield* manager.startTask(TaskLaunchRequest.plain({ request: request(id, call), taskId }))
      if (call.background !== true) return
      yield* manager.handle.detach(taskId)
      yield* manager.waitForTurn(turnRef(call.turn, call.session))
    }).pipe(Effect.provide(tools))
  const complete = (id: string) =>
    Effect.gen(function*() {
      const gate = gates.get(id)
      if (gate !== undefined) yield* Deferred.succeed(gate, "done")
      yield* settle
      yield* Effect.sync(() => checkTable(engine.state.table))
    })
  return { engine, ...manager, table: engine.state.table, start, complete }
})

const ids = (resolutions: ReadonlyArray<TaskResolution>): Array<string> =>
  resolutions.map((resolution) => resolution._tag === "Item" ? resolution.taskId : resolution.approval.taskId)

const idOf = (update: TurnTaskUpdate): string =>
  update._tag === "Detached" ? `${update.snapshot.id} detached` : ids([update.resolution]).join()

/** Makes the first fiber that it sees yield before its nth operation. */
const yieldsOnceBefore = (operation: number): Scheduler.Scheduler => {
  let hasYielded = false
  return Scheduler.make(
    (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    ({ currentOpCount }) => {
      if (hasYielded || currentOpCount !== operation) return false
      hasYielded = true
      return 0
    }
  )
}

describe("waitForTurn", () => {
  it.scoped("of two readers gives each update to one, wherever one of them is made to yield", () =>
    Effect.gen(function*() {
      for (let operation = 1; operation < 40; operation++) {
        const { complete, start, waitForTurn } = yield* setup
        yield* start("a")
        yield* start("b")
        yield* complete("a")
        // both find "a" there; the one that yields between its look and its take finds it taken, and waits
        const first = yield* Effect.fork(Effect.withScheduler(waitForTurn(turnRef()), yieldsOnceBefore(operation)))
        const second = yield* Effect.fork(waitForTurn(turnRef()))
        yield* settle
        yield* complete("b")
        const taken = yield* Fiber.joinAll([first, second])
        assert.sameMembers(taken.map((update) => Option.getOrElse(Option.map(update, idOf), () => "none")), ["a", "b"])
      }
    }))

  it.scoped("waits, wakes and takes, and forgets the turn when it has drained", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForTurn } = yield* setup
      yield* start("a")
      const waiting = yield* Effect.fork(waitForTurn(turnRef()))
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* complete("a")
      assert.deepStrictEqual(Option.map(yield* Fiber.join(waiting), idOf), Option.some("a"))
      assert.strictEqual(table.sessions.size, 0)
      assert.isTrue(Option.isNone(yield* waitForTurn(turnRef())))
      assert.strictEqual(table.sessions.size, 0)
    }))

  it.scoped("several callers share the updates, the others are told that it has drained", () =>
    Effect.gen(function*() {
      const { complete, start, waitForTurn } = yield* setup
      yield* start("a")
      yield* start("b")
      const waiting = yield* Effect.forEach([1, 2, 3, 4], () => Effect.fork(waitForTurn(turnRef())))
      yield* settle
      yield* complete("a")
      const some = yield* Effect.forEach(waiting, (fiber) => Fiber.poll(fiber))
      assert.strictEqual(some.filter(Option.isSome).length, 1)
      yield* complete("b")
      const updates = yield* Fiber.joinAll(waiting)
      assert.sameMembers(updates.flatMap(Option.toArray).map(idOf), ["a", "b"])
    }))

  it.scoped("a caller that is interrupted leaves nothing behind", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForTurn } = yield* setup
      yield* start("a")
      const waiting = yield* Effect.fork(waitForTurn(turnRef()))
      yield* settle
      const turn = table.sessions.get(turnRef().sessionId)?.turns.get(turnRef().turnId)
      assert.strictEqual(turn?.waiters.size, 1)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(turn?.waiters.size, 0)
      yield* complete("a")
      assert.deepStrictEqual(Option.map(yield* waitForTurn(turnRef()), idOf), Option.some("a"))
    }))

  it.scoped("a defect of a cancellation is a defect of the wait", () =>
    Effect.gen(function*() {
      const { start, waitForTurn } = yield* setup
      yield* start("a")
      const broken: TurnCancellation = { isCancelled: Effect.succeed(false), cancelled: Effect.die("broken") }
      const exit = yield* Effect.exit(waitForTurn(turnRef(), { cancellation: broken }))
      assert.isTrue(Exit.isFailure(exit) && Option.getOrNull(Cause.dieOption(exit.cause)) === "broken")
    }))

  it.scoped("a cancelled wait leaves nothing behind", () =>
    Effect.gen(function*() {
      const { start, table, waitForTurn } = yield* setup
      yield* start("a")
      const controller = yield* CancellationController.make
      const cancellation = yield* controller.checkpoint
      const waiting = yield* Effect.fork(waitForTurn(turnRef(), { cancellation }))
      yield* settle
      const turn = table.sessions.get(turnRef().sessionId)?.turns.get(turnRef().turnId)
      assert.strictEqual(turn?.waiters.size, 1)
      yield* controller.interrupt
      assert.isTrue(Option.isNone(yield* Fiber.join(waiting)))
      assert.strictEqual(turn?.waiters.size, 0)
    }))

  it.scoped("with a cancellation that never comes is as without one", () =>
    Effect.gen(function*() {
      const { complete, start, waitForTurn } = yield* setup
      yield* start("a")
      const waiting = yield* Effect.fork(waitForTurn(turnRef(), { cancellation: TurnCancellation.never }))
      yield* settle
      yield* complete("a")
      assert.deepStrictEqual(Option.map(yield* Fiber.join(waiting), idOf), Option.some("a"))
    }))

  it.scoped("with a cancellation, interrupting the caller loses nothing", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForTurn } = yield* setup
      yield* start("a")
      const waiting = yield* Effect.fork(waitForTurn(turnRef(), { cancellation: TurnCancellation.never }))
      yield* settle
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(table.sessions.get(turnRef().sessionId)?.turns.get(turnRef().turnId)?.waiters.size, 0)
      yield* complete("a")
      assert.deepStrictEqual(Option.map(yield* waitForTurn(turnRef()), idOf), Option.some("a"))
    }))
})

describe("consumeTurnUpdate", () => {
  it.scoped("gives the update to use and answers with what it gives", () =>
    Effect.gen(function*() {
      const { complete, consumeTurnUpdate, start, table } = yield* setup
      yield* start("a")
      const waiting = yield* Effect.fork(
        consumeTurnUpdate(turnRef(), (update) => Effect.as(Effect.yieldNow(), `used ${idOf(update)}`))
      )
      yield* settle
      yield* complete("a")
      assert.deepStrictEqual(yield* Fiber.join(waiting), Option.some("used a"))
      assert.deepStrictEqual(yield* consumeTurnUpdate(turnRef(), () => Effect.die("called")), Option.none())
      assert.strictEqual(table.sessions.size, 0)
    }))

  for (
    const [what, use] of [
      ["fails", Effect.fail("broken")],
      ["dies", Effect.die("broken")],
      ["is interrupted", Effect.interrupt]
    ] as const
  ) {
    it.scoped(`puts the update back in front when use ${what}`, () =>
      Effect.gen(function*() {
        const { complete, consumeTurnUpdate, start, table, waitForTurn } = yield* setup
        yield* start("a")
        yield* start("b")
        yield* complete("a")
        const exit = yield* Effect.exit(
          consumeTurnUpdate(turnRef(), () => Effect.zipRight(complete("b"), use))
        )
        assert.isTrue(Exit.isFailure(exit))
        checkTable(table)
        assert.deepStrictEqual(Option.map(yield* waitForTurn(turnRef()), idOf), Option.some("a"))
        assert.deepStrictEqual(Option.map(yield* waitForTurn(turnRef()), idOf), Option.some("b"))
        assert.strictEqual(table.sessions.size, 0)
      }))
  }

  it.scoped("puts back when use throws, and when its caller is interrupted in it", () =>
    Effect.gen(function*() {
      const { complete, consumeTurnUpdate, start, table } = yield* setup
      yield* start("a")
      yield* complete("a")
      yield* Effect.exit(consumeTurnUpdate(turnRef(), (): Effect.Effect<void> => {
        throw new Error("broken")
      }))
      const hanging = yield* Effect.fork(consumeTurnUpdate(turnRef(), () => Effect.never))
      yield* settle
      assert.isTrue(table.sessions.get(turnRef().sessionId)?.turns.size === 0)
      yield* Fiber.interrupt(hanging)
      checkTable(table)
      assert.deepStrictEqual(
        yield* consumeTurnUpdate(turnRef(), (update) => Effect.succeed(idOf(update))),
        Option.some("a")
      )
    }))

  it.scoped("a caller that is interrupted while it waits leaves nothing behind", () =>
    Effect.gen(function*() {
      const { consumeTurnUpdate, start, table } = yield* setup
      yield* start("a")
      const waiting = yield* Effect.fork(consumeTurnUpdate(turnRef(), () => Effect.void))
      yield* settle
      yield* Fiber.interrupt(waiting)
      const session = table.sessions.get(turnRef().sessionId)
      assert.strictEqual(session?.consumers, 0)
      assert.strictEqual(session?.turns.get(turnRef().turnId)?.waiters.size, 0)
    }))
})

describe("the loop queue", () => {
  it.scoped("is taken whole, and by a consumer that succeeds for good", () =>
    Effect.gen(function*() {
      const { complete, consumePendingLoopUpdates, start, table, takePendingLoopUpdates } = yield* setup
      for (const id of ["a", "b", "c"]) yield* start(id, { background: true })
      for (const id of ["b", "a"]) yield* complete(id)
      const taken = yield* takePendingLoopUpdates(sessionId("s"))
      assert.deepStrictEqual(ids(taken.resolutions), ["b", "a"])
      yield* complete("c")
      const used = yield* consumePendingLoopUpdates(
        sessionId("s"),
        ({ resolutions }) => Effect.succeed(ids(resolutions))
      )
      assert.deepStrictEqual(used, ["c"])
      assert.deepStrictEqual((yield* takePendingLoopUpdates(sessionId("s"))).resolutions, [])
      assert.strictEqual(table.sessions.size, 0)
    }))

  for (
    const [what, use] of [
      ["fails", Effect.fail("broken")],
      ["dies", Effect.die("broken")],
      ["is interrupted", Effect.interrupt]
    ] as const
  ) {
    it.scoped(`is put back in front, in order, when use ${what}`, () =>
      Effect.gen(function*() {
        const { complete, consumePendingLoopUpdates, start, table, takePendingLoopUpdates } = yield* setup
        for (const id of ["a", "b", "c"]) yield* start(id, { background: true })
        for (const id of ["a", "b"]) yield* complete(id)
        yield* Effect.exit(
          consumePendingLoopUpdates(sessionId("s"), () => Effect.zipRight(complete("c"), use))
        )
        checkTable(table)
        const taken = yield* takePendingLoopUpdates(sessionId("s"))
        assert.deepStrictEqual(ids(taken.resolutions), ["a", "b", "c"])
        assert.strictEqual(table.sessions.size, 0)
      }))
  }

  it.scoped("an empty batch is given too, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { consumePendingLoopUpdates, table } = yield* setup
      const given = yield* consumePendingLoopUpdates(sessionId("s"), ({ resolutions }) => Effect.succeed(resolutions))
      assert.deepStrictEqual(given, [])
      yield* Effect.exit(consumePendingLoopUpdates(sessionId("s"), () => Effect.fail("broken")))
      assert.strictEqual(table.sessions.size, 0)
    }))
})

describe("waitForLoopUpdate", () => {
  it.scoped("returns when something is pending, and takes nothing", () =>
    Effect.gen(function*() {
      const { complete, start, takePendingLoopUpdates, waitForLoopUpdate } = yield* setup
      yield* start("a", { background: true })
      const waiting = yield* Effect.fork(waitForLoopUpdate(sessionId("s")))
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* complete("a")
      yield* Fiber.join(waiting)
      yield* waitForLoopUpdate(sessionId("s"))
      assert.deepStrictEqual(ids((yield* takePendingLoopUpdates(sessionId("s"))).resolutions), ["a"])
    }))

  it.scoped("is not woken by another session, and leaves nothing behind when interrupted", () =>
    Effect.gen(function*() {
      const { complete, start, table, waitForLoopUpdate } = yield* setup
      yield* start("a", { background: true, session: "other" })
      const waiting = yield* Effect.fork(waitForLoopUpdate(sessionId("s")))
      yield* settle
      yield* complete("a")
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      assert.isTrue(table.sessions.has(sessionId("s")))
      yield* Fiber.interrupt(waiting)
      assert.isFalse(table.sessions.has(sessionId("s")))
    }))

  it.effect("returns when the manager is shut down", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { table, waitForLoopUpdate } = yield* Scope.extend(setup, scope)
      const waiting = yield* Effect.fork(waitForLoopUpdate(sessionId("s")))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(waiting)
      yield* waitForLoopUpdate(sessionId("s"))
      assert.isTrue(table.closed)
    }))

  it.scoped("a tool in it still runs: neither its turn nor idle is over", () =>
    Effect.gen(function*() {
      const { handle, startTask, waitForLoopUpdate, waitForTurn } = yield* setup
      yield* startTask(TaskLaunchRequest.plain({ request: request("a") })).pipe(
        Effect.provide(ToolExecutor.fromHandlers({
          tool: () => Effect.as(waitForLoopUpdate(sessionId("sub")), "done")
        }))
      )
      const turn = yield* Effect.fork(waitForTurn(turnRef()))
      const idle = yield* Effect.fork(handle.waitForIdle)
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(turn)))
      assert.isTrue(Option.isNone(yield* Fiber.poll(idle)))
    }))
})

describe("parking", () => {
  it.scoped("a turn that was only made for a waiter which is ready at once is forgotten", () =>
    Effect.gen(function*() {
      const { engine, table } = yield* setup
      let looks = 0
      yield* waitUntil(engine, {
        // not yet when the fiber looks, but by the time it parks
        isReady: () => ++looks > 1,
        parksAt: () => table.changeWaiters,
        onLeave: () => {
          looks += 100
        }
      })
      assert.strictEqual(looks, 102)
      assert.isTrue(table.changeWaiters.isEmpty)
    }))

  it.scoped("waitUntilSettled waits for all of them, those aside that are settled", () =>
    Effect.gen(function*() {
      const { complete, engine, start, table } = yield* setup
      for (const id of ["a", "c", "d"]) yield* start(id)
      const tasks = [...table.live]
      yield* complete("a")
      const waiting = yield* Effect.fork(waitUntilSettled(engine, tasks, undefined))
      yield* settle
      yield* complete("c")
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* complete("d")
      yield* Fiber.join(waiting)
      yield* waitUntilSettled(engine, [], undefined)
      yield* waitUntilSettled(engine, tasks, undefined)
    }))
})

it.scoped("waitForIdle: a caller that is interrupted leaves nothing behind", () =>
  Effect.gen(function*() {
    const { complete, handle, start, table } = yield* setup
    yield* start("a")
    const waiting = yield* Effect.fork(handle.waitForIdle)
    yield* settle
    assert.strictEqual(table.idle.waiters.size, 1)
    yield* Fiber.interrupt(waiting)
    assert.strictEqual(table.idle.waiters.size, 0)
    yield* complete("a")
    yield* handle.waitForIdle
  }))

describe("steps", () => {
  it.scoped("whoever sees an event can already see its effect", () =>
    Effect.gen(function*() {
      const { complete, handle, start, table } = yield* setup
      const events = yield* handle.subscribe
      const seen: Array<string> = []
      yield* Effect.fork(Effect.forever(Effect.map(events.take, (event) => {
        if (event.taskId === undefined) return
        const task = table.tasks.get(event.taskId)
        seen.push(`${event._tag} ${task?.snapshot.status} ${delivery.isTurnReady(table, turnRef())}`)
      })))
      yield* settle
      yield* start("a")
      yield* complete("a")
      assert.deepStrictEqual(seen, ["Started Running false", "Completed Completed true"])
    }))

  it.scoped("a transition that throws takes the manager with it no further than its caller", () =>
    Effect.gen(function*() {
      const { complete, engine, handle, start } = yield* setup
      const exit = yield* Effect.exit(engine.state.modify(() => {
        throw new Error("broken")
      }))
      assert.isTrue(Exit.isFailure(exit))
      yield* start("a")
      yield* complete("a")
      assert.strictEqual((yield* handle.get(TaskId.make("a"))).status, "Completed")
    }))

  it.scoped("tools that start tools in their first steps are launched one after the other", () =>
    Effect.gen(function*() {
      const { handle, startTask } = yield* setup
      const order: Array<string> = []
      const tools: ToolExecutor["Type"] = {
        specs: Effect.succeed([]),
        execute: ({ callId, input }) =>
          Effect.gen(function*() {
            const depth = Number(input)
            order.push(`begin ${depth}`)
            if (depth < 20) {
              yield* Effect.orDie(
                startTask(TaskLaunchRequest.plain({ request: request(`d${depth + 1}`, { input: depth + 1 }) }))
              ).pipe(Effect.provideService(ToolExecutor, tools))
            }
            order.push(`end ${depth}`)
            return {
              result: {
                _tag: "ToolResult",
                callId,
                output: { _tag: "Text", text: "done" },
                isError: false,
                metadata: {}
              },
              metadata: {}
            }
          })
      }
      yield* startTask(TaskLaunchRequest.plain({ request: request("d0", { input: 0 }) })).pipe(
        Effect.provideService(ToolExecutor, tools)
      )
      yield* handle.waitForIdle
      // each is begun once the one before has taken its first steps, not inside of them
      assert.deepStrictEqual(order.slice(0, 4), ["begin 0", "end 0", "begin 1", "end 1"])
      assert.lengthOf(order, 42)
      assert.lengthOf(yield* handle.listCompleted, 21)
    }))
})
