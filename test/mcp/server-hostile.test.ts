/** What must not harm a server or its other calls: a host whose functions throw, a tool that tells without an end, a client that reads nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { CurrentTask, TaskManagerLive, ToolExecutor } from "effect-task-manager"
import { McpServer } from "effect-task-manager/mcp"
import { callTool, startServer, taskIn } from "./server/support.js"

describe("a function of the host that throws", () => {
  it.scopedLive("costs only what it was asked about", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer({
        protocolError: () => {
          throw new Error("broken")
        }
      })
      const { taskId } = (yield* callTool(url, "fail")).body.result
      const failed = yield* taskIn(url, taskId, "completed")
      assert.isTrue(failed.result?.isError)
      const waiting = (yield* callTool(url, "wait")).body.result
      yield* Deferred.succeed(gates.go, undefined)
      const done = yield* taskIn(url, waiting.taskId, "completed")
      assert.deepEqual(done.result.content, [{ type: "text", text: "done" }])
    }), 10_000)
})

/** A client of 2025-11-25 on a transport of its own, which takes progress only if it is told to. */
const client = (takes: boolean) => {
  type Transport = Parameters<McpServer["Type"]["serve"]>[0]
  const said: Array<Record<string, any>> = []
  const waiting = new Map<unknown, () => void>()
  const transport: Transport = {
    start: () => Promise.resolve(),
    close: async () => transport.onclose?.(),
    send: (message) => {
      said.push(message)
      if ("id" in message) waiting.get(message.id)?.()
      return "method" in message && !takes ? new Promise(() => {}) : Promise.resolve()
    }
  }
  const request = (id: number, method: string, params: Readonly<Record<string, unknown>>) =>
    Effect.promise(() =>
      new Promise<void>((done) => {
        waiting.set(id, done)
        transport.onmessage?.({ jsonrpc: "2.0", id, method, params })
      })
    )
  const open = request(1, "initialize", {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "raw", version: "1" }
  })
  const progress = () => said.filter(({ method }) => method === "notifications/progress").map(({ params }) => params)
  return { transport, request, open, progress }
}

describe("progress", () => {
  const Tools = ToolExecutor.fromHandlers({
    many: () =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        for (let at = 0; at < 100; at++) {
          yield* task.reportProgress({ message: `step ${at}` })
          yield* Effect.promise(() => new Promise((done) => setImmediate(done)))
        }
        return "done"
      }),
    mixed: () =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        for (const progress of [{ message: "begins" }, { fraction: 0.5 }, { fraction: 0.5, message: "still" }]) {
          yield* task.reportProgress(progress)
          yield* Effect.promise(() => new Promise((done) => setImmediate(done)))
        }
        return "done"
      })
  })

  const told = (name: string, takes: boolean) =>
    Effect.gen(function*() {
      const { serve } = yield* McpServer
      const { open, progress, request, transport } = client(takes)
      yield* Effect.forkScoped(serve(transport))
      yield* Effect.yieldNow()
      yield* open
      yield* request(2, "tools/call", { name, arguments: {}, _meta: { progressToken: "p" } })
      return progress()
    }).pipe(Effect.provide(McpServer.layer().pipe(Layer.provide(Tools), Layer.provide(TaskManagerLive))))

  it.scopedLive("waits for a client that does not read, and is not kept for it", () =>
    Effect.map(told("many", false), (progress) => assert.lengthOf(progress, 1)))

  it.scopedLive("only grows, and nothing that is said is lost, whether a tool gives numbers or not", () =>
    Effect.map(told("mixed", true), (progress) => {
      assert.deepEqual(progress.map(({ message, total }) => [message, total]), [
        ["begins", undefined],
        [undefined, 1],
        ["still", 1]
      ])
      const [first, second, third] = progress.map((one) => Number(one["progress"]))
      assert.strictEqual(second, 0.5)
      assert.isBelow(first ?? 1, 0.5)
      assert.isAbove(third ?? 0, 0.5)
      assert.isBelow(third ?? 1, 0.501)
    }))
})
