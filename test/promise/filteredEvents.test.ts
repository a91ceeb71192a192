/** Events of one session or task, the updates of a turn, and answers to approvals, in promises. */
import { assert, describe, it } from "@effect/vitest"
import { ApprovalMismatch, ApprovalRequired, type FilteredTaskEvent } from "effect-task-manager"
import { createTaskManager, type TaskOperations } from "effect-task-manager/promise"
import { aborted, call, makeSignal, rejection, turn } from "./support.js"

const tools = { test: () => "passed" }

const runIn = async (manager: TaskOperations, sessionId: string) => {
  const of = { sessionId, turnId: "t" }
  await manager.startTask({ request: { ...call("test").request, ...of } })
  await manager.waitForTurn(of)
}

const words = (events: ReadonlyArray<FilteredTaskEvent>) => events.map(({ _tag, seq }) => `${seq} ${_tag}`)

const read = async (events: AsyncIterable<FilteredTaskEvent>, count: number) => {
  const seen: Array<FilteredTaskEvent> = []
  for await (const event of events) {
    seen.push(event)
    if (seen.length === count) break
  }
  return words(seen)
}

describe("filtered events", () => {
  it("begin with those of the session, whatever its neighbours did", async () => {
    await using manager = createTaskManager({ tools, config: { eventReplay: 4 } })
    await runIn(manager, "alice")
    for (let times = 0; times < 20; times++) await runIn(manager, "bob")
    assert.deepStrictEqual(await read(manager.eventsOf({ sessionId: "alice" }), 2), ["1 Started", "2 Completed"])
    assert.deepStrictEqual(await read(manager.eventsOf({ taskId: "task-1", after: 1 }), 1), ["2 Completed"])
    assert.deepStrictEqual(await read(manager.eventsOf({ sessionId: "bob", after: 2 }), 1), ["42 Reset"])
  })

  it("go on behind an event, and tell who comes too late what is live", async () => {
    await using manager = createTaskManager({ tools })
    await runIn(manager, "alice")
    const on = await manager.subscribeTo({ sessionId: "alice", after: 1 })
    const beyond = await manager.watchOf({ sessionId: "alice", after: 99 })
    await runIn(manager, "bob")
    await runIn(manager, "alice")
    assert.deepStrictEqual(await read(on, 3), ["2 Completed", "5 Started", "6 Completed"])
    assert.deepStrictEqual([beyond.seq, beyond.live], [2, []])
    assert.deepStrictEqual(await read(beyond.events, 3), ["2 Reset", "5 Started", "6 Completed"])
  })
})

describe("events of one task in one session", () => {
  it("are none of a task that is in another session", async () => {
    await using manager = createTaskManager({ tools })
    const both = { sessionId: "alice", taskId: "bobs" }
    const subscription = await manager.subscribeTo(both)
    const { events } = await manager.watchOf(both)
    const of = { sessionId: "bob", turnId: "t" }
    await manager.startTask({ request: { ...call("test").request, ...of }, taskId: "bobs" })
    await manager.waitForTurn(of)
    await manager.startTask({ request: { ...call("test").request, ...of, sessionId: "alice" }, taskId: "alices" })
    await manager.waitForTurn({ ...of, sessionId: "alice" })
    await manager.close()
    assert.deepStrictEqual(await read(subscription, 9), [])
    assert.deepStrictEqual(await read(events, 9), [])
    assert.deepStrictEqual(await read(manager.eventsOf(both), 9), [])
  })
})

describe("the updates of a turn", () => {
  it("are read one by one until the turn has drained", async () => {
    await using manager = createTaskManager({ tools })
    for (const id of ["one", "two"]) await manager.startTask(call("test", null, id))
    const seen: Array<string> = []
    for await (const update of manager.turnUpdates(turn)) seen.push(update._tag)
    assert.deepStrictEqual(seen, ["Resolution", "Resolution"])
    assert.deepStrictEqual(await manager.turnUpdates(turn).next(), { done: true, value: undefined })
  })

  it("stay in the turn when the reading ends before it, and none is lost to an abort", async () => {
    const go = makeSignal()
    await using manager = createTaskManager({ tools: { test: () => go.promise.then(() => "passed") } })
    for (const id of ["one", "two", "three"]) await manager.startTask(call("test", null, id))
    const stop = new AbortController()
    const stopped = manager.turnUpdates(turn, { signal: stop.signal })
    const waiting = stopped.next()
    stop.abort(new Error("enough"))
    assert.strictEqual(String(await rejection(waiting)), "Error: enough")
    const returned = manager.turnUpdates(turn)
    const unanswered = returned.next()
    await returned.return()
    assert.deepStrictEqual(await unanswered, { done: true, value: undefined })
    go.resolve()
    let count = 0
    for await (const _ of manager.turnUpdates(turn)) if (++count === 1) break
    // aborted in the very moment in which it takes: answered or rejected, but not lost
    const late = new AbortController()
    const racing = manager.turnUpdates(turn, { signal: late.signal }).next()
    late.abort()
    await racing.then(() => count++, () => undefined)
    for await (const _ of manager.turnUpdates(turn)) count++
    assert.strictEqual(count, 3)
  })

  it("are read to the end of a turn that a signal interrupts", async () => {
    await using manager = createTaskManager({ tools: { test: (_input, { signal }) => aborted(signal) } })
    await manager.startTask(call("test"))
    const stop = new AbortController()
    const updates = manager.turnUpdates(turn, { signal: stop.signal, onAbort: "InterruptTurn" })
    const first = updates.next()
    stop.abort()
    const { value } = await first
    assert.include(JSON.stringify(value), "cancelled")
    assert.deepStrictEqual(await updates.next(), { done: true, value: undefined })
  })
})

describe("answerApproval", () => {
  const ask = () => {
    throw new ApprovalRequired({
      approval: { id: "ask" as never, requestKind: "delete", reason: "it deletes", summary: "delete", metadata: {} }
    })
  }

  it("approves or rejects what was shown, also after a way through JSON, and once", async () => {
    await using manager = createTaskManager({
      tools: { delete: (_input, { approval }) => approval === undefined ? ask() : "deleted" }
    })
    for (const id of ["one", "two"]) await manager.startTask(call("delete", null, id))
    await manager.waitForIdle()
    const [one, two] = JSON.parse(JSON.stringify(await manager.listSuspended()))
    assert.strictEqual((await manager.answerApproval(one, "approve"))?._tag, "Pending")
    assert.isUndefined(await manager.answerApproval(two, { reject: "not today" }))
    await manager.waitForIdle()
    assert.include(JSON.stringify(await manager.result(one.taskId)), "deleted")
    assert.include(JSON.stringify(await manager.result(two.taskId)), "not today")
    assert.instanceOf(await rejection(manager.answerApproval(one, "approve")), ApprovalMismatch)
  })
})
