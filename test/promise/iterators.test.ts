import { assert, describe, it } from "@effect/vitest"
import type { TaskEvent } from "effect-task-manager"
import { createTaskManager } from "effect-task-manager/promise"
import { spawn } from "node:child_process"
import { bundle } from "../support/bundle.js"
import { aborted, call, makeSignal, pendingId, rejection, turn } from "./support.js"

const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
const tools = { test: () => "passed" }

const run = async (manager: ReturnType<typeof createTaskManager>) => {
  await manager.startTask(call("test"))
  await manager.waitForTurn(turn)
}

describe("iterators of events", () => {
  it("replay what was, then follow; several readers see the same", async () => {
    await using manager = createTaskManager({ tools })
    await run(manager)
    const read = async (count: number, events: AsyncIterable<TaskEvent>) => {
      const seen: Array<string> = []
      for await (const event of events) {
        seen.push(`${event.seq} ${event._tag}`)
        if (seen.length === count) break
      }
      return seen
    }
    const { events, live, seq } = await manager.watch()
    const live_ = await manager.subscribe()
    const all = [read(4, manager.events()), read(4, manager.events()), read(2, events), read(2, live_)]
    await run(manager)
    const whole = ["1 Started", "2 Completed", "3 Started", "4 Completed"]
    assert.deepStrictEqual(await Promise.all(all), [whole, whole, whole.slice(2), whole.slice(2)])
    assert.deepStrictEqual({ live, seq }, { live: [], seq: 2 })
  })

  it("answer overlapping calls of next one after the other", async () => {
    await using manager = createTaskManager({ tools })
    await using events = manager.events()
    const reads = [events.next(), events.next(), events.next()]
    await run(manager)
    await run(manager)
    const seqs = (await Promise.all(reads)).map((read) => read.done === true ? 0 : read.value.seq)
    assert.deepStrictEqual(seqs, [1, 2, 3])
  })

  it("return ends a next that waits, and the subscription", async () => {
    await using manager = createTaskManager({ tools, config: { eventBuffer: 2 } })
    for (const events of [manager.events(), await manager.subscribe(), (await manager.watch()).events]) {
      const waiting = events.next()
      assert.deepStrictEqual(await events.return(), done)
      assert.deepStrictEqual(await waiting, done)
      assert.deepStrictEqual(await events.return(), done)
      assert.deepStrictEqual(await events.next(), done)
    }
    const changes = manager.changes()
    assert.deepStrictEqual(await changes.next(), { done: false, value: [] })
    const next = changes.next()
    await changes[Symbol.asyncDispose]()
    assert.deepStrictEqual(await next, done)
  })

  it("return of one that was never read ends its subscription", async () => {
    await using manager = createTaskManager({ tools })
    const events = await manager.subscribe()
    await run(manager)
    await events.return()
    // what it held is gone with the subscription
    assert.deepStrictEqual(await events.next(), done)
  })

  it("an abort ends the subscription of a reader that never comes back", async () => {
    await using manager = createTaskManager({ tools })
    const controller = new AbortController()
    const events = await manager.subscribe({ signal: controller.signal })
    await run(manager)
    assert.strictEqual((await events.next()).done, false)
    controller.abort("enough")
    assert.strictEqual(await rejection(events.next()), "enough")
    assert.deepStrictEqual(await events.next(), done)
  })

  it("end when the manager is closed, after what they hold", async () => {
    const manager = createTaskManager({ tools })
    const events = await manager.subscribe()
    await run(manager)
    const lastLive = (async () => {
      let last: unknown = undefined
      for await (const live of manager.changes()) last = live
      return last
    })()
    await manager.close()
    assert.deepStrictEqual(await lastLive, [])
    const seen: Array<string> = []
    for await (const event of events) seen.push(event._tag)
    assert.deepStrictEqual(seen, ["Started", "Completed"])
    assert.deepStrictEqual((await manager.events().next()).done, false)
  })
})

describe("changes", () => {
  it("give the live tasks, then the latest after each change", async () => {
    const release = makeSignal()
    await using manager = createTaskManager({ tools: { wait: async () => release.promise } })
    const counts: Array<number> = []
    for await (const live of manager.changes()) {
      counts.push(live.length)
      if (counts.length === 1) await pendingId(manager, call("wait"))
      if (counts.length === 2) {
        release.resolve()
        await manager.waitForIdle()
      }
      if (counts.length === 3) break
    }
    assert.deepStrictEqual(counts, [0, 1, 0])
  })
})

describe("a process", () => {
  it("ends by itself once its manager is closed", async () => {
    const program = await bundle("test/promise/fixtures/closes.ts")
    const child = spawn(process.execPath, [program.path], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
    const code = await new Promise((ended) => child.on("close", ended))
    await program.remove()
    assert.strictEqual(code, 0)
    assert.strictEqual(output, "closed\n")
  })

  it("may hold a closed manager whose tool never ended", async () => {
    const started = makeSignal()
    const manager = createTaskManager({
      config: { cancelGracePeriod: 0 },
      tools: {
        deaf: async (_input, { signal }) => {
          started.resolve()
          await aborted(signal)
          return new Promise(() => undefined)
        }
      }
    })
    await manager.startTask(call("deaf"))
    await started.promise
    await manager.close()
    assert.deepStrictEqual(await manager.listRunning(), [])
  })
})
