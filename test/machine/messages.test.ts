/** What is said to a task: where it waits, who reads it, and what becomes of it when the task ends. */
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as messages from "../../src/machine/messages.js"
import type { Message } from "../../src/machine/state/Inbox.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { routeOf, World } from "../support/world.js"

const a = TaskId.make("a")

const send = (world: World, text: string) => {
  const outcome = world.step((table) => messages.send(table, a, text))
  return outcome === true ? "sent" : outcome._tag
}

/** What a reader takes and is done with at once. */
const read = (world: World, task: TaskRecord, launch = 1) =>
  world.step(() => {
    const taken = messages.takeMessage(task, launch)
    if (typeof taken === "string") return taken
    messages.messageRead(task, taken)
    return `read ${taken.text}`
  })

const take = (world: World, task: TaskRecord): Message => {
  const taken = world.step(() => messages.takeMessage(task, 1))
  return typeof taken === "string" ? assert.fail(taken) : taken
}

/** A task that listens, and who is woken when it may read. */
const listening = (limits = {}) => {
  const world = new World(limits)
  const task = world.start("a", { kind: "Background" })
  assert.strictEqual(read(world, task), "NotReady")
  const wait = () => task.inbox?.readers.append(() => world.lines.push("a reader is woken"))
  return { task, wait, world }
}

describe("messages", () => {
  it("costs nothing until the tool asks", () => {
    const world = new World()
    const task = world.start("a")
    assert.strictEqual(send(world, "hello"), "NotListening")
    assert.isUndefined(task.inbox)
  })

  it("wait in their order, and wake whoever waits for them", () => {
    const { task, wait, world } = listening()
    wait()
    assert.strictEqual(send(world, "one"), "sent")
    assert.deepStrictEqual(world.lines, ["a reader is woken"])
    assert.strictEqual(send(world, "two"), "sent")
    assert.deepStrictEqual(world.lines, [])
    assert.deepStrictEqual([1, 2, 3].map(() => read(world, task)), ["read one", "read two", "NotReady"])
  })

  it("one that is given back keeps its place, and wakes", () => {
    const { task, wait, world } = listening()
    for (const text of ["one", "two", "three"]) send(world, text)
    const one = take(world, task)
    const two = take(world, task)
    wait()
    world.step((table) => messages.putBackMessage(table, task, two))
    assert.deepStrictEqual(world.lines, ["a reader is woken"])
    world.step((table) => messages.putBackMessage(table, task, one))
    assert.deepStrictEqual([1, 2, 3].map(() => read(world, task)), ["read one", "read two", "read three"])
  })

  it("are bounded in number and in bytes; what is in the hand of a reader counts", () => {
    const { task, world } = listening({ messages: 3, messageBytes: 10 })
    assert.strictEqual(send(world, "12345678901"), "Full")
    assert.strictEqual(send(world, "\u20ac\u20ac\u20ac"), "sent")
    assert.strictEqual(send(world, "12"), "Full")
    const taken = take(world, task)
    assert.strictEqual(send(world, "12"), "Full")
    world.step(() => messages.messageRead(task, taken))
    for (const text of ["1", "2", "3"]) assert.strictEqual(send(world, text), "sent")
    assert.strictEqual(send(world, ""), "Full")
    assert.strictEqual(read(world, task), "read 1")
    assert.strictEqual(send(world, ""), "sent")
  })

  it("wait for the next launch when the tool asks for approval", () => {
    const { task, wait, world } = listening()
    send(world, "one")
    wait()
    world.suspend(task)
    assert.include(world.lines, "a reader is woken")
    assert.strictEqual(read(world, task), "Over")
    assert.strictEqual(send(world, "two"), "sent")
    world.resume(task, routeOf({ kind: "Background" }))
    assert.strictEqual(read(world, task), "Over", "what the first launch left behind reads nothing")
    assert.deepStrictEqual([1, 2, 3].map(() => read(world, task, 2)), ["read one", "read two", "NotReady"])
  })

  it("end when the task is being stopped, and are dropped when it settles", () => {
    const { task, wait, world } = listening()
    send(world, "one")
    const taken = take(world, task)
    send(world, "two")
    wait()
    world.step((table, now) => control.cancel(table, a, now))
    assert.include(world.lines, "a reader is woken")
    assert.strictEqual(read(world, task), "Over")
    assert.strictEqual(send(world, "three"), "WrongStatus")
    world.end(task, { _tag: "Cancelled" })
    assert.isUndefined(task.inbox)
    world.step((table) => messages.putBackMessage(table, task, taken))
    world.step(() => messages.messageRead(task, taken))
    assert.isUndefined(task.inbox)
    assert.strictEqual(read(world, task), "Over")
  })

  it("end for whoever waits when the tool ends by itself", () => {
    const { task, wait, world } = listening()
    wait()
    world.complete(task)
    assert.include(world.lines, "a reader is woken")
    assert.strictEqual(send(world, "late"), "WrongStatus")
  })
})
