/** A server on a socket, tools that a test holds in its hand, and a client of 2026-07-28 that says exactly what the test wants. */
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Deferred, Effect, FiberId, Layer, Option, Redacted, Schema } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  Question,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskManagerSettings,
  ToolError,
  ToolExecutor,
  ToolHandler,
  ToolOutput
} from "effect-task-manager"
import { type McpHttpOptions, McpServer, type McpServerOptions } from "effect-task-manager/mcp"
import { createServer } from "node:http"

export const tasksExtension = "io.modelcontextprotocol/tasks"

const approval = {
  id: ApprovalId.make("asked"),
  requestKind: "deploy",
  reason: "NeedsApproval",
  summary: "Deploy to production",
  metadata: {}
}

const region = Question.make("region", { text: "Where to?", schema: Schema.Literal("eu", "us") })
const replicas = Question.make("replicas", { text: "How many?", schema: Schema.Int.pipe(Schema.between(1, 9)) })

/** What the tools of a test wait for, and what became of them. */
export class Gates {
  readonly go = Deferred.unsafeMake<void>(FiberId.none)
  readonly started = Deferred.unsafeMake<void>(FiberId.none)
  readonly interrupted = Deferred.unsafeMake<void>(FiberId.none)
  runs = 0
}

export const toolsOf = (gates: Gates) =>
  ToolExecutor.fromHandlers({
    echo: ToolHandler.make({
      description: "Gives back what it is given",
      input: Schema.Struct({ text: Schema.String }),
      annotations: { title: "Echo", readOnlyHint: true, other: 1 },
      handle: ({ text }) => Effect.succeed(text)
    }),
    picture: () =>
      Effect.succeed(ToolOutput.Parts({
        parts: [
          { _tag: "Text", text: "seen" },
          { _tag: "Media", mediaType: "image/png", data: "aGk=" },
          { _tag: "Media", mediaType: "application/pdf", data: "aGk=" }
        ]
      })),
    data: () => Effect.succeed({ size: 3 }),
    wait: () =>
      Effect.gen(function*() {
        gates.runs++
        const task = yield* CurrentTask
        yield* task.reportProgress({ message: "halfway", fraction: 0.5 })
        yield* Deferred.succeed(gates.started, undefined)
        yield* Deferred.await(gates.go)
        return "done"
      }).pipe(Effect.onInterrupt(() => Deferred.succeed(gates.interrupted, undefined))),
    fail: ({ toolName }) =>
      Effect.zipRight(Effect.yieldNow(), new ToolError({ reason: "ExecutionFailed", toolName, message: "It broke." })),
    lost: ({ toolName }) =>
      Effect.zipRight(Effect.yieldNow(), new ToolError({ reason: "Unavailable", toolName, message: "It is gone." })),
    die: () => Effect.zipRight(Effect.yieldNow(), Effect.die("the secret is 42")),
    deploy: () =>
      Effect.gen(function*() {
        yield* Effect.yieldNow()
        const task = yield* CurrentTask
        return Option.isNone(task.approval) ? yield* new ApprovalRequired({ approval }) : "deployed"
      }),
    configure: () =>
      Effect.gen(function*() {
        yield* Effect.yieldNow()
        const answers = yield* Question.ask({ approval, questions: { region, replicas } })
        return `${answers.replicas} in ${answers.region}`
      }),
    // more at once than a reader with a small buffer can be told of
    burst: ({ toolName, input }) =>
      Effect.gen(function*() {
        yield* Effect.yieldNow()
        const task = yield* CurrentTask
        for (let step = 0; step < 20; step++) yield* task.reportProgress({ message: `step ${step}` })
        const { end } = input as { readonly end: string }
        if (end === "fail") return yield* new ToolError({ reason: "ExecutionFailed", toolName, message: "It broke." })
        if (end === "ask" && Option.isNone(task.approval)) return yield* new ApprovalRequired({ approval })
        return "done"
      }),
    configure_at_once: () =>
      Effect.map(Question.ask({ approval, questions: { region } }), (answers) => `in ${answers.region}`)
  })

export const options: McpServerOptions = {
  pollInterval: "20 millis",
  taskSupport: ({ name }) => name === "echo" ? "never" : name === "fail" ? "required" : "optional",
  protocolError: ({ message, reason }) => reason === "Unavailable" ? { code: -32050, message } : undefined
}

export const token = "a-token-of-the-tests"

/** A server on a free port of this machine. */
export const startServer = (
  more: McpServerOptions & McpHttpOptions = {},
  host = "127.0.0.1",
  config: Partial<TaskManagerSettings> = {}
) =>
  Effect.gen(function*() {
    const gates = new Gates()
    const context = yield* Layer.build(
      McpServer.layerHttp({ ...options, token: Redacted.make(token), ...more }).pipe(
        Layer.provide(toolsOf(gates)),
        Layer.provideMerge(TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer(config)))),
        Layer.provideMerge(NodeHttpServer.layer(createServer, { host, port: 0 }))
      )
    )
    const { manager, port } = yield* Effect.gen(function*() {
      const manager = yield* TaskManager
      const { address } = yield* HttpServer.HttpServer
      return { manager, port: address._tag === "TcpAddress" ? address.port : 0 }
    }).pipe(Effect.provide(context))
    return { gates, manager, port, url: `http://127.0.0.1:${port}/mcp` }
  })

export interface Reply {
  readonly status: number
  // what a server has said is looked at as it is
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any
  readonly headers: Headers
}

const version = "2026-07-28"
let ids = 0

/** One request as a client of 2026-07-28 makes it. */
export const ask = (
  url: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  more: {
    readonly capabilities?: unknown
    readonly token?: string | undefined
    readonly headers?: Record<string, string>
    readonly signal?: AbortSignal
    readonly meta?: Readonly<Record<string, unknown>>
  } = {}
): Effect.Effect<Reply> => {
  const { capabilities = { elicitation: {}, extensions: { [tasksExtension]: {} } }, meta, signal } = more
  const name = params["name"] ?? params["taskId"]
  const bearer = "token" in more ? more.token : token
  return Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": version,
        "mcp-method": method,
        ...(typeof name === "string" ? { "mcp-name": name } : {}),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...more.headers
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: ++ids,
        method,
        params: {
          ...params,
          _meta: {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
            "io.modelcontextprotocol/clientCapabilities": capabilities,
            ...meta
          }
        }
      }),
      ...(signal === undefined ? {} : { signal })
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    return { status: response.status, headers: response.headers, body: isJson && text !== "" ? JSON.parse(text) : text }
  })
}

export const callTool = (
  url: string,
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  more?: Parameters<typeof ask>[3]
) => ask(url, "tools/call", { name, arguments: args }, more)

/** Asks about a task, as clients do, until it is in this status. */
export const taskIn = (url: string, taskId: string, status: string, more?: Parameters<typeof ask>[3]) =>
  ask(url, "tasks/get", { taskId }, more).pipe(
    Effect.repeat({ until: ({ body }) => body.result === undefined || body.result.status === status }),
    Effect.map(({ body }) => body.result)
  )
