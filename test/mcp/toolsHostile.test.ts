/** Servers that say much, listen to nothing, and ask late. */
import { CommandExecutor } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { it } from "@effect/vitest"
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { Effect, Layer, Logger, TestClock } from "effect"
import { TaskManager } from "effect-task-manager"
import { McpTools } from "effect-task-manager/mcp"
import { describe } from "vitest"
import { failureOf, wasNotSent } from "../../src/mcp/tools/internal/failures.js"
import { stdioTransport } from "../../src/mcp/tools/internal/stdio.js"
import { NotSent, Wire } from "../../src/mcp/tools/internal/Wire.js"
import { approvalOf, assert, call, endOf, inMemory, outputOf, signal, start, world } from "./toolsSupport.js"

const yes = { type: "object", properties: {} } as const

describe("a call that asks twice", () => {
  it.effect("has the whole time for the second question", () => {
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("deploy", {}, async () => {
        await mcp.server.elicitInput({ message: "First?", requestedSchema: yes })
        await mcp.server.elicitInput({ message: "Second?", requestedSchema: yes })
        return { content: [{ type: "text", text: "done" }] }
      })
    })
    return Effect.gen(function*() {
      const manager = yield* TaskManager
      const task = yield* start("s__deploy")
      const first = yield* approvalOf(task)
      yield* TestClock.adjust("50 minutes")
      yield* manager.answerApproval(first, { answers: { "mcp-1": {} } })
      const second = yield* approvalOf(task)
      yield* TestClock.adjust("50 minutes")
      yield* manager.answerApproval(second, { answers: { "mcp-2": {} } })
      assert.strictEqual(outputOf((yield* endOf(task)).result), "done")
    }).pipe(Effect.provide(world({ servers: [server] })))
  }, 10_000)

  it("is not said to be not made once its server has asked", () => {
    const error = new NotSent("The server has ended")
    const about = (hasAsked: boolean) => ({ isSent: false, hasAsked, taskId: undefined })
    assert.isTrue(wasNotSent(error, about(false)))
    assert.isFalse(wasNotSent(error, about(true)))
    const told = failureOf(error, { toolName: "t", server: "s", call: about(true), isClosed: false })
    assert.strictEqual(told.reason, "Interrupted")
    assert.include(told.message, "nobody knows what the call has done")
  })
})

/** A transport that notes what it is given, and is never done with what it is to say. */
const stuck = () => {
  const given: Array<JSONRPCMessage> = []
  const inner: Transport = {
    start: () => Promise.resolve(),
    close: () => Promise.resolve(),
    send: (message) => {
      given.push(message)
      return "method" in message ? Promise.resolve() : new Promise(() => {})
    }
  }
  return { inner, given }
}

describe("a server that asks without an end, and takes no answer", () => {
  it("has so many answers on their way at most", async () => {
    const { given, inner } = stuck()
    const wire = new Wire(inner)
    await wire.start()
    for (let id = 0; id < 1_000; id++) {
      inner.onmessage?.({ jsonrpc: "2.0", id, method: id % 2 === 0 ? "ping" : "roots/list" })
    }
    assert.lengthOf(given, 100)
  })

  it.scopedLive("has so many bytes waiting for it at most", () =>
    Effect.gen(function*() {
      const transport = yield* stdioTransport(McpTools.stdio({ name: "s", command: "sleep", args: ["1000"] }), {
        maxMessageBytes: 1_000_000,
        gracePeriod: 10,
        executor: yield* CommandExecutor.CommandExecutor
      })
      yield* Effect.promise(() => transport.start())
      const message = { jsonrpc: "2.0" as const, id: 1, result: { text: "x".repeat(500_000) } }
      const sent = yield* Effect.promise(() =>
        Promise.allSettled(Array.from({ length: 100 }, () => transport.send(message)))
      )
      assert.isBelow(sent.filter(({ status }) => status === "fulfilled").length, 5)
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("a call that is taken back", () => {
  it("leaves nothing where its server does not answer any more", async () => {
    const { inner } = stuck()
    const wire = new Wire(inner)
    await wire.start()
    for (let id = 0; id < 10; id++) {
      await wire.send({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "t" } })
      await wire.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } })
    }
    assert.strictEqual(wire["open"].size, 0)
  })
})

describe("a list that changes", () => {
  it.live("is warned of where a tool of it is left out", () => {
    const warned = signal<string>()
    const logger = Logger.make(({ annotations, message }) => {
      if (String(message).includes("left out")) warned.say(JSON.stringify([...annotations]))
    })
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("grow", {}, () => {
        mcp.registerTool("x".repeat(129), {}, () => ({ content: [] }))
        return { content: [] }
      })
    })
    return Effect.gen(function*() {
      yield* call("s__grow")
      assert.include(yield* warned.said, "its name is too long")
    }).pipe(Effect.provide(Layer.provide(world({ servers: [server] }), Logger.replace(Logger.defaultLogger, logger))))
  }, 10_000)
})
