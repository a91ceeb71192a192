/** One result taken out of its queue: from everywhere, once, and what becomes of the queue. */
import { Option } from "effect"
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as delivery from "../../src/machine/delivery.js"
import { limitReached } from "../../src/machine/start.js"
import type { InlineCaller } from "../../src/machine/state/TaskRecord.js"
import { resolutionText, sessionId, type StartOptions, turnRef, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

const take = (world: World, name = "a"): string => {
  const taken = world.step((table) => delivery.takeResult(table, id(name)))
  if (taken === undefined) return "not found"
  return Option.match(taken, { onNone: () => "none", onSome: resolutionText })
}

const consume = (world: World, name = "a"): delivery.ConsumedResult =>
  Option.getOrThrow(world.step((table) => delivery.consumeResult(table, id(name))) ?? Option.none())

const peek = (world: World): ReadonlyArray<string> => [
  ...world.peek.turn(),
  ...world.peek.loop(),
  ...world.peek.manual()
]

const destinations: ReadonlyArray<readonly [string, StartOptions]> = [
  ["its turn", {}],
  ["the loop queue", { kind: "Background" }],
  ["the manual queue", { kind: "Background", deliveryMode: "Manual" }]
]

for (const [where, options] of destinations) {
  describe(`a result that waits in ${where}`, () => {
    it("is taken once, and nothing is left", () => {
      const world = new World()
      world.complete(world.start("a", options))
      assert.strictEqual(take(world), "a ok: done")
      assert.strictEqual(take(world), "none")
      world.assertEmpty()
    })

    it("is taken from between others", () => {
      const world = new World()
      for (const name of ["a", "b", "c"]) world.complete(world.start(name, options))
      assert.strictEqual(take(world, "b"), "b ok: done")
      assert.deepStrictEqual(peek(world), ["a ok: done", "c ok: done"])
    })

    it("is put back at its old place, and can be taken again", () => {
      const world = new World()
      for (const name of ["a", "b", "c"]) world.complete(world.start(name, options))
      const [b, a] = [consume(world, "b"), consume(world, "a")]
      assert.strictEqual(take(world, "b"), "none")
      world.step((table) => delivery.putBackResult(table, b))
      world.step((table) => delivery.putBackResult(table, a))
      assert.deepStrictEqual(peek(world), ["a ok: done", "b ok: done", "c ok: done"])
      assert.strictEqual(take(world, "b"), "b ok: done")
    })

    it("is put back where nothing else is left, and is dropped where the session was closed", () => {
      const world = new World()
      world.complete(world.start("a", options))
      const held = consume(world)
      assert.deepStrictEqual(peek(world), [])
      world.step((table) => delivery.putBackResult(table, held))
      assert.deepStrictEqual(peek(world), ["a ok: done"])
      const again = consume(world)
      world.step((table, now) => control.closeSession(table, sessionId("s"), now))
      world.step((table) => delivery.putBackResult(table, again))
      assert.strictEqual(take(world), "none")
      world.assertEmpty()
    })

    it("is gone when it was delivered, discarded, or its consumer is done", () => {
      const delivered = new World()
      delivered.complete(delivered.start("a", options))
      delivered.takeTurn()
      delivered.takeLoop()
      delivered.step((table) => delivery.takeManual(table))
      assert.strictEqual(take(delivered), "none")

      const closed = new World()
      closed.complete(closed.start("a", options))
      closed.step((table, now) => control.closeSession(table, sessionId("s"), now))
      assert.strictEqual(take(closed), "none")

      const consumed = new World()
      consumed.complete(consumed.start("a", options))
      const { session } = consume(consumed)
      consumed.step((table) => delivery.leaveConsumer(table, session, 1))
      assert.strictEqual(take(consumed), "none")
      consumed.assertEmpty()
    })

    it("of a task that is not kept any more stays in its queue", () => {
      const world = new World({ history: 1 })
      world.complete(world.start("a", options))
      world.complete(world.start("b", options))
      assert.strictEqual(take(world), "not found")
      assert.deepStrictEqual(peek(world), ["a ok: done", "b ok: done"])
      const none = new World({ history: 0 })
      none.complete(none.start("a", options))
      assert.strictEqual(take(none), "not found")
      assert.deepStrictEqual(peek(none), ["a ok: done"])
    })

    it("goes back to its queue when its task was forgotten meanwhile, and another has its id", () => {
      const world = new World({ history: 1 })
      world.complete(world.start("a", options))
      const held = consume(world)
      world.complete(world.start("b", options))
      world.complete(world.start("a", options), "another")
      world.step((table) => delivery.putBackResult(table, held))
      assert.deepStrictEqual(peek(world), ["a ok: done", "b ok: done", "a ok: another"])
      assert.strictEqual(take(world), "a ok: another")
      assert.deepStrictEqual(peek(world), ["a ok: done", "b ok: done"])
    })

    it("frees its place under maxUndelivered", () => {
      const world = new World({ undelivered: 1 })
      world.complete(world.start("a", options))
      assert.strictEqual(limitReached(world.table, sessionId("s")), "maxUndelivered")
      take(world)
      assert.isUndefined(limitReached(world.table, sessionId("s")))
    })
  })
}

describe("takeResult", () => {
  it("of a live task is none, of an unknown one not found", () => {
    const world = new World()
    world.start("a")
    assert.strictEqual(take(world), "none")
    assert.strictEqual(take(world, "b"), "not found")
  })

  it("takes no approval", () => {
    const world = new World()
    world.suspend(world.start("a"))
    assert.strictEqual(take(world), "none")
    assert.deepStrictEqual(world.peek.turn(), ["a asks approval"])
  })

  it("leaves the news that the task was detached in its turn", () => {
    const world = new World()
    const task = world.start("a")
    world.step((table, now) => control.detach(table, id("a"), now))
    world.complete(task)
    assert.strictEqual(take(world), "a ok: done")
    assert.deepStrictEqual(world.peek.turn(), ["a detached"])
    assert.deepStrictEqual(world.peek.loop(), [])
  })

  it("takes what an inline caller got only once that is gone", () => {
    const world = new World()
    const caller: InlineCaller = { outcome: undefined, wake: () => undefined }
    const task = world.start("a", { inlineCaller: caller })
    world.complete(task)
    assert.strictEqual(take(world), "none")
    world.step((table) => delivery.redirectToTurn(table, task, caller))
    assert.strictEqual(take(world), "a ok: done")
    world.assertEmpty()
  })

  it("does not take for an inline task what another task of its id delivered", () => {
    const world = new World({ history: 1 })
    const caller: InlineCaller = { outcome: undefined, wake: () => undefined }
    const task = world.start("a", { inlineCaller: caller })
    world.complete(task)
    world.complete(world.start("b"))
    world.complete(world.start("a"), "another")
    world.step((table) => delivery.redirectToTurn(table, task, caller))
    assert.strictEqual(take(world), "a ok: another")
    assert.strictEqual(take(world), "none")
    assert.deepStrictEqual(world.peek.turn(), ["b ok: done", "a ok: done"])
  })

  it("a turn whose last update was taken has drained; an interrupted one is left until it was read", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.complete(a)
    assert.strictEqual(take(world), "a ok: done")
    assert.strictEqual(world.takeTurn(), "not ready")
    world.complete(b)
    assert.strictEqual(take(world, "b"), "b ok: done")
    assert.strictEqual(world.takeTurn(), "none")
    world.start("c")
    world.step((table, now) => control.interruptTurn(table, turnRef(), now))
    world.end(world.table.live.last!.value, { _tag: "Cancelled" })
    assert.strictEqual(take(world, "c"), "c error: cancelled while running")
    assert.strictEqual(world.table.sessions.size, 1)
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
  })
})
