/** Servers on Streamable HTTP, of both generations, and tasks that a server runs itself. */
import { it } from "@effect/vitest"
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from "@modelcontextprotocol/sdk/experimental/tasks"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import { createMcpHandler, McpServer as ModernServer } from "@modelcontextprotocol/server"
import { Effect, Schedule, type Scope } from "effect"
import { TaskManager } from "effect-task-manager"
import { McpTools } from "effect-task-manager/mcp"
import { randomUUID } from "node:crypto"
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { describe } from "vitest"
import { z } from "zod"
import {
  approvalOf,
  assert,
  call,
  endOf,
  inMemory,
  outputOf,
  progressOf,
  signal,
  start,
  world
} from "./toolsSupport.js"

const text = (said: string) => ({ content: [{ type: "text" as const, text: said }] })

/** A server of HTTP that can be cut off and come back on its port. */
const listening = (handle: Http.RequestListener, port = 0) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly cut: () => Promise<void> }>((resume) => {
      const sockets = new Set<Socket>()
      const server = Http.createServer(handle)
      server.on("connection", (socket) => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
      })
      server.listen(port, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (server.address() as AddressInfo).port,
          cut: () => {
            for (const socket of sockets) socket.destroy()
            return new Promise((resolve) => server.close(() => resolve()))
          }
        })))
    }),
    ({ cut }) => Effect.promise(cut)
  )

/** Sessions of the official server of the first generation. */
const sessions = (make: (server: McpServer) => void): Http.RequestListener => {
  const transports = new Map<string, StreamableHTTPServerTransport>()
  return async (request, response) => {
    const id = request.headers["mcp-session-id"]
    if (request.headers.authorization !== "Bearer token") return void response.writeHead(401).end()
    let transport = typeof id === "string" ? transports.get(id) : undefined
    if (transport === undefined) {
      if (typeof id === "string") return void response.writeHead(404).end()
      const made = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (sessionId) => void transports.set(sessionId, made)
      })
      transport = made
      const server = new McpServer({ name: "http", version: "1" })
      make(server)
      await server.connect(made as never)
    }
    await transport.handleRequest(request, response)
  }
}

const remote = (port: number) =>
  McpTools.http({ name: "http", url: `http://127.0.0.1:${port}/mcp`, headers: [["authorization", "Bearer token"]] })

const withServer = <A, E, R>(
  handle: Http.RequestListener,
  use: (port: number, cut: () => Promise<void>) => Effect.Effect<A, E, R | Scope.Scope>
) => Effect.scoped(Effect.flatMap(listening(handle), ({ cut, port }) => use(port, cut)))

describe("a server on HTTP", () => {
  const aborted = signal<void>()
  const began = signal<void>()
  const tools = (server: McpServer) => {
    server.registerTool("greet", { inputSchema: { name: z.string() } }, ({ name }) => text(`Hello, ${name}!`))
    server.registerTool("count", {}, async (extra) => {
      const progressToken = extra._meta?.progressToken ?? ""
      const params = { progressToken, progress: 1, total: 2, message: "half" }
      await extra.sendNotification({ method: "notifications/progress", params })
      return text("done")
    })
    server.registerTool("hang", {}, (extra) =>
      new Promise((resolve) => {
        began.say()
        extra.signal.addEventListener("abort", () => {
          aborted.say()
          resolve(text("aborted"))
        })
      }))
    server.registerTool("ask", {}, async (extra) => {
      const answer = await extra.sendRequest(
        {
          method: "elicitation/create",
          params: { message: "Who?", requestedSchema: { type: "object", properties: { name: { type: "string" } } } }
        },
        z.looseObject({})
      )
      return text(JSON.stringify(answer))
    })
  }

  it.live(
    "is called, reports progress, asks, and is cancelled",
    () =>
      withServer(sessions(tools), (port) =>
        Effect.gen(function*() {
          const manager = yield* TaskManager
          assert.strictEqual(yield* call("http__greet", { name: "Ada" }), "Completed: Hello, Ada!")
          const counting = yield* start("http__count")
          assert.deepStrictEqual(yield* progressOf(counting, 1), [{ message: "half", fraction: 0.5 }])
          const asking = yield* start("http__ask")
          yield* manager.answerApproval(yield* approvalOf(asking), { answers: { "mcp-1": { name: "Ada" } } })
          assert.include(outputOf((yield* endOf(asking)).result), "\"name\":\"Ada\"")
          const hanging = yield* start("http__hang")
          yield* began.said
          yield* manager.handle.cancel(hanging)
          yield* aborted.said
          assert.strictEqual((yield* endOf(hanging)).tag, "Cancelled")
        }).pipe(Effect.provide(world({ servers: [remote(port)] })))),
    30_000
  )

  it.live("that is cut off in mid-call leaves the outcome unknown, and is used again when it is back", () => {
    const hangs = signal<void>()
    const handle = () =>
      sessions((server) => {
        server.registerTool("greet", {}, () => text("hi"))
        server.registerTool("hang", {}, () => {
          hangs.say()
          return new Promise(() => {})
        })
      })
    return withServer(handle(), (port, cut) =>
      Effect.gen(function*() {
        const hanging = yield* start("http__hang")
        yield* hangs.said
        yield* Effect.promise(cut)
        const { reason, result } = yield* endOf(hanging)
        assert.strictEqual(reason, "Interrupted")
        assert.include(outputOf(result), "nobody knows what the call has done")
        // it waits for the server, which has forgotten the session
        const waiting = yield* start("http__greet")
        yield* listening(handle(), port)
        assert.strictEqual(outputOf((yield* endOf(waiting)).result), "hi")
      }).pipe(Effect.provide(world({ servers: [remote(port)], restart: Schedule.spaced("50 millis") }))))
  }, 30_000)

  it.live("that has forgotten the session is connected to again, and the call is made once", () => {
    let calls = 0
    let forget = false
    const make = () =>
      sessions((server) => {
        server.registerTool("greet", {}, () => text(`call ${++calls}`))
      })
    let handle = make()
    return withServer((request, response) => {
      if (forget) {
        forget = false
        handle = make()
      }
      return handle(request, response)
    }, (port) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* call("http__greet"), "Completed: call 1")
        forget = true
        assert.strictEqual(yield* call("http__greet"), "Completed: call 2")
      }).pipe(Effect.provide(world({ servers: [remote(port)], restart: Schedule.spaced("50 millis") }))))
  }, 30_000)

  it.live(
    "that does not let us in fails the layer, without the secret",
    () =>
      withServer(sessions(tools), (port) =>
        Effect.gen(function*() {
          const wrong = McpTools.http({
            name: "http",
            url: `http://127.0.0.1:${port}/mcp`,
            headers: [["authorization", "Bearer hidden"]]
          })
          const failed = yield* Effect.flip(Effect.provide(Effect.void, McpTools.layer({ servers: [wrong] })))
          assert.notInclude(`${failed.message} ${JSON.stringify(failed)}`, "hidden")
        })),
    30_000
  )
})

describe("tasks of a server", () => {
  it.live("of the generation of 2025-11-25 are followed to their end, and cancelled", () => {
    const cancelled = signal<string>()
    const followed = signal<void>()
    const endings = new Set<string>()
    /** A task has ended, or can be cancelled, once its client has asked about it while it works. */
    class Store extends InMemoryTaskStore {
      override async getTask(...args: Parameters<InMemoryTaskStore["getTask"]>) {
        const task = await super.getTask(...args)
        if (!endings.has(args[0])) followed.say()
        else if (task?.status === "working") await this.storeTaskResult(args[0], "completed", text("slowly"))
        return task
      }
      override async updateTaskStatus(...args: Parameters<InMemoryTaskStore["updateTaskStatus"]>) {
        await super.updateTaskStatus(...args)
        cancelled.say(args[1])
      }
    }
    const server = inMemory("s", (mcp) => {
      mcp.experimental.tasks.registerToolTask("slow", {
        inputSchema: { ends: z.boolean() },
        execution: { taskSupport: "required" }
      }, {
        createTask: async ({ ends }, extra) => {
          const task = await extra.taskStore.createTask({ ttl: 60_000, pollInterval: 20 })
          if (ends) endings.add(task.taskId)
          return { task }
        },
        getTask: (_input, extra) => extra.taskStore.getTask(extra.taskId),
        getTaskResult: async (_input, extra) => await extra.taskStore.getTaskResult(extra.taskId) as never
      })
    }, {
      capabilities: { tools: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      taskStore: new Store(),
      taskMessageQueue: new InMemoryTaskMessageQueue()
    })
    return Effect.gen(function*() {
      const { handle } = yield* TaskManager
      assert.strictEqual(yield* call("s__slow", { ends: true }), "Completed: slowly")
      const task = yield* start("s__slow", { ends: false })
      yield* followed.said
      yield* handle.cancel(task)
      assert.strictEqual(yield* cancelled.said, "cancelled")
    }).pipe(Effect.provide(world({ servers: [server] })))
  }, 30_000)

  it.live("of the extension of 2026-07-28 are followed, asked for, cancelled, and fail", () => {
    const extension = "io.modelcontextprotocol/tasks"
    interface Task {
      readonly name: string
      status: string
      inputRequests?: object | undefined
      result?: object | undefined
      error?: object | undefined
    }
    const tasks = new Map<string, Task>()
    const cancelled = signal<string>()
    const followed = signal<void>()
    const at = new Date().toISOString()
    const seed = (taskId: string, { name: _name, ...task }: Task) => ({
      taskId,
      createdAt: at,
      lastUpdatedAt: at,
      ttlMs: 60_000,
      pollIntervalMs: 20,
      ...task
    })
    const requested = {
      ask: {
        method: "elicitation/create",
        params: {
          mode: "form",
          message: "Really?",
          requestedSchema: { type: "object", properties: { sure: { type: "boolean" } } }
        }
      }
    }
    const make = () => {
      const mcp = new ModernServer({ name: "modern", version: "1" }, {
        capabilities: { tools: {}, extensions: { [extension]: {} } }
      })
      const { server } = mcp
      const names = ["now", "later", "asks", "fails", "hangs"]
      server.setRequestHandler(
        "tools/list",
        () => ({ tools: names.map((name) => ({ name, inputSchema: { type: "object" as const } })) }) as never
      )
      server.setRequestHandler("tools/call", (request) => {
        const { name } = request.params
        if (name === "now") return text("at once") as never
        const taskId = randomUUID()
        const task: Task = { name, status: "working" }
        tasks.set(taskId, task)
        const { inputRequests: _none, ...created } = seed(taskId, task)
        return { resultType: "task", ...created } as never
      })
      /** What becomes of a task once it was asked about while it worked. */
      const goOn = (task: Task): void => {
        if (task.status !== "working") return
        if (task.name === "asks") Object.assign(task, { status: "input_required", inputRequests: requested })
        if (task.name === "later") {
          Object.assign(task, { status: "completed", result: { resultType: "complete", ...text("later") } })
        }
        if (task.name === "fails") {
          Object.assign(task, { status: "failed", error: { code: -32_603, message: "it broke" } })
        }
        if (task.name === "hangs") followed.say()
      }
      const params = z.looseObject({ taskId: z.string() })
      const found = (taskId: string): Task =>
        tasks.get(taskId) ?? { name: "", status: "failed", error: { code: -32_602, message: "no" } }
      server.setRequestHandler(
        "tasks/get",
        { params } as never,
        ((given: { taskId: string }) => {
          const task = found(given.taskId)
          const answer = { resultType: "complete", ...seed(given.taskId, task) }
          goOn(task)
          return answer
        }) as never
      )
      server.setRequestHandler(
        "tasks/cancel",
        { params } as never,
        ((given: { taskId: string }) => {
          const task = found(given.taskId)
          task.status = "cancelled"
          cancelled.say(task.name)
          return { resultType: "complete" }
        }) as never
      )
      server.setRequestHandler(
        "tasks/update",
        { params } as never,
        ((given: { taskId: string }, context: { mcpReq: { inputResponses?: unknown } }) => {
          Object.assign(found(given.taskId), {
            status: "completed",
            inputRequests: undefined,
            result: { resultType: "complete", ...text(JSON.stringify(context.mcpReq.inputResponses)) }
          })
          return { resultType: "complete" }
        }) as never
      )
      return mcp
    }
    const handler = createMcpHandler(make)
    const listener: Http.RequestListener = async (request, response) => {
      const chunks: Array<Uint8Array> = []
      for await (const chunk of request) chunks.push(chunk)
      const given = await handler.fetch(
        new Request(`http://127.0.0.1${request.url}`, {
          method: request.method ?? "POST",
          headers: request.headers as Record<string, string>,
          ...(request.method === "POST" ? { body: Buffer.concat(chunks) } : undefined)
        })
      )
      response.writeHead(given.status, Object.fromEntries(given.headers))
      if (given.body === null) return void response.end()
      const reader = given.body.getReader()
      response.on("close", () => void reader.cancel())
      for (let part = await reader.read(); !part.done; part = await reader.read()) response.write(part.value)
      response.end()
    }
    return withServer(listener, (port) =>
      Effect.gen(function*() {
        const manager = yield* TaskManager
        assert.strictEqual(yield* call("http__now"), "Completed: at once")
        assert.strictEqual(yield* call("http__later"), "Completed: later")
        assert.strictEqual(
          yield* call("http__fails"),
          "ExecutionFailed: The MCP server \"http\" answered with an error: it broke"
        )
        const asking = yield* start("http__asks")
        const asked = yield* approvalOf(asking)
        assert.strictEqual(asked.approval.summary, "http asks: Really?")
        yield* manager.answerApproval(asked, { answers: { "mcp-1": { sure: true } } })
        assert.strictEqual(
          outputOf((yield* endOf(asking)).result),
          "{\"ask\":{\"action\":\"accept\",\"content\":{\"sure\":true}}}"
        )
        const hanging = yield* start("http__hangs")
        yield* followed.said
        yield* manager.handle.cancel(hanging)
        assert.strictEqual(yield* cancelled.said, "hangs")
        assert.strictEqual((yield* endOf(hanging)).tag, "Cancelled")
      }).pipe(Effect.provide(world({ servers: [remote(port)] }))))
  }, 30_000)
})
