/** What tasks use: where each amount is added, how long it is known, and what a limit does. */
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import { limitReachedBy, meterAgain, reportOfTurn, sumOf } from "../../src/machine/ledger.js"
import { usage } from "../../src/machine/queries.js"
import type { LedgerLimits, Limit } from "../../src/machine/state/Ledger.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import type { Limits } from "../../src/machine/state/TaskTable.js"
import { request, sessionId, type StartOptions, turnRef, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)
const none: LedgerLimits = { task: undefined, turn: undefined, session: undefined }
const limit = (fields: Partial<Limit>): Limit => ({
  costs: new Map(),
  launches: Infinity,
  runMillis: Infinity,
  onLimit: "fail",
  ...fields
})
const usd = (max: number, onLimit: Limit["onLimit"] = "fail") => limit({ costs: new Map([["usd", max]]), onLimit })

const worldWith = (ledger: Partial<LedgerLimits> = {}, limits: Partial<Limits> = {}) =>
  new World({ ledger: { ...none, ...ledger }, lanes: { one: 1 }, ...limits })

const used = (world: World, filter: Parameters<typeof usage>[1]) => world.step((table) => usage(table, filter))
const zero = { launches: 0, queueMillis: 0, runMillis: 0, approvalMillis: 0, outputBytes: 0, costs: {} }

const pay = (world: World, task: TaskRecord, costs: Record<string, number>) =>
  world.step((table, now) => control.addUsage(table, task, task.snapshot.launch, costs, now))

const after = (world: World, millis: number) => {
  world.now += millis
}

describe("what tasks use", () => {
  it("is added to the task, its turn, its session, its lane and all", () => {
    const world = worldWith({}, { concurrency: 1 })
    const a = world.start("a", { lane: "one" })
    const b = world.start("b", { turn: "u" })
    after(world, 100)
    pay(world, a, { usd: 0.5, pages: 2 })
    world.complete(a)
    after(world, 10)
    assert.deepStrictEqual(used(world, { taskId: id("b") }), { ...zero, launches: 1, queueMillis: 100, runMillis: 10 })
    world.suspend(b)
    after(world, 1_000)
    world.resume(b)
    after(world, 5)
    pay(world, b, { usd: 0.25 })
    world.complete(b)
    const ofA = { ...zero, launches: 1, runMillis: 100, costs: { usd: 0.5, pages: 2 } }
    const ofB = { ...zero, launches: 2, queueMillis: 100, runMillis: 15, approvalMillis: 1_000, costs: { usd: 0.25 } }
    assert.deepStrictEqual(a.snapshot.usage, ofA)
    assert.deepStrictEqual(b.snapshot.usage, ofB)
    assert.deepStrictEqual(used(world, { taskId: id("a") }), ofA)
    assert.deepStrictEqual(used(world, { ...turnRef("t") }), ofA)
    assert.deepStrictEqual(used(world, { lane: "one" }), ofA)
    const both = { ...ofB, launches: 3, runMillis: 115, costs: { usd: 0.75, pages: 2 } }
    assert.deepStrictEqual(used(world, { sessionId: sessionId("s") }), both)
    assert.deepStrictEqual(used(world, {}), both)
    assert.isUndefined(used(world, { sessionId: sessionId("other") }))
    assert.isUndefined(used(world, { taskId: id("other") }))
  })

  it("of a loop is added to its turn, its session and all", () => {
    const world = worldWith()
    world.step((table) => reportOfTurn(table, turnRef(), { tokens: 7 }))
    for (const filter of [turnRef(), { sessionId: sessionId("s") }, {}]) {
      assert.deepStrictEqual(used(world, filter), { ...zero, costs: { tokens: 7 } })
    }
  })

  it("counts while its tool is stopped, and not of an earlier launch or once it has settled", () => {
    const world = worldWith()
    const a = world.start("a")
    world.step((table, now) => control.cancel(table, id("a"), now))
    pay(world, a, { usd: 1 })
    world.step((table, now) => control.addUsage(table, a, 2, { usd: 10 }, now))
    world.end(a, { _tag: "Cancelled" })
    pay(world, a, { usd: 100 })
    assert.deepStrictEqual(used(world, {}), { ...zero, launches: 1, costs: { usd: 1 } })
  })

  it("of a session that is closed is gone, though its tasks are not all over", () => {
    const world = worldWith()
    const a = world.start("a")
    pay(world, a, { usd: 1 })
    world.step((table, now) => control.closeSession(table, sessionId("s"), now))
    world.start("b")
    pay(world, a, { usd: 1 })
    world.end(a, { _tag: "Cancelled" })
    assert.deepStrictEqual(used(world, { sessionId: sessionId("s") }), { ...zero, launches: 1 })
    assert.deepStrictEqual(used(world, {}), { ...zero, launches: 2, costs: { usd: 2 } })
  })

  it("is known of 4,096 sessions and those that live, and of 64 turns of each", () => {
    const world = worldWith()
    const live = world.start("live", { session: "live" })
    pay(world, live, { usd: 1 })
    for (let turn = 0; turn < 100; turn++) {
      world.step((table) => reportOfTurn(table, turnRef(`t${turn}`, "one"), { usd: 1 }))
    }
    const { ledger } = world.table
    if (ledger === undefined) return assert.fail("nothing is summed up")
    assert.strictEqual(ledger.sessions.get(sessionId("one"))?.turns.size, 64)
    assert.isUndefined(used(world, turnRef("t35", "one")))
    assert.isDefined(used(world, turnRef("t36", "one")))
    for (let session = 0; session < 5_000; session++) reportOfTurn(world.table, turnRef("t", `s${session}`), { usd: 1 })
    assert.strictEqual(ledger.sessions.size, 4_096)
    assert.isUndefined(used(world, { sessionId: sessionId("one") }))
    assert.deepStrictEqual(used(world, { sessionId: sessionId("live") }), {
      ...zero,
      launches: 1,
      costs: { usd: 1 }
    })
  })

  it("is not forgotten of a turn while its tasks live, or while it is used", () => {
    const world = worldWith()
    const live = world.start("live", { turn: "live" })
    const report = (turn: string) => world.step((table) => reportOfTurn(table, turnRef(turn), { usd: 1 }))
    report("used")
    for (let turn = 0; turn < 200; turn++) {
      report(`t${turn}`)
      if (turn % 50 === 0) report("used")
    }
    pay(world, live, { usd: 1 })
    assert.deepStrictEqual(used(world, turnRef("live")), { ...zero, launches: 1, costs: { usd: 1 } })
    assert.deepStrictEqual(used(world, turnRef("used")), { ...zero, costs: { usd: 5 } })
    world.complete(live)
    // it was used when its task settled
    for (let turn = 0; turn < 63; turn++) report(`u${turn}`)
    assert.isDefined(used(world, turnRef("live")))
    report("v")
    assert.isUndefined(used(world, turnRef("live")))
  })

  it("has 64 names besides those of models, and none of a report that is refused or comes too late", () => {
    const world = worldWith()
    const task = world.start("a")
    const names = (length: number) => Object.fromEntries(Array.from({ length }, (_, index) => [`n${index}`, 1]))
    const refusedOfTask = (costs: Record<string, number>, launch = 1) =>
      world.step((table, now) => control.addUsage(table, task, launch, costs, now))?.nameTooMany
    const refusedOfTurn = (costs: Record<string, number>) =>
      world.step((table) => reportOfTurn(table, turnRef(), costs))?.nameTooMany
    const known = () => world.table.ledger?.names.size
    for (const refused of [refusedOfTask, refusedOfTurn]) assert.strictEqual(refused(names(70)), "n64")
    assert.isUndefined(refusedOfTask(names(70), 2))
    assert.strictEqual(known(), 0)
    assert.deepInclude(used(world, turnRef()), { costs: {} })
    assert.isUndefined(refusedOfTask(names(63)))
    const both = [refusedOfTask, refusedOfTurn]
    for (const refused of both) assert.strictEqual(refused({ n0: 1, one: 1, two: 1 }), "two")
    assert.isUndefined(refusedOfTurn({ two: 1 }))
    for (const refused of both) {
      assert.strictEqual(refused({ n0: 1, one: 1 }), "one")
      assert.isUndefined(refused({ inputTokens: 1, outputTokens: 1, reasoningTokens: 1, cachedInputTokens: 1 }))
    }
    world.complete(task)
    assert.isUndefined(refusedOfTask({ late: 1 }))
    assert.strictEqual(known(), 64)
  })

  it("ends at the largest number", () => {
    const world = worldWith()
    const a = world.start("a", { lane: "one" })
    pay(world, a, { usd: 1.7e308 })
    pay(world, a, { usd: 1.7e308 })
    world.step((table) => reportOfTurn(table, turnRef(), { usd: 1.7e308 }))
    const costs = { usd: Number.MAX_VALUE }
    for (const filter of [{ taskId: id("a") }, turnRef(), { sessionId: sessionId("s") }, { lane: "one" }, {}]) {
      assert.deepStrictEqual(used(world, filter), { ...zero, launches: 1, costs })
    }
    world.complete(a)
    assert.deepStrictEqual(a.snapshot.usage?.costs, costs)
    assert.deepStrictEqual(sumOf([{ ...zero, costs }, { ...zero, costs }]).costs, costs)
    const other = worldWith()
    const again = other.start("again").meter
    const { ledger } = other.table
    if (again === undefined || ledger === undefined) return assert.fail("nothing is summed up")
    for (const before of [costs, costs]) meterAgain(ledger, again, { ...zero, costs: before })
    assert.deepStrictEqual(used(other, {}), { ...zero, launches: 1, costs })
  })

  it("costs nothing where nothing is summed up", () => {
    const world = new World()
    const a = world.start("a")
    assert.isUndefined(a.meter)
    pay(world, a, { usd: 1 })
    world.complete(a)
    assert.notProperty(a.snapshot, "usage")
    assert.strictEqual(used(world, {}), "Off")
  })
})

describe("a limit", () => {
  it("of a task ends it once it has reported more, and takes its foreground children along", () => {
    const world = worldWith({ task: usd(1) })
    const a = world.start("a")
    world.start("b", { turn: "u", parent: a })
    pay(world, a, { usd: 1 })
    assert.strictEqual(world.status("a"), "Running Foreground")
    pay(world, a, { usd: 0.5 })
    assert.strictEqual(world.status("a"), "Cancelling Foreground")
    assert.strictEqual(a.cancelReason, "LimitReached")
    assert.strictEqual(world.status("b"), "Cancelling Foreground")
    world.complete(a)
    assert.deepStrictEqual(world.peek.turn(), [
      "a error: The tool was stopped because it has used more than 1 usd for its task. It may have had effects."
    ])
  })

  it("of a route wins over that of every task", () => {
    const world = worldWith({ task: usd(1) })
    const a = world.start("a", { limit: usd(5) })
    pay(world, a, { usd: 4 })
    assert.strictEqual(world.status("a"), "Running Foreground")
  })

  it("that asks sends the task to the background, once", () => {
    const world = worldWith({ session: usd(1, "ask") })
    const a = world.start("a")
    pay(world, a, { usd: 2 })
    assert.strictEqual(world.status("a"), "Running Background")
    assert.deepStrictEqual(a.snapshot.overLimit, { scope: "session", name: "usd", max: 1 })
    assert.deepStrictEqual(world.peek.turn(), ["a detached"])
    pay(world, a, { usd: 2 })
    world.complete(a)
    assert.deepStrictEqual(world.takeLoop(), ["a ok: done"])
    assert.deepInclude(a.snapshot, { status: "Completed", usage: { ...zero, launches: 1, costs: { usd: 4 } } })
  })

  it("that asks leaves one that fails as it is", () => {
    const world = worldWith({ task: usd(1, "ask"), session: usd(5) })
    const a = world.start("a")
    for (let times = 0; times < 100; times++) pay(world, a, { usd: 1 })
    assert.deepStrictEqual(a.snapshot.overLimit, { scope: "task", name: "usd", max: 1 })
    assert.strictEqual(a.cancelReason, "LimitReached")
    assert.deepStrictEqual(a.reached, { scope: "session", name: "usd", max: 5 })
    const other = worldWith({ turn: usd(1, "ask"), session: usd(1) })
    other.step((table) => reportOfTurn(table, turnRef(), { usd: 1 }))
    assert.deepStrictEqual(other.step((table) => limitReachedBy(table, turnRef())), {
      reached: { scope: "session", name: "usd", max: 1 },
      onLimit: "fail"
    })
    const both = worldWith({ task: usd(1, "ask"), session: usd(1) })
    const b = both.start("b")
    pay(both, b, { usd: 2 })
    assert.strictEqual(b.cancelReason, "LimitReached")
  })

  it("of a turn or a session is reached by its calls, not by those of others", () => {
    const world = worldWith({ turn: limit({ launches: 1 }), session: limit({ runMillis: 100 }) })
    const reachedBy = (turn: string, session = "s") =>
      world.step((table) => limitReachedBy(table, turnRef(turn, session)))?.reached
    assert.isUndefined(reachedBy("t"))
    const a = world.start("a")
    assert.deepStrictEqual(reachedBy("t"), { scope: "turn", name: "launches", max: 1 })
    assert.isUndefined(reachedBy("u"))
    after(world, 100)
    world.complete(a)
    assert.deepStrictEqual(reachedBy("u"), { scope: "session", name: "runTime", max: 100 })
    assert.isUndefined(reachedBy("u", "other"))
    world.step((table, now) => control.interruptTurn(table, turnRef("t"), now))
    assert.isUndefined(reachedBy("t"))
  })

  it("of run time counts what runs now, and so does what is used", () => {
    const world = worldWith({ session: limit({ runMillis: 100 }) })
    const reached = () => world.step((table) => limitReachedBy(table, turnRef("u")))?.reached.name
    const a = world.start("a", { lane: "one" })
    const b = world.start("b", { lane: "one" })
    const c = world.start("c")
    after(world, 49)
    assert.isUndefined(reached())
    after(world, 1)
    assert.strictEqual(reached(), "runTime")
    const both = { ...zero, launches: 2, queueMillis: 50, runMillis: 100 }
    for (const filter of [turnRef(), { sessionId: sessionId("s") }, {}]) {
      assert.deepStrictEqual(used(world, filter), both)
    }
    assert.deepStrictEqual(used(world, { lane: "one" }), { ...both, launches: 1, runMillis: 50 })
    // a clock may be set back
    world.now -= 1_000
    assert.deepStrictEqual(used(world, {}), { ...zero, launches: 2 })
    world.complete(a)
    world.suspend(b)
    after(world, 10)
    world.complete(c)
    world.resume(b)
    world.complete(b)
    const spent = used(world, {})
    after(world, 1_000)
    assert.deepStrictEqual(used(world, {}), spent)
    assert.deepInclude(spent, { launches: 4, runMillis: 10, approvalMillis: 10 })
  })

  it("of launches counts the calls that are accepted and have not begun", () => {
    const world = worldWith({ session: limit({ launches: 2 }) })
    const reached = () => world.step((table) => limitReachedBy(table, turnRef()))?.reached.name
    const a = world.start("a", { lane: "one" })
    assert.isUndefined(reached())
    world.start("b", { lane: "one" })
    assert.strictEqual(reached(), "launches")
    world.step((table, now) => control.cancel(table, id("b"), now))
    assert.isUndefined(reached())
    world.start("c", { lane: "one" })
    world.complete(a)
    assert.deepInclude(used(world, {}), { launches: 2 })
    assert.strictEqual(reached(), "launches")
  })

  it("that lets nothing run is reached at once", () => {
    const world = worldWith({ session: limit({ launches: 0 }) })
    assert.deepStrictEqual(world.step((table) => limitReachedBy(table, request("a")))?.reached, {
      scope: "session",
      name: "launches",
      max: 0
    })
  })

  it("that asks a human asks before the tool begins, and the answer is none to the tool's own question", () => {
    const world = worldWith()
    const broken = { reached: { scope: "session", name: "usd", max: 1 }, onLimit: "ask" } as const
    const asks: StartOptions = { asks: { broken, asking: "token" } }
    const a = world.start("a", asks)
    assert.strictEqual(world.status("a"), "Suspended Foreground")
    assert.deepStrictEqual(world.peek.turn(), ["a asks usage-limit"])
    assert.strictEqual(a.asked?.approval.reason, "The limit of 1 usd for its session is reached.")
    after(world, 50)
    world.resume(a)
    assert.isUndefined(a.approval)
    assert.deepStrictEqual(used(world, { taskId: id("a") }), { ...zero, launches: 1, approvalMillis: 50 })
    world.suspend(a)
    world.resume(a)
    assert.isDefined(a.approval)
  })
})
