/** Tools that read what is said to them. */
import { assert, describe, it } from "@effect/vitest"
import { RoutingDecision, TaskDoesNotListen, TaskNotFound, TaskNotRunning } from "effect-task-manager"
import { createTaskManager, type PromiseTool } from "effect-task-manager/promise"
import { aborted, call, makeSignal, nextResult, pendingId, rejection } from "./support.js"

const inBackground = () => RoutingDecision.Background()

/** Ends once it is told to. */
const reader: PromiseTool = async (_, { messages }) => {
  const heard: Array<string> = []
  for await (const message of messages) {
    if (message === "end") break
    heard.push(message)
  }
  return heard
}

describe("messages", () => {
  it("are read in order, by a loop that may be left and begun again", async () => {
    await using manager = createTaskManager({
      tools: {
        twice: async (input, context) => [await reader(input, context), await reader(input, context)],
        // one iterator, asked by hand
        byHand: async (_, { messages }) => [(await messages.next()).value, (await messages.next()).value]
      }
    })
    const twice = await pendingId(manager, call("twice"))
    for (const message of ["one", "two", "end", "three", "end"]) await manager.steer(twice, message)
    assert.deepStrictEqual((await nextResult(manager)).output, {
      _tag: "Structured",
      value: [["one", "two"], ["three"]]
    })
    const byHand = await pendingId(manager, call("byHand"))
    for (const message of ["one", "two"]) await manager.steer(byHand, message)
    assert.deepStrictEqual((await nextResult(manager)).output, { _tag: "Structured", value: ["one", "two"] })
  })

  it("come from the parent of a task as well", async () => {
    await using manager = createTaskManager({
      tools: {
        reader,
        parent: async (_, { manager, request }) => {
          const launch = { request: { ...request, callId: "child", toolName: "reader" } }
          const child = await pendingId(manager, launch)
          await manager.steer(child, "from your parent")
          await manager.steer(child, "end")
          await manager.waitForTask([child])
          return (await manager.takeResult(child))?.item
        }
      },
      routing: inBackground
    })
    const parent = await pendingId(manager, call("parent"))
    await manager.waitForTask([parent])
    assert.include(JSON.stringify(await manager.result(parent)), "from your parent")
  })

  it("are refused where no tool listens", async () => {
    await using manager = createTaskManager({
      tools: { deaf: (_, { signal }) => aborted(signal) },
      routing: inBackground
    })
    const deaf = await pendingId(manager, call("deaf"))
    assert.instanceOf(await rejection(manager.steer(deaf, "hello")), TaskDoesNotListen)
    await manager.cancel(deaf)
    assert.instanceOf(await rejection(manager.steer(deaf, "hello")), TaskNotRunning)
    assert.instanceOf(await rejection(manager.steer("nobody", "hello")), TaskNotFound)
  })

  it("end when the task is cancelled, without an error", async () => {
    const ended = makeSignal<string>()
    await using manager = createTaskManager({
      tools: {
        reader: async (input, context) => {
          const heard = await reader(input, context)
          ended.resolve(`ended after ${String(heard)}`)
        }
      },
      config: { cancelGracePeriod: Infinity }
    })
    const id = await pendingId(manager, call("reader"))
    await manager.steer(id, "one")
    await manager.cancel(id)
    assert.strictEqual(await ended.promise, "ended after one")
  })
})
