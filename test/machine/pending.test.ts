/** Calls that are not accepted yet: who reaches them, and what is left of them. */
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as pending from "../../src/machine/pending.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { TaskId } from "../../src/model/ids.js"
import { request, sessionId, turnRef, World } from "../support/world.js"

const a = TaskId.make("a")

/** A caller that writes down what it is told; interrupted, it starts the task `name`. */
const enter = (world: World, name: string, call: Parameters<typeof request>[1] = {}) => {
  const told: Array<string> = []
  const start = world.step((table) =>
    pending.enter(table, request(name, call), {
      accept: () => {
        told.push("accept")
        return undefined
      },
      refuse: (why) => void told.push(why),
      wake: () => void told.push("wake")
    })
  )
  return { start, told }
}

describe("a call for a new task that is not accepted yet", () => {
  it("is accepted when its turn is interrupted, once, and no other turn is touched", () => {
    const world = new World()
    const a = enter(world, "a")
    const b = enter(world, "b", { turn: "other" })
    const c = enter(world, "c", { session: "other" })
    for (let times = 0; times < 2; times++) {
      world.step((table, now) => control.interruptTurn(table, turnRef(), now))
    }
    assert.deepStrictEqual([a.told, b.told, c.told], [["accept", "wake"], [], []])
  })

  it("is refused when its session is closed, and when the manager shuts down", () => {
    const world = new World()
    const a = enter(world, "a")
    const b = enter(world, "b", { session: "other" })
    world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    assert.deepStrictEqual([a.told, b.told], [["Shutdown", "wake"], []])
    world.step((table, now) => control.beginShutdown(table, now))
    assert.deepStrictEqual([a.told, b.told], [["Shutdown", "wake"], ["Shutdown", "wake"]])
    assert.strictEqual(world.table.sessions.size, 0)
  })

  it("leaves no turn and no session when it is given up, and tells nobody", () => {
    const world = new World()
    const { start, told } = enter(world, "a")
    assert.strictEqual(world.table.sessions.size, 1)
    world.step((table) => pending.giveUp(table, start))
    world.step((table) => pending.giveUp(table, start))
    assert.strictEqual(world.table.sessions.size, 0)
    assert.deepStrictEqual(told, [])
  })

  it("given up late, it does not take a turn of the same name with it", () => {
    const world = new World()
    const first = enter(world, "a")
    world.step((table) => pending.giveUp(table, first.start))
    const second = enter(world, "b")
    world.step((table) => pending.release(table, first.start))
    assert.isDefined(world.table.sessions.get(sessionId("s"))?.turns.get(turnRef().turnId))
    world.step((table) => pending.giveUp(table, second.start))
    assert.strictEqual(world.table.sessions.size, 0)
  })

  it("keeps its turn, which is over for its readers all the same", () => {
    const world = new World()
    enter(world, "a")
    assert.strictEqual(world.takeTurn(), "none")
    assert.strictEqual(world.table.sessions.size, 1)
  })
})

describe("an approved call that is not accepted yet", () => {
  const situation = () => {
    const world = new World()
    const task = world.start("a")
    world.suspend(task)
    const told: Array<string> = []
    world.step(() =>
      pending.enterResume(task, {
        accept: () => assert.fail("an approved call is never accepted by an interrupt"),
        refuse: (why) => void told.push(why),
        wake: () => void told.push("wake")
      })
    )
    return { world, task, told }
  }

  it("is refused once its task does not ask any more", () => {
    const ways: ReadonlyArray<(made: { readonly world: World; readonly task: TaskRecord }) => unknown> = [
      ({ world }) => world.step((table, now) => control.cancel(table, a, now)),
      ({ world }) => world.step((table, now) => control.rejectApproval(table, a, {}, now)),
      ({ world }) => world.step((table, now) => control.interruptTurn(table, turnRef(), now)),
      ({ task, world }) => world.resume(task)
    ]
    for (const way of ways) {
      const made = situation()
      way(made)
      assert.deepStrictEqual(made.told, ["Answered", "wake"])
    }
  })

  it("is refused as after a shutdown when its session is closed, or the manager shuts down", () => {
    for (
      const way of [
        control.beginShutdown,
        (...[table, now]: Parameters<typeof control.beginShutdown>) => control.closeSession(table, sessionId("s"), now)
      ]
    ) {
      const { told, world } = situation()
      world.step(way)
      assert.deepStrictEqual(told, ["Shutdown", "wake"])
    }
  })
})

describe("call ids", () => {
  it("are not remembered by default", () => {
    const world = new World()
    world.start("a")
    assert.isUndefined(pending.earlierCall(world.table, request("a")))
    assert.isUndefined(world.table.sessions.get(sessionId("s"))?.turns.get(turnRef().turnId)?.calls)
  })

  it("stand for the call that is not accepted yet, and then for its task, until the turn is over", () => {
    const world = new World({ duplicateCallIds: "reject" })
    const { start } = enter(world, "a")
    assert.strictEqual(pending.earlierCall(world.table, request("a")), start)
    const second = enter(world, "a")
    assert.strictEqual(pending.earlierCall(world.table, request("a")), start)
    world.step((table) => pending.leave(table, second.start))
    world.step((table) => pending.giveUp(table, start))
    assert.isUndefined(pending.earlierCall(world.table, request("a")))
    const task = world.start("a")
    assert.strictEqual(pending.earlierCall(world.table, request("a")), task)
    world.complete(task)
    assert.strictEqual(pending.earlierCall(world.table, request("a")), task)
    world.takeTurn()
    assert.isUndefined(pending.earlierCall(world.table, request("a")))
  })

  it("let those who wait for the call go on when it ends", () => {
    const world = new World({ duplicateCallIds: "join" })
    const { start } = enter(world, "a")
    let woken = 0
    start.others.append(() => woken++)
    world.step((table) => pending.giveUp(table, start))
    world.step((table) => pending.giveUp(table, start))
    assert.strictEqual(woken, 1)
  })
})
