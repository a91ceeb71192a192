/** Who counts as running, who waits for that count, and when they are woken. */
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import { ensureSession, ensureTurn } from "../../src/machine/state/Session.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
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
  it("hold up waitForIdle and their turn", () => {
    const world = new World()
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.parkForIdle(world.waiter("host"))
    world.parkForTurn(world.waiter("loop"))
    const waiter = world.waiter("a's tool", a)
    world.parkForTurn(waiter, turnRef("t2"))
    assert.deepStrictEqual(world.lines, [])
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "wake a's tool"])
    assert.isFalse(waiter.foundOver)
    world.complete(a)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "wake loop", "wake host"])
  })

  it("find idle at once when they are alone", () => {
    const world = new World()
    const a = world.start("a")
    world.parkForIdle(world.waiter("host"))
    world.parkForIdle(world.waiter("a's tool", a))
    assert.deepStrictEqual(world.lines, ["wake a's tool"])
    assert.isFalse(a.isStanding)
    assert.strictEqual(world.table.idle.active, 1)
  })

  it("find idle together, and nobody else finds it", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.parkForIdle(world.waiter("host"))
    world.parkForIdle(world.waiter("a's tool", a))
    assert.deepStrictEqual(world.lines, [])
    world.parkForIdle(world.waiter("b's tool", b))
    assert.deepStrictEqual(world.lines, ["wake a's tool", "wake b's tool"])
  })

  it("find their own turn drained, also one that goes to the background meanwhile", () => {
    const world = new World()
    const [a, b, c] = [world.start("a"), world.start("b"), world.start("c", { kind: "Background" })]
    const waiters = [a, b, c].map((task) => world.waiter(`${task.snapshot.id}'s tool`, task))
    world.parkForTurn(waiters[0]!)
    world.parkForTurn(waiters[2]!)
    assert.deepStrictEqual(world.lines, [])
    world.parkForTurn(waiters[1]!)
    // c waits for the two as a host would: neither waits for it
    assert.deepStrictEqual(world.lines, ["wake a's tool", "wake b's tool"])
    assert.deepStrictEqual(waiters.map(({ foundOver }) => foundOver), [true, true, false])
    world.parkForTurn(world.waiter("a's tool again", a))
    world.step((table, now) => control.detach(table, id("b"), now))
    assert.include(world.lines, "wake a's tool again")
  })

  it("in two waits at once go on after either", () => {
    const world = new World()
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    world.parkForTurn(world.waiter("one", a), turnRef("t2"))
    const other = world.waiter("other", a)
    world.parkForTurn(other, turnRef("t3"))
    assert.strictEqual(a.waiting?.size, 2)
    world.complete(b)
    assert.strictEqual(a.waiting?.size, 1)
    world.step((table) => waiting.leave(table, other))
    world.step((table) => waiting.leave(table, other))
    assert.isFalse(a.isStanding)
  })

  it("that settle or suspend are not waited for by what they leave behind", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.start("blocker", { turn: "t2" })
    const [left, other] = [world.waiter("left behind", a), world.waiter("left too", b)]
    world.parkForTurn(left, turnRef("t2"))
    world.parkForTurn(other, turnRef("t2"))
    world.complete(a)
    world.suspend(b)
    assert.deepStrictEqual([...left.tasks, ...other.tasks], [])
    world.resume(b)
    // its next launch does not wait
    assert.isFalse(b.isStanding)
    world.parkForIdle(world.waiter("b's tool", b))
    assert.isTrue(b.isStanding)
    world.complete(world.table.tasks.get(id("blocker")) as TaskRecord)
    assert.include(world.lines, "wake left behind")
    assert.include(world.lines, "wake left too")
    assert.include(world.lines, "wake b's tool")
  })

  it("whose wait is left behind pass it on to the task that started them", () => {
    const world = new World()
    const a = world.start("a", { turn: "t2" })
    const child = world.start("child", { turn: "t2", kind: "Background", parent: a })
    const other = world.start("other")
    world.parkForTurn(world.waiter("child's tool", child))
    world.parkForTurn(world.waiter("other's tool", other), turnRef("t2"))
    assert.isFalse(a.isStanding)
    world.complete(child)
    // now a waits for the turn of the other, which waits for that of a
    assert.include(world.lines, "wake child's tool")
    assert.include(world.lines, "wake other's tool")
  })

  it("do not wait for what they run inline once that goes to the background", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const inlineCaller = { outcome: undefined, wake: () => undefined }
    const child = world.start("child", { turn: "t2", inlineCaller, parent: a })
    const other = world.start("other", { turn: "t3" })
    const waiter = world.waiter("child's tool", child)
    world.parkForTurn(waiter, turnRef("t3"))
    assert.isTrue(a.isStanding)
    assert.deepStrictEqual(waiter.tasks, [child, a])
    assert.strictEqual(a.place, "lent")
    world.step((table, now) => control.detach(table, child.snapshot.id, now))
    assert.isFalse(a.isStanding)
    assert.strictEqual(a.place, "held")
    assert.deepStrictEqual(waiter.tasks, [child])
    world.complete(other)
    assert.notInclude(world.lines, "wake child's tool")
    world.complete(a)
    assert.include(world.lines, "wake child's tool")
  })

  it("that wait for news only are not looked at, and lend their place all the same", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const session = ensureSession(world.table, sessionId("s"))
    const waiter = world.waiter("a's tool", a)
    world.step((table, now) => waiting.park(table, waiter, session.waiters, () => false, now))
    assert.isFalse(a.isStanding)
    assert.strictEqual(a.place, "lent")
    world.step((table) => waiting.leave(table, waiter))
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
    const session = ensureSession(world.table, sessionId("s"))
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
    const turn = ensureTurn(ensureSession(world.table, sessionId("s")), turnRef().turnId)
    for (
      const [name, waiters] of [
        ["turn", turn.waiters],
        ["idle", world.table.idle.waiters],
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
