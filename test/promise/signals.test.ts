import { assert, describe, it } from "@effect/vitest"
import { RoutingDecision, type TurnTaskUpdate } from "effect-task-manager"
import { createTaskManager } from "effect-task-manager/promise"
import { getEventListeners } from "node:events"
import { aborted, call, makeSignal, nextResult, pendingId, rejection, turn } from "./support.js"

const hangingTool = async (_input: unknown, { signal }: { readonly signal: AbortSignal }) => aborted(signal)

const listeners = (signal: AbortSignal): number => getEventListeners(signal, "abort").length

describe("an aborted signal", () => {
  it("ends the wait with its reason, touches no task and takes nothing", async () => {
    const release = makeSignal<string>()
    await using manager = createTaskManager({ tools: { test: async () => release.promise } })
    const taskId = await pendingId(manager, call("test"))
    const controller = new AbortController()
    const { signal } = controller
    const waits = [
      manager.waitForTurn(turn, { signal }),
      manager.waitForTurn(turn, { signal, onAbort: "EndWait" }),
      manager.consumeTurnUpdate(turn, () => "never", { signal }),
      manager.waitForLoopUpdate("s", { signal }),
      manager.waitForTask([taskId], { signal }),
      manager.waitForIdle({ signal }),
      manager.changes({ signal }).next().then(() => manager.events({ signal })).then(async (events) => {
        for await (const _ of events) {}
      })
    ].map(rejection)
    const reason = new Error("enough")
    // the iterators wait for their first element by now
    await manager.listRunning()
    controller.abort(reason)
    for (const wait of waits) assert.strictEqual(await wait, reason)
    assert.strictEqual((await manager.get(taskId)).status, "Running")
    assert.strictEqual(listeners(signal), 0)
    release.resolve("passed")
    assert.isFalse((await nextResult(manager)).isError)
  })

  it("that was aborted before keeps a result from being taken, and lets go of a later wait", async () => {
    await using manager = createTaskManager({ tools: { test: () => "passed" } })
    const taskId = await pendingId(manager, call("test"))
    await manager.waitForTask([taskId])
    const signal = AbortSignal.abort("over")
    assert.strictEqual(await rejection(manager.waitForTurn(turn, { signal })), "over")
    assert.strictEqual(await rejection(manager.consumeTurnUpdate(turn, () => "never", { signal })), "over")
    assert.strictEqual(await rejection(manager.subscribe({ signal })), "over")
    assert.strictEqual(await rejection(manager.events({ signal }).next()), "over")
    assert.isFalse((await nextResult(manager)).isError)
  })

  it("leaves no listener behind when the wait ends by itself", async () => {
    await using manager = createTaskManager({ tools: { test: () => "passed" } })
    const { signal } = new AbortController()
    await manager.startTask(call("test"))
    assert.strictEqual((await manager.waitForTurn(turn, { signal }))?._tag, "Resolution")
    assert.strictEqual(await manager.waitForTurn(turn, { signal, onAbort: "InterruptTurn" }), undefined)
    await rejection(manager.cancel("nowhere", { signal }))
    for await (const _ of manager.events({ signal })) break
    assert.strictEqual(listeners(signal), 0)
  })

  it("interrupts the turn where it is told to, which then drains with one result per call", async () => {
    await using manager = createTaskManager({
      routing: ({ toolName }) => toolName === "server" ? RoutingDecision.Background() : RoutingDecision.Foreground(),
      tools: { hang: hangingTool, server: hangingTool, done: () => "done" }
    })
    const ids = [
      await pendingId(manager, call("hang")),
      await pendingId(manager, call("done")),
      await pendingId(manager, call("server"))
    ]
    const controller = new AbortController()
    const updates: Array<TurnTaskUpdate> = []
    const read = () => manager.waitForTurn(turn, { signal: controller.signal, onAbort: "InterruptTurn" })
    const first = await read()
    const second = read()
    controller.abort()
    for (let update = first; update !== undefined; update = updates.length === 1 ? await second : await read()) {
      updates.push(update)
    }
    const results = updates.map((update) =>
      update._tag === "Resolution" && update.resolution._tag === "Item" ? String(update.resolution.taskId) : ""
    )
    assert.deepStrictEqual(results, [ids[1], ids[0]].map(String))
    assert.strictEqual(listeners(controller.signal), 0)
    const statuses = await Promise.all(ids.map(async (id) => (await manager.get(id)).status))
    assert.deepStrictEqual(statuses, ["Cancelled", "Completed", "Running"])
  })

  it("that was aborted before interrupts the turn too", async () => {
    await using manager = createTaskManager({ tools: { hang: hangingTool } })
    const taskId = await pendingId(manager, call("hang"))
    const update = await manager.consumeTurnUpdate(turn, (update) => update._tag, {
      signal: AbortSignal.abort(),
      onAbort: "InterruptTurn"
    })
    assert.strictEqual(update, "Resolution")
    assert.strictEqual((await manager.get(taskId)).status, "Cancelled")
  })

  it("ends the wait for a cancel and not the cancel", async () => {
    const release = makeSignal()
    await using manager = createTaskManager({
      tools: {
        slow: async (_input, { signal }) => {
          await aborted(signal)
          await release.promise
        }
      }
    })
    const taskId = await pendingId(manager, call("slow"))
    const controller = new AbortController()
    const cancel = rejection(manager.cancel(taskId, { signal: controller.signal }))
    const interrupt = rejection(manager.onTurnInterrupted(turn, { signal: controller.signal }))
    controller.abort("enough")
    assert.deepStrictEqual(await Promise.all([cancel, interrupt]), ["enough", "enough"])
    assert.strictEqual((await manager.get(taskId)).status, "Cancelling")
    release.resolve()
    await manager.waitForTask([taskId])
    assert.strictEqual((await manager.get(taskId)).status, "Cancelled")
  })
})

describe("consuming", () => {
  it("puts back what a use that throws or rejects had, in order", async () => {
    await using manager = createTaskManager({
      routing: ({ turnId }) => turnId === "t" ? RoutingDecision.Foreground() : RoutingDecision.Background(),
      tools: { test: (input) => input }
    })
    const full = new Error("disk full")
    const fail = () => {
      throw full
    }
    const foreground = await pendingId(manager, call("test", 1))
    const background = await pendingId(manager, { request: { ...call("test", 2).request, turnId: "late" } })
    await manager.waitForIdle()
    assert.strictEqual(await rejection(manager.consumeTurnUpdate(turn, fail)), full)
    assert.strictEqual(await rejection(manager.consumeTurnUpdate(turn, async () => fail())), full)
    assert.strictEqual(await rejection(manager.consumePendingLoopUpdates("s", fail)), full)
    assert.strictEqual(await rejection(manager.consumeResult(background, fail)), full)
    assert.strictEqual(await manager.consumeResult(foreground, async ({ taskId }) => taskId), foreground)
    assert.strictEqual(await manager.consumeResult(foreground, () => "again"), undefined)
    assert.strictEqual(await manager.consumeTurnUpdate(turn, () => "again"), undefined)
    assert.strictEqual(await manager.consumePendingLoopUpdates("s", async ({ resolutions }) => resolutions.length), 1)
    assert.strictEqual(await manager.consumePendingLoopUpdates("s", ({ resolutions }) => resolutions.length), 0)
  })

  it("an abort while the use runs leaves it to the use: stored is stored", async () => {
    await using manager = createTaskManager({ tools: { test: () => "passed" } })
    for (const isStored of [true, false]) {
      await manager.startTask(call("test"))
      const storing = makeSignal()
      const stored = makeSignal()
      const controller = new AbortController()
      const consumed = manager.consumeTurnUpdate(turn, async () => {
        storing.resolve()
        await stored.promise
        if (!isStored) throw new Error("disk full")
        return "stored"
      }, { signal: controller.signal })
      await storing.promise
      controller.abort()
      stored.resolve()
      if (isStored) assert.strictEqual(await consumed, "stored")
      else assert.include(String(await rejection(consumed)), "disk full")
      // the next round would find it
      assert.strictEqual((await manager.waitForTurn(turn))?._tag, isStored ? undefined : "Resolution")
    }
  })
})
