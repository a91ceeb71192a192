/** The MCP server and clients that nobody here wrote: the official ones of both generations, in memory and on a socket. */
import { assert, describe, it } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { createTaskSessionFromClient, type RawClientDispatch } from "@modelcontextprotocol/ext-tasks/client"
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport as OldHttpTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { TaskManager, TaskManagerLive } from "effect-task-manager"
import { McpServer } from "effect-task-manager/mcp"
import { Gates, options, startServer, tasksExtension, token, toolsOf } from "./server/support.js"

const headers = { authorization: `Bearer ${token}` }

/** A client of the first SDK, whose user answers what it is asked with `answer`. */
const oldClient = (answer?: (message: string) => Record<string, unknown>) => {
  const client = new OldClient({ name: "old", version: "1" }, {
    capabilities: { tasks: { list: {}, cancel: {} }, ...(answer === undefined ? {} : { elicitation: { form: {} } }) }
  })
  if (answer !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => answer(params.message) as never)
  }
  return client
}

/** A server in memory, and a client of the first SDK on it. */
const inMemory = (answer?: (message: string) => Record<string, unknown>) =>
  Effect.gen(function*() {
    const gates = new Gates()
    const context = yield* Layer.build(
      McpServer.layer(options).pipe(Layer.provide(toolsOf(gates)), Layer.provideMerge(TaskManagerLive))
    )
    const { manager, server } = yield* Effect.all({ manager: TaskManager, server: McpServer }).pipe(
      Effect.provide(context)
    )
    const [there, here] = InMemoryTransport.createLinkedPair()
    // the transports of both SDKs are the same to each other
    const serving = yield* Effect.forkScoped(server.serve(there as never))
    yield* Effect.yieldNow()
    const client = oldClient(answer)
    yield* Effect.promise(() => client.connect(here))
    return { client, gates, manager, serving }
  })

const onSocket = (answer?: (message: string) => Record<string, unknown>) =>
  Effect.gen(function*() {
    const server = yield* startServer()
    const client = oldClient(answer)
    const transport = new OldHttpTransport(new URL(server.url), { requestInit: { headers } })
    yield* Effect.promise(() => client.connect(transport as never))
    yield* Effect.addFinalizer(() => Effect.promise(() => client.close()))
    return { ...server, client, transport }
  })

const stream = async (client: OldClient, name: string, task: { ttl?: number } = {}) => {
  const types: Array<string> = []
  const messages = client.experimental.tasks.callToolStream({ name, arguments: {} }, CallToolResultSchema, { task })
  for await (const message of messages) {
    if (types.at(-1) !== message.type) types.push(message.type)
    if (message.type === "result") return { types, result: message.result }
    if (message.type === "error") return { types, error: message.error }
  }
  return { types }
}

const firstTask = async (client: OldClient, name: string, task: { ttl?: number } = {}) => {
  const messages = client.experimental.tasks.callToolStream({ name, arguments: {} }, CallToolResultSchema, { task })
  const { value } = await messages.next()
  assert.strictEqual(value?.type, "taskCreated")
  return value?.type === "taskCreated" ? value.task : assert.fail()
}

const failure = (run: () => Promise<unknown>) =>
  Effect.promise(() => run().then(() => undefined, (error: { readonly code: number }) => error.code))

const answers = (message: string) => ({
  action: "accept",
  content: message.includes("Where to?") ? { answer: "eu" } : message.includes("How many?") ? { answer: 4 } : {}
})

for (const [where, connect] of [["in memory", inMemory], ["on a socket", onSocket]] as const) {
  describe(`a client of 2025-11-25 ${where}`, () => {
    it.scopedLive("sees which tools run as tasks", () =>
      Effect.gen(function*() {
        const { client } = yield* connect()
        const { tools } = yield* Effect.promise(() => client.listTools())
        const support = Object.fromEntries(tools.map(({ execution, name }) => [name, execution?.taskSupport]))
        assert.deepInclude(support, { echo: "forbidden", wait: "optional", fail: "required" })
        assert.isDefined(client.getServerCapabilities()?.tasks?.requests?.tools?.call)
        assert.strictEqual(yield* failure(() => client.callTool({ name: "fail", arguments: {} })), -32600)
      }))

    it.scopedLive("has tasks that work, end, fail and are cancelled, and nothing changes after that", () =>
      Effect.gen(function*() {
        const { client, gates } = yield* connect()
        const task = yield* Effect.promise(() => firstTask(client, "wait", { ttl: 60_000 }))
        assert.strictEqual(task.status, "working")
        assert.strictEqual(task.ttl, 60_000)
        const { tasks } = client.experimental
        assert.deepEqual((yield* Effect.promise(() => tasks.listTasks())).tasks.map(({ taskId }) => taskId), [
          task.taskId
        ])
        const waiting = yield* Effect.fork(Effect.promise(() => tasks.getTaskResult(task.taskId, CallToolResultSchema)))
        yield* Deferred.succeed(gates.go, undefined)
        const result = yield* Fiber.join(waiting)
        assert.deepEqual(result.content, [{ type: "text", text: "done" }])
        assert.deepEqual(result._meta, { "io.modelcontextprotocol/related-task": { taskId: task.taskId } })
        assert.strictEqual(yield* failure(() => tasks.cancelTask(task.taskId)), -32602)
        assert.strictEqual((yield* Effect.promise(() => tasks.getTask(task.taskId))).status, "completed")
        assert.strictEqual(yield* failure(() => tasks.getTask("nothing")), -32602)

        const failed = yield* Effect.promise(() => stream(client, "fail"))
        assert.isTrue(failed.result?.isError)
        const lost = yield* Effect.promise(() => stream(client, "lost"))
        assert.strictEqual(lost.types.at(-1), "error")
      }))

    it.scopedLive("cancels a task, whose tool is interrupted", () =>
      Effect.gen(function*() {
        const { client, gates } = yield* connect()
        const { tasks } = client.experimental
        const { taskId } = yield* Effect.promise(() => firstTask(client, "wait"))
        assert.strictEqual((yield* Effect.promise(() => tasks.cancelTask(taskId))).status, "cancelled")
        yield* Deferred.await(gates.interrupted)
        yield* Deferred.succeed(gates.go, undefined)
        assert.strictEqual((yield* Effect.promise(() => tasks.getTask(taskId))).status, "cancelled")
        assert.strictEqual(yield* failure(() => tasks.getTaskResult(taskId, CallToolResultSchema)), -32603)
      }))

    it.scopedLive("is asked, in a task and in a call", () =>
      Effect.gen(function*() {
        const { client } = yield* connect(answers)
        const task = yield* Effect.promise(() => stream(client, "configure"))
        assert.deepEqual(task.result?.content, [{ type: "text", text: "4 in eu" }])
        const call = yield* Effect.promise(() => client.callTool({ name: "deploy", arguments: {} }))
        assert.deepEqual(call.content, [{ type: "text", text: "deployed" }])
      }))

    it.scopedLive("that declines, answers what is no answer, or cannot be asked has rejected", () =>
      Effect.gen(function*() {
        const wrong = yield* connect(() => ({ action: "accept", content: { answer: "mars" } }))
        assert.isTrue((yield* Effect.promise(() => stream(wrong.client, "configure"))).result?.isError)
        const declines = yield* connect(() => ({ action: "decline" }))
        assert.isTrue((yield* Effect.promise(() => stream(declines.client, "deploy"))).result?.isError)
        const cannot = yield* connect()
        assert.isTrue((yield* Effect.promise(() => stream(cannot.client, "deploy"))).result?.isError)
      }))

    it.scopedLive("that takes a call back interrupts its tool", () =>
      Effect.gen(function*() {
        const { client, gates } = yield* connect()
        const controller = new AbortController()
        const call = yield* Effect.fork(
          failure(() =>
            client.callTool({ name: "wait", arguments: {} }, CallToolResultSchema, { signal: controller.signal })
          )
        )
        yield* Deferred.await(gates.started)
        controller.abort()
        yield* Deferred.await(gates.interrupted)
        yield* Fiber.join(call)
      }))
  })
}

describe("a client that goes", () => {
  it.scopedLive("takes its tasks with it, in memory", () =>
    Effect.gen(function*() {
      const { client, gates, manager, serving } = yield* inMemory()
      yield* Effect.promise(() => firstTask(client, "wait"))
      yield* Effect.promise(() => client.close())
      yield* Deferred.await(gates.interrupted)
      yield* Fiber.join(serving)
      assert.lengthOf(yield* manager.handle.listRunning, 0)
    }))

  it.scopedLive("ends its session, and its tasks with it", () =>
    Effect.gen(function*() {
      const { client, gates, transport } = yield* onSocket()
      yield* Effect.promise(() => firstTask(client, "wait"))
      yield* Effect.promise(() => transport.terminateSession())
      yield* Deferred.await(gates.interrupted)
    }))

  it.scopedLive("without a word loses its session after a while, and its tasks with it", () =>
    Effect.gen(function*() {
      const server = yield* startServer({ sessionIdle: "200 millis" })
      const client = oldClient()
      const transport = new OldHttpTransport(new URL(server.url), { requestInit: { headers } })
      yield* Effect.promise(() => client.connect(transport as never))
      yield* Effect.promise(() => firstTask(client, "wait"))
      yield* Effect.promise(() => client.close())
      yield* Deferred.await(server.gates.interrupted)
    }))

  it.scopedLive("has a session that no other client can use, and there are so many of them", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer({
        maxSessions: 1,
        token: { one: Redacted.make("1"), other: Redacted.make("2") }
      })
      const post = (bearer: string, body: unknown, more: Record<string, string> = {}) =>
        Effect.promise(async () => {
          const response = await fetch(url, {
            method: "POST",
            headers: {
              authorization: `Bearer ${bearer}`,
              accept: "application/json, text/event-stream",
              "content-type": "application/json",
              ...more
            },
            body: JSON.stringify({ jsonrpc: "2.0", ...Object(body) })
          })
          await response.text()
          return { status: response.status, session: response.headers.get("mcp-session-id") ?? "" }
        })
      const initialize = {
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } }
      }
      // a session of which its client does not learn is none
      const refused = yield* post("1", initialize, { accept: "text/plain" })
      assert.deepStrictEqual(refused, { status: 406, session: "" })
      const { session } = yield* post("1", initialize)
      assert.strictEqual((yield* post("2", initialize)).status, 503)
      const list = { id: 2, method: "tools/list" }
      assert.strictEqual((yield* post("2", list, { "mcp-session-id": session })).status, 404)
      assert.strictEqual((yield* post("1", list)).status, 400)
      assert.strictEqual((yield* post("1", list, { "mcp-session-id": session })).status, 200)
    }))
})

describe("the official client of 2026-07-28 with its tasks", () => {
  const clientInfo = { name: "new", version: "1" }
  const clientCapabilities = { elicitation: { form: {} }, extensions: { [tasksExtension]: {} } }
  const protocolVersion = "2026-07-28"

  it.scopedLive("calls, waits, is asked and cancels", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer()
      const client = new Client(clientInfo, {
        capabilities: clientCapabilities,
        versionNegotiation: { mode: "auto" }
      })
      yield* Effect.promise(() =>
        client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }))
      )
      assert.strictEqual(client.getProtocolEra(), "modern")
      let ids = 1_000
      // what the host's own transport does
      const rawDispatch: RawClientDispatch = async (given, sent) => {
        const request = given as { readonly method: string; readonly params: Record<string, unknown> }
        const { method, params } = request
        const name = params[method === "tools/call" ? "name" : "taskId"]
        const response = await fetch(url, {
          method: "POST",
          headers: {
            ...headers,
            accept: "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": protocolVersion,
            "mcp-method": method,
            ...(typeof name === "string" ? { "mcp-name": name } : {})
          },
          body: JSON.stringify({ jsonrpc: "2.0", id: ids++, ...request }),
          ...(sent?.signal === undefined ? {} : { signal: sent.signal })
        })
        return await response.json() as Awaited<ReturnType<RawClientDispatch>>
      }
      const asked: Array<string> = []
      const session = createTaskSessionFromClient(client, {
        endpointId: "test",
        rawDispatch,
        v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities },
        onInputRequest: async (request) => {
          asked.push(request.kind)
          return { action: "accept", content: { answer: asked.length === 1 ? "eu" : 4 } } as never
        }
      })
      const outcome = (name: string) =>
        Effect.promise(async () => {
          const execution = await session.callTool(name, {})
          return { kind: execution.kind, outcome: (await execution.settle()).outcome }
        })
      assert.include(JSON.stringify(yield* outcome("data")), "size")
      assert.include(JSON.stringify(yield* outcome("configure")), "4 in eu")
      assert.lengthOf(asked, 2)
      assert.include(JSON.stringify(yield* outcome("fail")), "It broke.")
      assert.include(JSON.stringify(yield* outcome("lost")), "It is gone.")
      yield* Effect.promise(async () => {
        const execution = await session.callTool("wait", {})
        await execution.cancel()
      })
      yield* Deferred.await(gates.interrupted)
      yield* Effect.promise(() => session.close())
      yield* Effect.promise(() => client.close())
    }))
})
