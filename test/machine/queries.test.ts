/** What the host can look up. */
import { TaskId, type TurnId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as queries from "../../src/machine/queries.js"
import { request, sessionId, toolError, turnRef, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

/** In the order in which they were started: a … h. */
const situation = (): World => {
  const world = new World({ concurrency: 4 })
  const completed = world.start("completed")
  const failed = world.start("failed", { kind: "Background" })
  const cancelled = world.start("cancelled", { session: "other" })
  const suspended = world.start("suspended", { turn: "t2" })
  world.start("queued", { turn: "t2" })
  world.start("queued too", { session: "other" })
  world.suspend(suspended)
  world.step((table, now) => control.cancel(table, id("cancelled"), now))
  world.end(failed, { _tag: "Failed", error: toolError() })
  world.end(cancelled, { _tag: "Cancelled" })
  world.complete(completed)
  world.start("running", { kind: "Background" })
  world.start("cancelling", { session: "other" })
  world.start("queued last", { turn: "t2" })
  world.step((table, now) => control.cancel(table, id("cancelling"), now))
  return world
}

const names = (snapshots: ReadonlyArray<{ readonly id: TaskId }>): Array<string> => snapshots.map(({ id }) => id)

describe("list", () => {
  const settled = ["failed", "cancelled", "completed"]
  const live = ["suspended", "queued", "queued too", "running", "cancelling", "queued last"]

  it("without a filter: the settled ones as they settled, then the live ones, oldest first", () => {
    assert.deepStrictEqual(names(queries.list(situation().table)), [...settled, ...live])
    assert.deepStrictEqual(names(queries.list(situation().table, {})), [...settled, ...live])
  })

  it("filters by status, one or several", () => {
    const { table } = situation()
    assert.deepStrictEqual(names(queries.list(table, { status: "Suspended" })), ["suspended"])
    assert.deepStrictEqual(names(queries.list(table, { status: "Completed" })), ["completed"])
    assert.deepStrictEqual(names(queries.list(table, { status: "Failed" })), ["failed"])
    assert.deepStrictEqual(names(queries.list(table, { status: "Cancelled" })), ["cancelled"])
    assert.deepStrictEqual(names(queries.list(table, { status: ["Cancelled", "Queued"] })), [
      "cancelled",
      "queued last"
    ])
    assert.deepStrictEqual(names(queries.list(table, { status: [] })), [])
  })

  it("filters by kind, session and turn", () => {
    const { table } = situation()
    assert.deepStrictEqual(names(queries.list(table, { kind: "Background" })), ["failed", "running"])
    assert.deepStrictEqual(names(queries.list(table, { sessionId: sessionId("other") })), [
      "cancelled",
      "queued too",
      "cancelling"
    ])
    assert.deepStrictEqual(names(queries.list(table, { turnId: turnRef("t2").turnId })), [
      "suspended",
      "queued",
      "queued last"
    ])
    assert.deepStrictEqual(names(queries.list(table, turnRef())), ["failed", "completed", "running"])
    assert.deepStrictEqual(names(queries.list(table, turnRef("t2", "other"))), [])
  })

  it("finds the tasks of closed sessions and of the open one with the same id, in the order in which they were started", () => {
    const world = new World()
    const close = () => world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    const live = (ref: { readonly turnId?: TurnId } = {}) =>
      names(queries.list(world.table, { sessionId: sessionId("s"), status: ["Running", "Cancelling"], ...ref }))
    const first = world.start("first", { turn: "t2" })
    close()
    world.start("second", { turn: "t1" })
    close()
    world.start("third", { turn: "t2" })
    world.start("elsewhere", { session: "other" })
    world.start("fourth", { turn: "t1" })
    world.start("fifth", { turn: "t2" })
    assert.deepStrictEqual(live(), ["first", "second", "third", "fourth", "fifth"])
    assert.deepStrictEqual(live({ turnId: turnRef("t2").turnId }), ["first", "third", "fifth"])
    world.end(first, { _tag: "Cancelled" })
    assert.deepStrictEqual(live(), ["second", "third", "fourth", "fifth"])
  })

  it("filters by call, settled or live", () => {
    const { table } = situation()
    for (const name of ["completed", "running"]) {
      assert.deepStrictEqual(names(queries.list(table, { callId: request(name).callId })), [name])
    }
    assert.deepStrictEqual(names(queries.list(table, { callId: request("nobody").callId })), [])
  })

  it("combines what it filters by", () => {
    const { table } = situation()
    assert.deepStrictEqual(
      names(queries.list(table, { ...turnRef(), kind: "Background", status: ["Running", "Failed"] })),
      ["failed", "running"]
    )
  })

  it("still finds the tasks of a session that is closing", () => {
    const world = situation()
    world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    assert.deepStrictEqual(names(queries.list(world.table, { ...turnRef(), status: "Cancelling" })), ["running"])
    assert.deepStrictEqual(
      names(queries.list(world.table, { ...turnRef("t2"), status: "Cancelling" })),
      ["queued"]
    )
  })
})

describe("the other lists", () => {
  it("listRunning: Queued, Running, Cancelling", () => {
    assert.deepStrictEqual(names(queries.listRunning(situation().table)), [
      "queued",
      "queued too",
      "running",
      "cancelling",
      "queued last"
    ])
  })

  it("listLive: everything that is not settled", () => {
    assert.deepStrictEqual(names(queries.listLive(situation().table)), [
      "suspended",
      "queued",
      "queued too",
      "running",
      "cancelling",
      "queued last"
    ])
  })

  it("listCompleted: Completed and Failed, as they settled", () => {
    assert.deepStrictEqual(names(queries.listCompleted(situation().table)), ["failed", "completed"])
  })
})

describe("one task", () => {
  it("has a result when it is settled", () => {
    const { table } = situation()
    assert.strictEqual(queries.resultOf(table, id("completed"))?.isError, false)
    assert.strictEqual(queries.resultOf(table, id("cancelled"))?.isError, true)
    assert.isUndefined(queries.resultOf(table, id("running")))
    assert.isUndefined(queries.resultOf(table, id("nobody")))
  })

  it("has a snapshot while it is kept", () => {
    const { table } = situation()
    assert.strictEqual(queries.snapshotOf(table, id("completed"))?.status, "Completed")
    assert.strictEqual(queries.snapshotOf(table, id("running"))?.status, "Running")
    assert.isUndefined(queries.snapshotOf(table, id("nobody")))
  })

  it("a snapshot never changes", () => {
    const world = new World()
    const task = world.start("a")
    const before = task.snapshot
    const copy = { ...before }
    world.suspend(task)
    assert.deepStrictEqual(before, copy)
    assert.notStrictEqual(task.snapshot, before)
  })
})
