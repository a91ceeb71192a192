/** Where results go, how they are taken, put back, withdrawn and discarded. */
import { TaskId, type TaskResolution } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as delivery from "../../src/machine/delivery.js"
import type { Session } from "../../src/machine/state/Session.js"
import type { InlineCaller } from "../../src/machine/state/TaskRecord.js"
import type { Delivery } from "../../src/machine/state/Undelivered.js"
import { resolutionText, sessionId, toolError, turnRef, updateText, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

interface Batch {
  readonly session: Session
  readonly taken: ReadonlyArray<Delivery<TaskResolution>>
  readonly texts: ReadonlyArray<string>
}

/** As `consumePendingLoopUpdates` does: takes and enters in one step. */
const consume = (world: World, session = "s"): Batch =>
  world.step((table) => {
    const taken = delivery.takeLoopUpdates(table, sessionId(session))
    const texts = taken.map(({ value }) => resolutionText(value))
    return { taken, texts, session: delivery.enterConsumer(table, sessionId(session), taken.length) }
  })

const putBack = (world: World, { session, taken }: Batch): void =>
  world.step((table) => delivery.putBackLoopUpdates(table, session, taken))

const consumeTurn = (world: World) =>
  world.step((table) => {
    const taken = delivery.takeTurnUpdate(table, turnRef())
    if (typeof taken === "string") throw new Error(`nothing to take: ${taken}`)
    return { taken, session: delivery.enterConsumer(table, turnRef().sessionId, 1) }
  })

const caller = (world: World, name = "caller"): InlineCaller => ({
  outcome: undefined,
  wake: () => world.lines.push(`wake ${name}`)
})

describe("turn updates", () => {
  it("come in the order in which they happened, detached ones among them", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.start("c")
    world.complete(b)
    world.step((table, now) => control.detach(table, id("c"), now))
    world.complete(a)
    assert.deepStrictEqual(world.peek.turn(), ["b ok: done", "c detached", "a ok: done"])
    assert.deepStrictEqual(
      [world.takeTurn(), world.takeTurn(), world.takeTurn(), world.takeTurn()],
      ["b ok: done", "c detached", "a ok: done", "none"]
    )
    assert.strictEqual(world.status("c"), "Running Background")
  })

  it("a turn is not ready while a foreground task runs, and has drained when none does", () => {
    const world = new World()
    assert.isTrue(delivery.isTurnReady(world.table, turnRef()))
    assert.strictEqual(world.takeTurn(), "none")
    const task = world.start("a")
    assert.isFalse(delivery.isTurnReady(world.table, turnRef()))
    assert.strictEqual(world.takeTurn(), "not ready")
    world.complete(task)
    assert.isTrue(delivery.isTurnReady(world.table, turnRef()))
    world.takeTurn()
    assert.strictEqual(world.takeTurn(), "none")
  })

  it("a suspended task does not hold its turn up, a Cancelling one does", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.suspend(a)
    world.step((table, now) => control.cancel(table, id("b"), now))
    assert.strictEqual(world.takeTurn(), "a asks approval")
    assert.strictEqual(world.takeTurn(), "not ready")
    world.end(b, { _tag: "Cancelled" })
    assert.strictEqual(world.takeTurn(), "b error: cancelled while running")
    assert.strictEqual(world.takeTurn(), "none")
  })

  it("the snapshot of a detached update shows the task in the background", () => {
    const world = new World()
    world.start("a")
    world.step((table, now) => control.detach(table, id("a"), now))
    const taken = world.step((table) => delivery.takeTurnUpdate(table, turnRef()))
    const update = typeof taken === "string" ? undefined : taken.value
    assert.strictEqual(update?._tag === "Detached" ? update.snapshot.kind : "", "Background")
  })

  it("go to the turn of their session only", () => {
    const world = new World()
    const mine = world.start("a")
    const other = world.start("b", { session: "other" })
    world.complete(other)
    assert.strictEqual(world.takeTurn(), "not ready")
    world.complete(mine)
    assert.strictEqual(world.takeTurn(), "a ok: done")
    assert.strictEqual(world.takeTurn(turnRef("t", "other")), "b ok: done")
  })
})

describe("putting back", () => {
  it("a turn update returns in front of later ones and wakes who waits", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.start("c")
    world.complete(a)
    const first = consumeTurn(world)
    world.complete(b)
    world.takeTurn()
    const waiter = world.waiter("reader")
    world.parkForTurn(waiter)
    world.step((table) => delivery.putBackTurnUpdate(table, first.session, turnRef(), first.taken))
    assert.deepStrictEqual(world.lines, ["wake reader"])
    assert.strictEqual(world.takeTurn(), "a ok: done")
  })

  it("turn updates return to their order, whichever comes back first", () => {
    for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]]) {
      const world = new World()
      for (const name of ["a", "b", "c", "d"]) world.complete(world.start(name))
      const taken = [consumeTurn(world), consumeTurn(world), consumeTurn(world)]
      for (const index of order) {
        const consumer = taken[index]
        if (consumer === undefined) return
        world.step((table) => delivery.putBackTurnUpdate(table, consumer.session, turnRef(), consumer.taken))
      }
      assert.deepStrictEqual(world.peek.turn(), ["a ok: done", "b ok: done", "c ok: done", "d ok: done"])
    }
  })

  it("a turn that was forgotten meanwhile comes back for it", () => {
    const world = new World()
    world.complete(world.start("a"))
    const { session, taken } = consumeTurn(world)
    assert.strictEqual(session.turns.size, 0)
    world.step((table) => delivery.putBackTurnUpdate(table, session, turnRef(), taken))
    assert.strictEqual(world.takeTurn(), "a ok: done")
    world.assertEmpty()
  })

  it("an approval that was answered meanwhile stays away", () => {
    const world = new World()
    const task = world.start("a")
    world.suspend(task)
    const { session, taken } = consumeTurn(world)
    world.step((table, now) => control.rejectApproval(table, id("a"), {}, now))
    world.step((table) => delivery.putBackTurnUpdate(table, session, turnRef(), taken))
    assert.deepStrictEqual(world.peek.turn(), ["a error: rejected"])
  })

  it("an approval that stays away brings no turn back for it", () => {
    const world = new World()
    world.suspend(world.start("a"))
    const { session, taken } = consumeTurn(world)
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.strictEqual(world.takeTurn(), "a error: cancelled while asking")
    world.step((table) => delivery.putBackTurnUpdate(table, session, turnRef(), taken))
    world.assertEmpty()
  })

  it("two batches return to their order, whichever comes back first", () => {
    for (const firstFirst of [true, false]) {
      const world = new World()
      const complete = (...names: ReadonlyArray<string>) => {
        for (const name of names) world.complete(world.start(name, { kind: "Background" }))
      }
      complete("a", "b")
      const first = consume(world)
      complete("c", "d")
      const second = consume(world)
      complete("e")
      for (const batch of firstFirst ? [first, second] : [second, first]) putBack(world, batch)
      assert.deepStrictEqual(world.takeLoop(), ["a", "b", "c", "d", "e"].map((name) => `${name} ok: done`))
    }
  })

  it("nothing returns to a session that was closed, also when its id is used again", () => {
    const world = new World()
    world.complete(world.start("a"))
    world.complete(world.start("b", { kind: "Background" }))
    const turn = consumeTurn(world)
    const batch = consume(world)
    world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    world.complete(world.start("c", { kind: "Background" }))
    putBack(world, batch)
    world.step((table) => delivery.putBackTurnUpdate(table, turn.session, turnRef(), turn.taken))
    assert.deepStrictEqual(world.peek.turn(), [])
    assert.deepStrictEqual(world.takeLoop(), ["c ok: done"])
    world.assertEmpty()
  })

  it("a batch returns in front, in order", () => {
    const world = new World()
    for (const name of ["a", "b"]) world.complete(world.start(name, { kind: "Background" }))
    const batch = consume(world)
    assert.deepStrictEqual(batch.texts, ["a ok: done", "b ok: done"])
    world.complete(world.start("c", { kind: "Background" }))
    putBack(world, batch)
    assert.deepStrictEqual(world.takeLoop(), ["a ok: done", "b ok: done", "c ok: done"])
    world.assertEmpty()
  })

  it("a batch wakes who waits for the loop, an empty one wakes nobody", () => {
    const world = new World()
    world.complete(world.start("a", { kind: "Background" }))
    const batch = consume(world)
    const waiter = world.waiter("loop")
    batch.session.waiters.append(waiter)
    waiter.node = batch.session.waiters.first
    const empty = consume(world)
    assert.deepStrictEqual(empty.texts, [])
    putBack(world, empty)
    assert.deepStrictEqual(world.lines, [])
    putBack(world, batch)
    assert.deepStrictEqual(world.lines, ["wake loop"])
  })

  it("an approval of a batch that was answered stays away, its neighbours return", () => {
    const world = new World()
    world.complete(world.start("a", { kind: "Background" }))
    const asking = world.start("b", { kind: "Background" })
    world.suspend(asking)
    world.complete(world.start("c", { kind: "Background" }))
    const batch = consume(world)
    assert.deepStrictEqual(batch.texts, ["a ok: done", "b asks approval", "c ok: done"])
    world.resume(asking)
    putBack(world, batch)
    assert.deepStrictEqual(world.peek.loop(), ["a ok: done", "c ok: done"])
  })

  it("an approval can be withdrawn after it was put back", () => {
    const world = new World()
    world.suspend(world.start("a", { kind: "Background" }))
    putBack(world, consume(world))
    assert.deepStrictEqual(world.peek.loop(), ["a asks approval"])
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.deepStrictEqual(world.peek.loop(), ["a error: cancelled while asking"])
  })

  it("a consumer that succeeds leaves nothing behind", () => {
    const world = new World()
    world.complete(world.start("a", { kind: "Background" }))
    const { session } = consume(world)
    assert.strictEqual(world.table.sessions.get(sessionId("s")), session)
    world.step((table) => delivery.leaveConsumer(table, session, 1))
    world.assertEmpty()
  })
})

describe("withdrawing", () => {
  it("resuming, rejecting and cancelling withdraw an approval nobody has taken", () => {
    for (const kind of ["Foreground", "Background"] as const) {
      const world = new World()
      const [a, b, c] = ["a", "b", "c"].map((name) => world.start(name, { kind }))
      for (const task of [a!, b!, c!]) world.suspend(task)
      world.resume(a!)
      world.step((table, now) => control.rejectApproval(table, id("b"), {}, now))
      world.step((table, now) => control.cancel(table, id("c"), now))
      assert.deepStrictEqual(
        kind === "Foreground" ? world.peek.turn() : world.peek.loop(),
        ["b error: rejected", "c error: cancelled while asking"]
      )
    }
  })
})

describe("the loop queue", () => {
  it("is emptied by taking, session by session", () => {
    const world = new World()
    world.complete(world.start("a", { kind: "Background" }))
    world.complete(world.start("b", { kind: "Background", session: "other" }))
    world.end(world.start("c", { kind: "Background" }), { _tag: "Failed", error: toolError("broken") })
    assert.deepStrictEqual(world.takeLoop("nobody"), [])
    assert.deepStrictEqual(world.takeLoop(), ["a ok: done", "c error: broken"])
    assert.deepStrictEqual(world.takeLoop(), [])
    assert.deepStrictEqual(world.takeLoop("other"), ["b ok: done"])
    world.assertEmpty()
  })
})

describe("the manual queue", () => {
  const situation = () => {
    const world = new World()
    for (const [name, session] of [["a", "s"], ["b", "other"], ["c", "s"]] as const) {
      world.complete(world.start(name, { kind: "Background", deliveryMode: "Manual", session }))
    }
    return world
  }
  const take = (world: World, session?: string) =>
    world.step((table) => delivery.takeManual(table, session === undefined ? undefined : sessionId(session)))
      .map(resolutionText)

  it("gives everything, oldest first", () => {
    const world = situation()
    assert.deepStrictEqual(take(world), ["a ok: done", "b ok: done", "c ok: done"])
    assert.deepStrictEqual(take(world), [])
    world.assertEmpty()
  })

  it("gives one session's and leaves the others'", () => {
    const world = situation()
    assert.deepStrictEqual(take(world, "s"), ["a ok: done", "c ok: done"])
    assert.deepStrictEqual(take(world, "s"), [])
    assert.deepStrictEqual(take(world, "nobody"), [])
    assert.deepStrictEqual(take(world), ["b ok: done"])
    world.assertEmpty()
  })
})

describe("closing a session", () => {
  it("ends once under an id that was opened and closed again meanwhile, and not after the shutdown", () => {
    const world = new World()
    const close = () => world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    const first = world.start("a", { kind: "Background" })
    close()
    const second = world.start("b", { kind: "Background" })
    close()
    close()
    world.end(second, { _tag: "Cancelled" })
    assert.deepStrictEqual(world.lines, ["end b#1", "Cancelled b"])
    world.end(first, { _tag: "Cancelled" })
    assert.deepStrictEqual(world.lines, ["end a#1", "Cancelled a", "SessionClosed s"])
    world.step((table, now) => control.beginShutdown(table, now))
    world.step((table) => control.endShutdown(table))
    close()
    assert.deepStrictEqual(world.lines, [])
  })

  it("discards what was not delivered, and what its tasks still deliver", () => {
    const world = new World()
    world.complete(world.start("a"))
    world.complete(world.start("b", { kind: "Background" }))
    world.complete(world.start("c", { kind: "Background", deliveryMode: "Manual" }))
    world.suspend(world.start("d"))
    const running = (["Foreground", "Background"] as const).flatMap((kind) =>
      (["ToLoop", "Manual"] as const).map((deliveryMode) =>
        world.start(`${kind} ${deliveryMode}`, { kind, deliveryMode, continuePolicy: "RequestContinue", turn: "t2" })
      )
    )
    const other = world.start("z", { session: "other", kind: "Background", deliveryMode: "Manual" })
    world.complete(other)
    const { cancelled, kept, unsettled } = world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    assert.sameMembers(cancelled.map(({ snapshot }) => snapshot.id), ["d", ...running.map((task) => task.snapshot.id)])
    assert.deepStrictEqual(kept, [])
    assert.deepStrictEqual(unsettled, running)
    assert.isUndefined(world.table.sessions.get(sessionId("s")))
    for (const [index, task] of running.entries()) {
      world.end(task, { _tag: "Cancelled" })
      assert.deepStrictEqual(world.lines, [
        `end ${task.snapshot.id}#1`,
        `Cancelled ${task.snapshot.id}`,
        ...(index === running.length - 1 ? ["SessionClosed s"] : [])
      ])
    }
    assert.deepStrictEqual(world.peek.manual(), ["z ok: done"])
    assert.deepStrictEqual([...world.table.sessions.keys()], ["other"])
  })

  it("lets go of everybody who waits", () => {
    const world = new World()
    const task = world.start("a")
    world.parkForTurn(world.waiter("turn"))
    const session = world.table.sessions.get(sessionId("s"))
    assert.isDefined(session)
    const waiter = world.waiter("loop")
    if (session !== undefined) waiter.node = session.waiters.append(waiter)
    world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    assert.deepStrictEqual(world.lines, ["interrupt a#1", "wake turn", "wake loop"])
    assert.strictEqual(world.takeTurn(), "none")
    world.end(task, { _tag: "Cancelled" })
    world.assertEmpty()
  })

  it("the id can be used again while tasks of the old session still end", () => {
    const world = new World()
    const old = world.start("a")
    world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    const fresh = world.start("b")
    assert.strictEqual(world.takeTurn(), "not ready")
    world.end(old, { _tag: "Cancelled" })
    assert.strictEqual(world.takeTurn(), "not ready")
    world.complete(fresh)
    assert.strictEqual(world.takeTurn(), "b ok: done")
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
  })

  it("a session that was never seen is closed by doing nothing", () => {
    const world = new World()
    const receipt = world.step((table, now) => control.closeSession(table, sessionId("nobody"), now))
    assert.deepStrictEqual(receipt, { cancelled: [], kept: [], unsettled: [] })
    world.assertEmpty()
  })
})

describe("an inline caller", () => {
  it("is told the result, and no queue is", () => {
    const world = new World()
    const inlineCaller = caller(world)
    const task = world.start("a", { inlineCaller })
    world.complete(task)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "wake caller"])
    assert.strictEqual(inlineCaller.outcome?._tag, "Ready")
    world.assertEmpty()
  })

  it("is told the approval; the resumed launch tells its own caller", () => {
    const world = new World()
    const first = caller(world)
    const task = world.start("a", { inlineCaller: first })
    world.suspend(task)
    assert.strictEqual(
      first.outcome?._tag === "Ready" ? resolutionText(first.outcome.resolution) : "",
      "a asks approval"
    )
    const second = caller(world, "second")
    world.resume(task, { inlineCaller: second })
    world.complete(task)
    assert.deepStrictEqual(
      world.lines,
      ["end a#1", "Completed a", "wake second"].map((line) => line.replace("#1", "#2"))
    )
    assert.strictEqual(
      second.outcome?._tag === "Ready" ? resolutionText(second.outcome.resolution) : "",
      "a ok: done"
    )
    world.assertEmpty()
  })

  it("of a suspended task is gone: what happens to the task later goes to the turn", () => {
    const world = new World()
    const task = world.start("a", { inlineCaller: caller(world) })
    world.suspend(task)
    world.step((table, now) => control.rejectApproval(table, id("a"), {}, now))
    assert.deepStrictEqual(world.peek.turn(), ["a error: rejected"])
  })

  it("is told that the task was detached; the result goes the background way", () => {
    const world = new World()
    const inlineCaller = caller(world)
    const task = world.start("a", { inlineCaller })
    world.step((table, now) => control.detach(table, id("a"), now))
    assert.deepStrictEqual(inlineCaller.outcome, { _tag: "Pending", taskId: id("a"), kind: "Background" })
    assert.deepStrictEqual(world.peek.turn(), [])
    assert.isUndefined(task.inlineCaller)
    world.complete(task)
    assert.deepStrictEqual(world.takeLoop(), ["a ok: done"])
  })

  it("does not wait for a task that is in the background", () => {
    const world = new World()
    const task = world.start("a", { kind: "Background" })
    world.suspend(task)
    const inlineCaller = caller(world)
    world.resume(task, { inlineCaller })
    assert.isUndefined(task.inlineCaller)
    world.complete(task)
    assert.isUndefined(inlineCaller.outcome)
    assert.deepStrictEqual(world.takeLoop(), ["a ok: done"])
  })

  it("that is interrupted cancels the task, and the turn gets the result", () => {
    const world = new World()
    const inlineCaller = caller(world)
    const task = world.start("a", { inlineCaller })
    world.step((table, now) => control.cancelInline(table, task, now))
    assert.deepStrictEqual(world.lines, ["interrupt a#1"])
    world.end(task, { _tag: "Cancelled" })
    assert.isUndefined(inlineCaller.outcome)
    assert.deepStrictEqual(world.peek.turn(), ["a error: cancelled while running"])
  })

  describe("that is interrupted before it could take what it was told", () => {
    it("leaves a result to the turn, though turn and session were forgotten", () => {
      const world = new World()
      const inlineCaller = caller(world)
      const task = world.start("a", { inlineCaller })
      world.complete(task)
      world.assertEmpty()
      world.step((table) => delivery.redirectToTurn(table, task, inlineCaller))
      assert.isUndefined(inlineCaller.outcome)
      assert.strictEqual(world.takeTurn(), "a ok: done")
      assert.strictEqual(world.takeTurn(), "none")
      world.assertEmpty()
    })

    it("leaves an approval to the turn, which can still be withdrawn", () => {
      const world = new World()
      const inlineCaller = caller(world)
      const task = world.start("a", { inlineCaller })
      world.suspend(task)
      world.step((table) => delivery.redirectToTurn(table, task, inlineCaller))
      assert.deepStrictEqual(world.peek.turn(), ["a asks approval"])
      world.resume(task)
      assert.deepStrictEqual(world.peek.turn(), [])
    })

    it("does not leave an approval that was answered meanwhile", () => {
      const world = new World()
      const inlineCaller = caller(world)
      const task = world.start("a", { inlineCaller })
      world.suspend(task)
      world.step((table, now) => control.cancel(table, id("a"), now))
      world.step((table) => delivery.redirectToTurn(table, task, inlineCaller))
      assert.deepStrictEqual(world.peek.turn(), ["a error: cancelled while asking"])
    })

    it("leaves nothing of a detach: the task goes on in the background", () => {
      const world = new World()
      const inlineCaller = caller(world)
      const task = world.start("a", { inlineCaller })
      world.step((table, now) => control.detach(table, id("a"), now))
      world.step((table) => delivery.redirectToTurn(table, task, inlineCaller))
      assert.deepStrictEqual(world.peek.turn(), [])
      assert.strictEqual(world.status("a"), "Running Background")
    })

    it("leaves nothing to a session that was closed", () => {
      const world = new World()
      const inlineCaller = caller(world)
      const task = world.start("a", { inlineCaller })
      world.start("b")
      world.complete(task)
      world.step((table, now) => control.closeSession(table, sessionId("s"), now))
      world.step((table) => delivery.redirectToTurn(table, task, inlineCaller))
      assert.deepStrictEqual(world.peek.turn(), [])
    })

    it("hands on what the task has not told yet, too", () => {
      const world = new World()
      const inlineCaller = caller(world)
      const task = world.start("a", { inlineCaller })
      world.step((table) => delivery.redirectToTurn(table, task, inlineCaller))
      world.complete(task)
      assert.isUndefined(inlineCaller.outcome)
      assert.deepStrictEqual(world.peek.turn(), ["a ok: done"])
    })

    it("does not take the task from the caller of a later launch", () => {
      const world = new World()
      const first = caller(world)
      const task = world.start("a", { inlineCaller: first })
      world.suspend(task)
      const second = caller(world, "second")
      world.resume(task, { inlineCaller: second })
      world.step((table) => delivery.redirectToTurn(table, task, first))
      world.complete(task)
      assert.strictEqual(second.outcome?._tag, "Ready")
      world.assertEmpty()
    })
  })
})

it("an update reads as what it is", () => {
  const world = new World()
  const task = world.start("a")
  assert.strictEqual(updateText({ _tag: "Detached", snapshot: task.snapshot }), "a detached")
})
