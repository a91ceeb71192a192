/** Calls with the same tool and the same input: who runs, who joins, who is refused, and what each of them ends with. */
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import { rejectedFor } from "../../src/machine/duplicates.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { request, type StartOptions, toolError, turnRef, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

const same: StartOptions = { input: { path: "a", line: 1 }, duplicates: "join" }
const own = (name: string): StartOptions => ({ ...same, turn: name })

const cancel = (world: World, name: string) => world.step((table, now) => control.cancel(table, id(name), now))
const joinedOf = ({ snapshot }: TaskRecord) => snapshot.joinedTaskId
const liveIn = (world: World) =>
  [...world.table.sessions.values()].flatMap(({ calls }) => [...calls?.values() ?? []].flatMap((same) => [...same]))

describe("a call that joins", () => {
  it("waits without a place, starts nothing, and has the result of the first under its own call id", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a", same)
    const b = world.start("b", { ...same, input: { line: 1, path: "a" } })
    assert.deepStrictEqual(world.lines, ["Queued b"])
    assert.strictEqual(joinedOf(b), a.snapshot.id)
    assert.strictEqual(world.table.waiting, 0)
    world.complete(a, "read")
    assert.deepStrictEqual([world.takeTurn(), world.takeTurn(), world.takeTurn()], ["a ok: read", "b ok: read", "none"])
    assert.strictEqual(world.status("b"), "Completed Foreground")
    assert.strictEqual(b.snapshot.startedAt, undefined)
    assert.strictEqual(joinedOf(b), a.snapshot.id)
    world.assertEmpty()
  })

  it("fails as the first fails, with what that had told, and with its own metadata", () => {
    const world = new World()
    const a = world.start("a", same)
    const b = world.start("b", { ...own("u"), kind: "Background" })
    world.step((table, now) => control.progress(table, a, 1, { message: "halfway" }, now))
    world.end(a, { _tag: "Failed", error: toolError() })
    const told = "no luck\nIts last progress: halfway"
    assert.deepStrictEqual(world.peek.turn(), [`a error: ${told}`])
    assert.deepStrictEqual(world.takeLoop(), [`b error: ${told}`])
    const kept = world.table.tasks.get(b.snapshot.id)
    assert.deepStrictEqual(kept?.isLive === false ? kept.result.metadata : undefined, { for: "b" })
  })

  it("fails with the timeout of the first, and with what it had begun to be stopped for when it came", () => {
    const world = new World()
    const a = world.start("a", { ...same, timeout: 1_000 })
    world.start("b", same)
    world.step((table, now) => control.timeOut(table, a, 1, now))
    world.start("c", same)
    assert.strictEqual(world.status("c"), "Queued Foreground")
    world.end(a, { _tag: "Cancelled" })
    assert.deepStrictEqual(world.peek.turn(), ["a error: timed out", "b error: timed out", "c error: timed out"])
  })

  it("is another call with another tool, input or session, and once the first has settled", () => {
    const world = new World()
    const a = world.start("a", same)
    world.start("b", { ...same, input: { path: "a", line: 2 } })
    world.start("c", { ...same, toolName: "other" })
    world.start("d", { ...same, session: "other" })
    world.start("e", { input: same.input })
    for (const name of ["b", "c", "d", "e"]) assert.strictEqual(world.status(name), "Running Foreground", name)
    world.complete(a)
    world.start("f", same)
    assert.strictEqual(world.status("f"), "Running Foreground")
  })

  it("does not join a call whose route says nothing of it", () => {
    const world = new World()
    world.start("a", { input: same.input })
    world.start("b", same)
    assert.strictEqual(world.status("b"), "Running Foreground")
  })

  it("is cancelled alone, and interrupted with its turn alone", () => {
    const world = new World()
    const a = world.start("a", own("a"))
    world.start("b", own("b"))
    world.start("c", own("c"))
    cancel(world, "b")
    const { cancelled } = world.step((table, now) => control.interruptTurn(table, turnRef("c"), now))
    assert.deepStrictEqual(cancelled.map(({ snapshot }) => snapshot.id), ["c"])
    assert.deepStrictEqual(world.peek.turn(turnRef("b")), ["b error: cancelled before start"])
    assert.deepStrictEqual(world.peek.turn(turnRef("c")), ["c error: cancelled before start"])
    assert.strictEqual(world.status("a"), "Running Foreground")
    world.complete(a)
    assert.strictEqual(world.status("a"), "Completed Foreground")
  })

  it("goes to the background alone, and waits on there", () => {
    const world = new World()
    const a = world.start("a", same)
    world.start("b", { ...own("b"), detachAfter: 500 })
    assert.include(world.lines, "start detach timer b#1")
    world.step((table, now) => control.detach(table, id("b"), now))
    assert.strictEqual(world.status("b"), "Queued Background")
    world.step((table, now) => control.detach(table, id("a"), now))
    world.complete(a)
    assert.deepStrictEqual(world.takeLoop(), ["a ok: done", "b ok: done"])
  })

  it("counts for its turn and for idle until the first has ended", () => {
    const world = new World()
    const a = world.start("a", { ...own("a"), kind: "Background" })
    world.start("b", own("b"))
    assert.strictEqual(world.takeTurn(turnRef("b")), "not ready")
    assert.strictEqual(world.table.idle.active, 2)
    world.complete(a)
    assert.strictEqual(world.takeTurn(turnRef("b")), "b ok: done")
  })
})

describe("when the first is cancelled", () => {
  it("the oldest that is left runs in its place once it has ended, and the others join that", () => {
    const world = new World()
    const a = world.start("a", own("a"))
    const [b, c, d] = ["b", "c", "d"].map((name) => world.start(name, own(name)))
    cancel(world, "a")
    cancel(world, "b")
    assert.strictEqual(world.status("c"), "Queued Foreground")
    world.end(a, { _tag: "Cancelled" })
    assert.deepStrictEqual(world.lines.filter((line) => !line.startsWith("end ")), [
      "Cancelled a",
      "Started c",
      "launch c#1",
      "Queued d"
    ])
    assert.isUndefined(joinedOf(c!))
    assert.strictEqual(joinedOf(d!), c!.snapshot.id)
    assert.deepStrictEqual(liveIn(world), [c])
    world.complete(c!)
    assert.strictEqual(world.status("d"), "Completed Foreground")
    assert.strictEqual(b!.snapshot.status, "Cancelled")
  })

  it("nobody runs who is cancelled in the same step", () => {
    const world = new World({ concurrency: 1 })
    world.start("z")
    for (const name of ["a", "b", "c"]) world.start(name, own(name))
    world.step((table, now) => control.closeSession(table, request("a").sessionId, now))
    assert.isFalse(world.lines.some((line) => line.startsWith("launch")))
    for (const name of ["a", "b", "c"]) assert.strictEqual(world.status(name), "Cancelled Foreground")
  })

  it("who runs in its place stands in line like any other", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a", own("a"))
    world.start("b", own("b"))
    world.start("c")
    cancel(world, "a")
    world.end(a, { _tag: "Cancelled" })
    assert.strictEqual(world.status("c"), "Running Foreground")
    assert.strictEqual(world.status("b"), "Queued Foreground")
    assert.deepStrictEqual(world.events.flatMap(({ _tag, taskId }) => taskId === "b" ? [_tag] : []), [
      "Queued",
      "Queued"
    ])
  })
})

describe("when the first asks for approval", () => {
  it("each goes on and asks for itself, and the turn drains", () => {
    const world = new World()
    const a = world.start("a", same)
    const b = world.start("b", same)
    world.suspend(a)
    assert.strictEqual(world.status("b"), "Running Foreground")
    world.suspend(b)
    assert.deepStrictEqual([world.takeTurn(), world.takeTurn(), world.takeTurn()], [
      "a asks approval",
      "b asks approval",
      "none"
    ])
    world.start("c", same)
    assert.strictEqual(world.status("c"), "Running Foreground")
    world.resume(b)
    world.complete(b)
    assert.strictEqual(world.status("a"), "Suspended Foreground")
    world.resume(a)
    const d = world.start("d", same)
    assert.strictEqual(joinedOf(d), a.snapshot.id)
    world.complete(a)
    assert.strictEqual(world.status("d"), "Completed Foreground")
    assert.strictEqual(world.status("c"), "Running Foreground")
    const e = world.start("e", same)
    assert.strictEqual(joinedOf(e), id("c"))
  })
})

describe("no wait is without end", () => {
  it("a call does not join one that it runs under", () => {
    const world = new World()
    const a = world.start("a", own("a"))
    const b = world.start("b", { turn: "b", parent: a })
    world.start("c", { ...own("c"), parent: b })
    assert.strictEqual(world.status("c"), "Running Foreground")
  })

  it("the wait of the first for a turn is over with what has joined it", () => {
    const world = new World()
    const a = world.start("a", same)
    world.start("b", same)
    const wait = world.waiter("a waits", a)
    world.parkForTurn(wait)
    assert.deepStrictEqual(world.lines, ["wake a waits"])
    assert.isTrue(wait.foundOver)
    assert.strictEqual(world.status("b"), "Queued Foreground")
    world.complete(a)
    assert.strictEqual(world.status("b"), "Completed Foreground")
  })

  it("a call goes on alone where the first waits for its turn already, and for others in it", () => {
    const world = new World()
    const a = world.start("a", same)
    world.start("c")
    world.parkForTurn(world.waiter("a waits", a))
    world.start("b", same)
    assert.deepStrictEqual(world.lines, ["Queued b", "Started b", "launch b#1"])
  })

  it("of two tools that wait for what they have started, and that has joined the other one, none waits", () => {
    const world = new World()
    const a = world.start("a", { ...own("a"), toolName: "one" })
    const b = world.start("b", { ...own("b"), toolName: "two" })
    world.start("c", { ...own("in a"), toolName: "two", parent: a })
    world.start("d", { ...own("in b"), toolName: "one", parent: b })
    world.parkForTurn(world.waiter("a waits", a), turnRef("in a"))
    world.parkForTurn(world.waiter("b waits", b), turnRef("in b"))
    // their waits are for what they have started: what had joined goes on alone
    const running = ["c", "d"].filter((name) => world.status(name) === "Running Foreground")
    assert.isNotEmpty(running)
  })
})

describe("a call that is rejected", () => {
  const rejected: StartOptions = { ...same, duplicates: "reject" }
  it("is so while the first is live in any state, and not for an interrupted turn", () => {
    const world = new World()
    const check = (call: StartOptions = {}) =>
      rejectedFor(world.table, request("b", { ...rejected, ...call }), "reject")?.snapshot.id
    assert.isUndefined(check())
    const a = world.start("a", rejected)
    assert.strictEqual(check({ input: { line: 1, path: "a" } }), a.snapshot.id)
    assert.isUndefined(check({ session: "other" }))
    assert.isUndefined(rejectedFor(world.table, request("b", rejected), "join"))
    world.suspend(a)
    assert.strictEqual(check(), a.snapshot.id)
    world.start("c", { turn: "u" })
    world.step((table, now) => control.interruptTurn(table, turnRef("u"), now))
    assert.isUndefined(check({ turn: "u" }))
    world.resume(a)
    cancel(world, "a")
    assert.strictEqual(check(), a.snapshot.id)
    world.end(a, { _tag: "Cancelled" })
    assert.isUndefined(check())
  })
})
