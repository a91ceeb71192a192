/** Who counts as running, who waits for that count, and when they are woken. */
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as TaskTable from "../../src/machine/TaskTable.js"
import * as waiting from "../../src/machine/waiting.js"
import { drain, sessionId, turnRef, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

describe("waiting for idle", () => {
  it("wakes when the last counted task settles, after its events and its delivery", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b", { kind: "Background" })]
    world.parkForIdle(world.waiter("idle"))
    assert.deepStrictEqual(world.lines, [])
    world.complete(a)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a"])
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "wake idle"])
    assert.deepStrictEqual(world.peek.loop(), ["b ok: done"])
  })

  it("is not held up by suspended tasks, and is by queued and Cancelling ones", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b")
    world.parkForIdle(world.waiter("idle"))
    world.suspend(a)
    assert.notInclude(world.lines, "wake idle")
    world.step((table, now) => control.cancel(table, id("b"), now))
    assert.deepStrictEqual(world.lines, ["interrupt b#1"])
    world.end(world.table.live.last!.value, { _tag: "Cancelled" })
    assert.include(world.lines, "wake idle")
  })

  it("wakes at once when nothing runs", () => {
    const world = new World()
    world.parkForIdle(world.waiter("idle"))
    assert.deepStrictEqual(world.lines, ["wake idle"])
    world.assertEmpty()
  })

  it("wakes everybody in the order in which they came", () => {
    const world = new World()
    const a = world.start("a")
    for (const name of ["first", "second", "third"]) world.parkForIdle(world.waiter(name))
    world.complete(a)
    assert.deepStrictEqual(world.lines.slice(2), ["wake first", "wake second", "wake third"])
  })

  it("a detach does not wake it", () => {
    const world = new World()
    world.start("a")
    world.parkForIdle(world.waiter("idle"))
    world.step((table, now) => control.detach(table, id("a"), now))
    assert.notInclude(world.lines, "wake idle")
  })
})

describe("waiting for a turn", () => {
  it("wakes for an update", () => {
    const world = new World()
    const [a] = [world.start("a"), world.start("b")]
    world.parkForTurn(world.waiter("turn"))
    world.complete(a)
    assert.include(world.lines, "wake turn")
    assert.strictEqual(world.takeTurn(), "a ok: done")
    world.parkForTurn(world.waiter("turn"))
    assert.deepStrictEqual(world.lines, [])
  })

  it("wakes at once when there is an update or the turn has drained", () => {
    const world = new World()
    world.complete(world.start("a"))
    world.parkForTurn(world.waiter("turn"))
    assert.deepStrictEqual(world.lines, ["wake turn"])
    world.takeTurn()
    world.parkForTurn(world.waiter("turn"))
    assert.deepStrictEqual(world.lines, ["wake turn"])
    world.assertEmpty()
  })

  it("wakes when a detach drains the turn", () => {
    const world = new World()
    world.start("a")
    world.parkForTurn(world.waiter("turn"))
    world.step((table, now) => control.detach(table, id("a"), now))
    assert.include(world.lines, "wake turn")
  })

  it("wakes when an inline task, which sends no update, drains it", () => {
    const world = new World()
    const task = world.start("a", { inlineCaller: { outcome: undefined, wake: () => undefined } })
    world.parkForTurn(world.waiter("turn"))
    world.complete(task)
    assert.include(world.lines, "wake turn")
    world.assertEmpty()
  })

  it("is not woken by other turns", () => {
    const world = new World()
    world.start("a")
    world.parkForTurn(world.waiter("turn"))
    world.complete(world.start("b", { turn: "t2" }))
    world.complete(world.start("c", { session: "other" }))
    world.complete(world.start("d", { kind: "Background" }))
    assert.notInclude(world.lines, "wake turn")
  })

  it("who leaves is not woken", () => {
    const world = new World()
    const a = world.start("a")
    const waiter = world.waiter("turn")
    world.parkForTurn(waiter)
    world.step((table) => waiting.leave(table, waiter))
    assert.isFalse(waiter.isWaiting)
    assert.isUndefined(waiter.node)
    world.complete(a)
    assert.notInclude(world.lines, "wake turn")
  })
})

describe("tasks that wait themselves", () => {
  it("do not hold up waitForIdle or their turn", () => {
    const world = new World()
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.parkForIdle(world.waiter("host"))
    world.parkForTurn(world.waiter("loop"))
    world.parkForTurn(world.waiter("a's tool", [a]), turnRef("t2"))
    assert.deepStrictEqual(world.lines, ["wake loop"])
    world.complete(b)
    // everything the wake-up of the tool counts again comes after the waits were found over
    assert.include(world.lines, "wake a's tool")
    assert.strictEqual(world.table.active, 1)
  })

  it("find idle at once when they are alone, and count again", () => {
    const world = new World()
    const a = world.start("a")
    world.parkForIdle(world.waiter("a's tool", [a]))
    assert.deepStrictEqual(world.lines, ["wake a's tool"])
    assert.strictEqual(a.waits, 0)
    assert.strictEqual(world.table.active, 1)
  })

  it("find idle together, and whoever else waits finds it too", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.parkForIdle(world.waiter("host"))
    world.parkForIdle(world.waiter("a's tool", [a]))
    assert.deepStrictEqual(world.lines, [])
    world.parkForIdle(world.waiter("b's tool", [b]))
    assert.deepStrictEqual(world.lines, ["wake host", "wake a's tool", "wake b's tool"])
    assert.strictEqual(world.table.active, 2)
  })

  it("find their own turn drained", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    const first = world.waiter("a's tool", [a])
    const second = world.waiter("b's tool", [b])
    world.parkForTurn(first)
    assert.deepStrictEqual(world.lines, [])
    assert.isFalse(first.foundDrained)
    world.parkForTurn(second)
    assert.deepStrictEqual(world.lines, ["wake a's tool", "wake b's tool"])
    assert.isTrue(first.foundDrained)
    assert.isTrue(second.foundDrained)
  })

  it("only a task is told that it found its turn drained: for others it must still be so", () => {
    const world = new World()
    const a = world.start("a")
    const loop = world.waiter("loop")
    world.parkForTurn(loop)
    world.parkForTurn(world.waiter("a's tool", [a]))
    assert.deepStrictEqual(world.lines, ["wake loop", "wake a's tool"])
    assert.isFalse(loop.foundDrained)
  })

  it("in the background hold up no turn in the first place", () => {
    const world = new World()
    const a = world.start("a", { kind: "Background" })
    world.start("b")
    world.parkForTurn(world.waiter("a's tool", [a]))
    assert.strictEqual(world.table.active, 1)
    world.complete(world.table.live.last!.value)
    assert.strictEqual(world.table.active, 1)
  })

  it("count again when their wait is left", () => {
    const world = new World()
    const a = world.start("a")
    world.start("b")
    const waiter = world.waiter("a's tool", [a])
    world.parkForIdle(waiter)
    assert.strictEqual(world.table.active, 1)
    world.step((table) => waiting.leave(table, waiter))
    assert.strictEqual(world.table.active, 2)
    world.step((table) => waiting.leave(table, waiter))
    assert.strictEqual(world.table.active, 2)
  })

  it("in two waits at once count again after both", () => {
    const world = new World()
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    world.parkForTurn(world.waiter("one", [a]), turnRef("t2"))
    const other = world.waiter("other", [a])
    world.parkForTurn(other, turnRef("t3"))
    assert.strictEqual(a.waits, 2)
    assert.strictEqual(world.table.active, 2)
    world.complete(b)
    assert.strictEqual(a.waits, 1)
    assert.strictEqual(world.table.active, 1)
    world.step((table) => waiting.leave(table, other))
    assert.strictEqual(world.table.active, 2)
  })

  it("that settle, suspend, detach or resume meanwhile are counted right", () => {
    const world = new World()
    const tasks = ["settles", "suspends", "detaches"].map((name) => world.start(name))
    world.start("blocker", { turn: "t2" })
    const waiters = tasks.map((task) => {
      const waiter = world.waiter(`${task.snapshot.id}'s tool`, [task])
      world.parkForTurn(waiter, turnRef("t2"))
      return waiter
    })
    assert.strictEqual(world.table.active, 1)
    world.complete(tasks[0]!)
    world.suspend(tasks[1]!)
    world.resume(tasks[1]!)
    world.suspend(tasks[1]!)
    world.step((table, now) => control.detach(table, id("detaches"), now))
    assert.strictEqual(world.table.active, 1)
    for (const waiter of waiters) world.step((table) => waiting.leave(table, waiter))
    // only the detached one still runs, beside the blocker
    assert.strictEqual(world.table.active, 2)
    world.resume(tasks[1]!)
    assert.strictEqual(world.table.active, 3)
  })

  it("a resumed task whose old launch still waits counts when that wait is over", () => {
    const world = new World()
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    const waiter = world.waiter("left behind", [a])
    world.parkForTurn(waiter, turnRef("t2"))
    world.suspend(a)
    world.resume(a)
    assert.strictEqual(world.table.active, 1)
    world.step((table) => waiting.leave(table, waiter))
    assert.strictEqual(world.table.active, 2)
  })

  it("that are cancelled while they wait count until they have ended", () => {
    const world = new World()
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    const waiter = world.waiter("a's tool", [a])
    world.parkForTurn(waiter, turnRef("t2"))
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.strictEqual(world.table.active, 1)
    world.step((table) => waiting.leave(table, waiter))
    assert.strictEqual(world.table.active, 2)
    const again = world.waiter("a's finalizer", [a])
    world.parkForTurn(again, turnRef("t2"))
    assert.strictEqual(world.table.active, 1)
    world.step((table) => waiting.leave(table, again))
    world.end(a, { _tag: "Cancelled" })
    assert.strictEqual(world.table.active, 1)
  })

  it("whose launch is over, but not a fiber of it, are counted by their state", () => {
    const world = new World({ concurrency: 2 })
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    world.suspend(a)
    const left = world.waiter("left behind", [a])
    world.parkForTurn(left, turnRef("t2"))
    assert.strictEqual(world.table.active, 1)
    world.start("c", { turn: "t2" })
    world.resume(a)
    assert.strictEqual(a.snapshot.status, "Queued")
    assert.strictEqual(world.table.active, 2)
    world.step((table) => waiting.leave(table, left))
    assert.strictEqual(world.table.active, 3)
    const again = world.waiter("left behind again", [a])
    world.parkForTurn(again, turnRef("t2"))
    assert.strictEqual(world.table.active, 2)
  })

  it("that stay counted do not lose their count, and lend their place all the same", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const session = TaskTable.ensureSession(world.table, sessionId("s"))
    const waiter = { ...world.waiter("a's tool", [a]), staysCounted: true }
    world.step((table, now) => waiting.park(table, waiter, session.waiters, () => false, now))
    assert.strictEqual(a.waits, 0)
    assert.strictEqual(world.table.active, 1)
    assert.strictEqual(a.place, "lent")
    world.step((table) => waiting.leave(table, waiter))
    assert.strictEqual(a.waits, 0)
    assert.strictEqual(world.table.active, 1)
    assert.strictEqual(a.place, "held")
  })
})

describe("watching the set of live tasks", () => {
  const park = (world: World, name = "watcher"): void =>
    world.step((table, now) => waiting.park(table, world.waiter(name), table.changeWaiters, () => false, now))

  it("wakes once for all changes of a step, and not for a step without any", () => {
    const world = new World()
    world.start("a")
    world.start("b")
    park(world)
    world.takeTurn()
    assert.deepStrictEqual(world.lines, [])
    world.step((table, now) => control.beginShutdown(table, now))
    assert.deepStrictEqual(world.lines, ["interrupt a#1", "interrupt b#1", "wake watcher"])
  })

  it("every change of a snapshot is a change", () => {
    const world = new World()
    const changes: Array<() => void> = [
      () => world.start("a"),
      () => world.step((table) => control.configure(table, id("a"), { deliveryMode: "Manual" })),
      () => world.step((table) => control.configure(table, id("a"), { continuePolicy: "RequestContinue" })),
      () => world.step((table, now) => control.detach(table, id("a"), now)),
      () => world.suspend(world.table.live.first!.value),
      () => world.resume(world.table.live.first!.value),
      () => world.step((table, now) => control.cancel(table, id("a"), now)),
      () => world.end(world.table.live.first!.value, { _tag: "Cancelled" })
    ]
    for (const change of changes) {
      park(world)
      change()
      assert.include(world.lines, "wake watcher")
    }
  })
})

describe("shutdown", () => {
  it("cancels everything, then lets go of everybody", () => {
    const world = new World()
    const running = world.start("a")
    world.suspend(world.start("b", { turn: "t2" }))
    const waits = [running].map(() => world.waiter("turn"))
    world.parkForTurn(waits[0]!)
    world.parkForIdle(world.waiter("idle"))
    const session = TaskTable.ensureSession(world.table, sessionId("s"))
    const waiter = world.waiter("loop")
    waiter.node = session.waiters.append(waiter)
    const { cancelled, unsettled } = world.step((table, now) => control.beginShutdown(table, now))
    assert.deepStrictEqual(cancelled.map(({ snapshot }) => snapshot.id), ["a", "b"])
    assert.deepStrictEqual(unsettled, [running])
    world.end(running, { _tag: "Cancelled" })
    assert.isFalse(world.table.closed)
    world.step((table) => control.endShutdown(table))
    assert.isTrue(world.table.closed)
    assert.deepStrictEqual(world.lines, ["wake loop"])
  })

  it("wakes turns, idle and watchers that nothing else woke", () => {
    const world = new World()
    const turn = TaskTable.ensureTurn(TaskTable.ensureSession(world.table, sessionId("s")), turnRef().turnId)
    for (
      const [name, waiters] of [
        ["turn", turn.waiters],
        ["idle", world.table.idleWaiters],
        ["watcher", world.table.changeWaiters]
      ] as const
    ) {
      const waiter = world.waiter(name)
      waiter.node = waiters.append(waiter)
    }
    drain(world.table.consequences.woken)
    const table = world.table
    control.endShutdown(table)
    waiting.wakeWatchers(table)
    for (const wake of drain(table.consequences.woken)) wake()
    assert.deepStrictEqual(world.lines, ["wake turn", "wake idle", "wake watcher"])
  })
})
