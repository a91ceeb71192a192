/** The concurrency limit: who runs, who waits, and in which order places are given out, lent and taken back. */
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import type { InlineCaller } from "../../src/machine/state/TaskRecord.js"
import { leave } from "../../src/machine/waiting.js"
import { queueOf, returningOf } from "../support/places.js"
import { turnRef, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

const inlineCaller = (): InlineCaller => ({ outcome: undefined, wake: () => undefined })

describe("the limit", () => {
  it("holds back what is beyond it and lets it in, first come first served", () => {
    const world = new World({ concurrency: 2 })
    const [a, b] = [world.start("a"), world.start("b")]
    const c = world.start("c")
    assert.deepStrictEqual(world.lines, ["Queued c"])
    assert.isUndefined(c.snapshot.startedAt)
    world.start("d", { kind: "Background" })
    assert.deepStrictEqual(queueOf(world.table).map(({ snapshot }) => snapshot.id), ["c", "d"])
    world.now = 2_000
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "Started c", "launch c#1"])
    assert.strictEqual(c.snapshot.startedAt, 2_000)
    world.complete(a)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "Started d", "launch d#1"])
    assert.strictEqual(world.table.places, 2)
  })

  it("a queued task that is cancelled leaves the queue and lets the next one be next", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b")
    world.start("c")
    world.step((table, now) => control.cancel(table, id("b"), now))
    assert.deepStrictEqual(world.lines, ["end b#1", "Cancelled b"])
    world.complete(a)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "Started c", "launch c#1"])
  })

  it("a Cancelling task keeps its place until it has ended", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b")
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.strictEqual(world.status("b"), "Queued Foreground")
    world.end(a, { _tag: "Cancelled" })
    assert.strictEqual(world.status("b"), "Running Foreground")
  })

  it("a suspended task gives its place up and queues again on resume", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b")
    world.suspend(a)
    assert.deepStrictEqual(world.lines, ["end a#1", "AwaitingApproval a", "Started b", "launch b#1"])
    world.now = 5_000
    world.resume(a)
    assert.deepStrictEqual(world.lines, ["Queued a"])
    assert.strictEqual(a.snapshot.launch, 2)
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "Started a", "launch a#2"])
    assert.strictEqual(a.snapshot.startedAt, 5_000)
  })

  it("a cancelled task that was queued on resume had run before", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.suspend(a)
    world.takeTurn()
    world.start("b", { turn: "t2" })
    world.resume(a)
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.strictEqual(world.takeTurn(), "a error: cancelled while running")
  })

  it("a detached task keeps its place in the queue", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b")
    world.step((table, now) => control.detach(table, id("b"), now))
    assert.strictEqual(world.status("b"), "Queued Background")
    world.complete(a)
    assert.strictEqual(world.status("b"), "Running Background")
  })
})

describe("lending", () => {
  it("a waiting task's place goes to the queue, and comes back before it goes on", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    const waiter = world.waiter("a's tool", a)
    world.parkForTurn(waiter, turnRef("t2"))
    assert.deepStrictEqual(world.lines, ["Started b", "launch b#1"])
    assert.strictEqual(a.place, "lent")
    assert.strictEqual(b.place, "held")
    world.complete(b)
    // the place goes to the wait that is over, before the queue
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "wake a's tool"])
    assert.strictEqual(a.place, "held")
    assert.strictEqual(world.status("c"), "Queued Foreground")
    world.complete(a)
    assert.strictEqual(world.status("c"), "Running Foreground")
  })

  it("a wait that is over waits for a place while none is free", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    const c = world.start("c", { turn: "t3" })
    world.parkForTurn(world.waiter("a's tool", a), turnRef("t3"))
    assert.strictEqual(b.place, "held")
    world.step((table, now) => control.cancel(table, id("c"), now))
    // its turn has an update, but b has the only place
    assert.deepStrictEqual(world.lines, ["end c#1", "Cancelled c"])
    assert.strictEqual(returningOf(world.table).length, 1)
    assert.strictEqual(c.snapshot.status, "Cancelled")
    world.start("d", { turn: "t4" })
    assert.strictEqual(world.status("d"), "Queued Foreground")
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "wake a's tool"])
    assert.strictEqual(returningOf(world.table).length, 0)
    assert.strictEqual(world.status("d"), "Queued Foreground")
  })

  it("nobody overtakes a wait that is over", () => {
    const world = new World({ concurrency: 2 })
    const [a, b] = [world.start("a"), world.start("b", { turn: "t2" })]
    const c = world.start("c", { turn: "t3" })
    world.start("e", { turn: "t5" })
    world.parkForTurn(world.waiter("a's tool", a), turnRef("t5"))
    assert.deepStrictEqual(world.lines, ["Started c", "launch c#1"])
    // the wait is over, but c has its place by then
    world.step((table, now) => control.cancel(table, id("e"), now))
    assert.strictEqual(returningOf(world.table).length, 1)
    world.start("d", { turn: "t4" })
    world.suspend(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "AwaitingApproval b", "wake a's tool"])
    world.suspend(c)
    assert.deepStrictEqual(world.lines, ["end c#1", "AwaitingApproval c", "Started d", "launch d#1"])
  })

  it("a waiter that leaves takes its place back at once, over the limit if need be", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    const waiter = world.waiter("a's tool", a)
    world.parkForTurn(waiter, turnRef("t2"))
    world.step((table) => leave(table, waiter))
    assert.deepStrictEqual(world.lines, [])
    assert.strictEqual(a.place, "held")
    assert.strictEqual(world.table.places, 2)
    world.start("c")
    world.complete(b)
    assert.strictEqual(world.status("c"), "Queued Foreground")
    world.complete(a)
    assert.strictEqual(world.status("c"), "Running Foreground")
  })

  it("a waiter that leaves while it waits for its place takes it at once", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    const waiter = world.waiter("a's tool", a)
    world.parkForTurn(waiter, turnRef("t3"))
    world.step((table, now) => control.cancel(table, id("c"), now))
    assert.strictEqual(returningOf(world.table).length, 1)
    world.step((table) => leave(table, waiter))
    assert.strictEqual(returningOf(world.table).length, 0)
    assert.strictEqual(world.table.places, 2)
    world.step((table) => leave(table, waiter))
    assert.strictEqual(world.table.places, 2)
  })

  it("two waits of one task that wait for its place get it together", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    world.start("d", { turn: "t4" })
    world.parkForTurn(world.waiter("first", a), turnRef("t3"))
    world.step((table, now) => control.cancel(table, id("c"), now))
    world.parkForTurn(world.waiter("second", a), turnRef("t4"))
    world.step((table, now) => control.cancel(table, id("d"), now))
    assert.strictEqual(returningOf(world.table).length, 2)
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "wake first", "wake second"])
    assert.strictEqual(world.table.places, 1)
  })

  it("a wait that waits for its place goes on when another one takes the place back", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    world.parkForTurn(world.waiter("first", a), turnRef("t3"))
    world.step((table, now) => control.cancel(table, id("c"), now))
    const second = world.waiter("second", a)
    world.parkForTurn(second, turnRef("t2"))
    assert.strictEqual(returningOf(world.table).length, 1)
    world.step((table) => leave(table, second))
    // it holds the place: nobody would ever give it another
    assert.deepStrictEqual(world.lines, ["wake first"])
    assert.strictEqual(a.place, "held")
    assert.strictEqual(returningOf(world.table).length, 0)
  })

  it("two waits of one task lend one place", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    const c = world.start("c", { turn: "t3" })
    world.parkForTurn(world.waiter("first", a), turnRef("t2"))
    world.parkForTurn(world.waiter("second", a), turnRef("t3"))
    assert.strictEqual(world.table.places, 1)
    assert.strictEqual(world.status("c"), "Queued Foreground")
    world.complete(b)
    // it goes on without its place: what it still waits for may need it
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "Started c", "wake first", "launch c#1"])
    assert.strictEqual(a.place, "lent")
    world.complete(c)
    assert.deepStrictEqual(world.lines, ["end c#1", "Completed c", "wake second"])
    assert.strictEqual(a.place, "held")
    world.complete(a)
    assert.strictEqual(world.table.places, 0)
  })

  it("a wait that is left while another goes on does not take the place back", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    const [first, second] = [world.waiter("first", a), world.waiter("second", a)]
    world.parkForTurn(first, turnRef("t2"))
    world.parkForTurn(second, turnRef("t2"))
    world.step((table) => leave(table, first))
    assert.strictEqual(a.place, "lent")
    world.step((table) => leave(table, second))
    assert.strictEqual(a.place, "held")
  })

  it("a task that ended while its place was lent does not get it back", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    const b = world.start("b", { turn: "t2" })
    world.parkForTurn(world.waiter("left behind", a), turnRef("t2"))
    world.complete(a)
    assert.strictEqual(world.table.places, 1)
    world.complete(b)
    assert.deepStrictEqual(world.lines, ["end b#1", "Completed b", "wake left behind"])
    assert.strictEqual(world.table.places, 0)
  })

  it("a wait that is over and whose task has ended meanwhile is woken without a place", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    world.start("b", { turn: "t2" })
    world.start("c", { turn: "t3" })
    world.parkForTurn(world.waiter("left behind", a), turnRef("t3"))
    world.step((table, now) => control.cancel(table, id("c"), now))
    assert.strictEqual(returningOf(world.table).length, 1)
    world.complete(a)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "wake left behind"])
    assert.strictEqual(world.table.waiting, 0)
  })
})

describe("a task that runs inline in another", () => {
  const nested = (concurrency = 1) => {
    const world = new World({ concurrency })
    const parent = world.start("parent", { inlineCaller: inlineCaller() })
    const child = world.start("child", { inlineCaller: inlineCaller(), parent })
    return { world, parent, child }
  }

  it("uses the place of its parent", () => {
    const { child, world } = nested()
    assert.deepStrictEqual(world.lines, ["Started child", "launch child#1"])
    assert.strictEqual(child.place, "shared")
    assert.strictEqual(world.table.places, 1)
    world.complete(child)
    assert.strictEqual(world.table.places, 1)
  })

  it("takes a place of its own when it is detached, over the limit if need be", () => {
    const { child, parent, world } = nested()
    world.step((table, now) => control.detach(table, id("child"), now))
    assert.strictEqual(child.place, "held")
    assert.isUndefined(child.inlineParent)
    assert.strictEqual(world.table.places, 2)
    world.complete(parent)
    world.complete(child)
    assert.strictEqual(world.table.places, 0)
  })

  it("lends the place of its parent when it waits", () => {
    const { child, parent, world } = nested()
    const other = world.start("other", { turn: "t2" })
    assert.strictEqual(world.status("other"), "Queued Foreground")
    world.parkForTurn(world.waiter("child's tool", child), turnRef("t2"))
    assert.strictEqual(parent.place, "lent")
    assert.strictEqual(child.place, "shared")
    assert.strictEqual(world.status("other"), "Running Foreground")
    world.complete(other)
    assert.include(world.lines, "wake child's tool")
    assert.strictEqual(parent.place, "held")
  })

  it("queues for itself when its parent does not run", () => {
    const world = new World({ concurrency: 1 })
    const parent = world.start("parent", { inlineCaller: inlineCaller() })
    world.complete(parent)
    const blocker = world.start("blocker")
    const child = world.start("child", { inlineCaller: inlineCaller(), parent })
    assert.strictEqual(child.snapshot.status, "Queued")
    world.complete(blocker)
    assert.strictEqual(child.place, "held")
  })

  it("shares nothing when it is started in the background", () => {
    const world = new World({ concurrency: 1 })
    const parent = world.start("parent", { inlineCaller: inlineCaller() })
    const child = world.start("child", { inlineCaller: inlineCaller(), parent, kind: "Background" })
    assert.strictEqual(child.snapshot.status, "Queued")
    assert.isUndefined(child.inlineParent)
  })

  it("shares nothing when nobody waits for it inline", () => {
    const world = new World({ concurrency: 1 })
    const parent = world.start("parent")
    const child = world.start("child", { parent })
    assert.strictEqual(child.snapshot.status, "Queued")
    assert.isUndefined(child.inlineParent)
  })
})
