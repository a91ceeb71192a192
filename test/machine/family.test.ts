/** Tasks that tools of other tasks have started: how far a cancel reaches. */
import { TaskId, TaskLaunchRequest } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import { type Starter, startPlain } from "../../src/machine/start.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import * as TaskTable from "../../src/machine/state/TaskTable.js"
import { request, routeOf, turnRef, World } from "../support/world.js"

describe("a cancel", () => {
  it("reaches a family that is deeper than the stack", () => {
    const table = TaskTable.make()
    const { makeRuntime } = new World()
    let parent: TaskRecord | undefined = undefined
    const deep = 20_000
    for (let depth = 0; depth < deep; depth++) {
      const name = `t${depth}`
      const launch = TaskLaunchRequest.plain({ request: request(name), taskId: TaskId.make(name) })
      const starter: Starter = { inlineCaller: undefined, parent }
      parent = startPlain(table, launch, routeOf(), starter, makeRuntime(name), 1)
    }
    control.cancel(table, TaskId.make("t0"), 1)
    assert.strictEqual([...table.live].filter(({ snapshot }) => snapshot.status === "Cancelling").length, deep)
  })

  it("of a turn waits for the children in other turns, lists them, and says why", () => {
    const world = new World()
    const a = world.start("a", { turn: "t" })
    const b = world.start("b", { turn: "t2", parent: a })
    const c = world.start("c", { turn: "t", kind: "Background", parent: b, children: "keep" })
    const interruption = world.step((table, now) => control.interruptTurn(table, turnRef("t"), now))
    assert.deepStrictEqual(interruption.cancelled, [a, b])
    assert.deepStrictEqual(interruption.unsettled, [a, b])
    assert.deepStrictEqual(interruption.kept, [c])
    assert.deepStrictEqual([a.cancelReason, b.cancelReason], ["TurnInterrupted", "Cancelled"])
  })

  it("of a turn does not keep what it cancels as a child", () => {
    const world = new World()
    const a = world.start("a", { turn: "t", children: "cancel" })
    const b = world.start("b", { turn: "t", kind: "Background", parent: a })
    const interruption = world.step((table, now) => control.interruptTurn(table, turnRef("t"), now))
    assert.deepStrictEqual(interruption.cancelled, [a, b])
    assert.deepStrictEqual(interruption.kept, [])
  })
})
