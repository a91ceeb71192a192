/** A manager whose tools are those of MCP servers, and servers of the official SDK, in this process and others. */
import { NodeContext } from "@effect/platform-node"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { Chunk, Deferred, Effect, FiberId, Layer, Option, Stream } from "effect"
import {
  SessionId,
  type TaskApproval,
  type TaskEvent,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  ToolCallId,
  ToolExecutor,
  type ToolResultPart,
  TurnId
} from "effect-task-manager"
import { McpTools, type McpToolServer, type McpToolsOptions } from "effect-task-manager/mcp"
import { assert } from "vitest"

/** Each connection has a server of its own, as a process would be. */
export const inMemory = (
  name: string,
  make: (server: McpServer) => void,
  options: ConstructorParameters<typeof McpServer>[1] = {}
): McpToolServer => ({
  _tag: "Transport",
  name,
  connect: () => {
    const server = new McpServer({ name, version: "1" }, options)
    make(server)
    const [ours, its] = InMemoryTransport.createLinkedPair()
    void server.connect(its)
    // both generations of the SDK have the same transports, with types of their own
    return ours as unknown as ReturnType<Extract<McpToolServer, { readonly _tag: "Transport" }>["connect"]>
  }
})

/** The manager over the tools; nothing is asked before a call unless a test wants it. */
export const world = (options: Omit<McpToolsOptions, "approval"> & Pick<Partial<McpToolsOptions>, "approval">) =>
  Layer.provideMerge(
    TaskManagerLive,
    Layer.provideMerge(McpTools.layer({ approval: "never", ...options }), NodeContext.layer)
  )

let lastCall = 0

/** Starts a call, and gives its task. */
export const start = (toolName: string, input: unknown = {}) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const callId = ToolCallId.make(`call-${++lastCall}`)
    const taskId = TaskId.make(`task-${lastCall}`)
    yield* manager.startTask(TaskLaunchRequest.plain({
      request: {
        sessionId: SessionId.make("session"),
        turnId: TurnId.make(`turn-${lastCall}`),
        callId,
        toolName,
        input,
        metadata: {}
      },
      taskId
    }))
    return taskId
  })

/** The first event of a task of which `pick` makes something. */
export const eventOf = <A>(taskId: TaskId, pick: (event: TaskEvent) => A | undefined) =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    const found = yield* Stream.runHead(Stream.filterMap(handle.events, (event) =>
      "snapshot" in event && event.snapshot.id === taskId ? Option.fromNullable(pick(event)) : Option.none()))
    return Option.getOrThrow(found)
  })

/** The end of a task: its status, its result, and the reason if it has failed. */
export const endOf = (taskId: TaskId) =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    const end = yield* eventOf(taskId, (event) => {
      switch (event._tag) {
        case "Failed":
          return { tag: event._tag, reason: event.error.reason, error: event.error }
        case "Completed":
        case "Cancelled":
          return { tag: event._tag, reason: undefined, error: undefined }
        default:
          return undefined
      }
    })
    return { ...end, result: Option.getOrThrow(yield* handle.result(taskId)) }
  })

export const outputOf = ({ output }: ToolResultPart): string =>
  output._tag === "Text" ? output.text : JSON.stringify(output)

/** Runs a call to its end, and gives what a model reads of it. */
export const call = (toolName: string, input: unknown = {}) =>
  Effect.gen(function*() {
    const { reason, result, tag } = yield* Effect.flatMap(start(toolName, input), endOf)
    return `${reason ?? tag}: ${outputOf(result)}`
  })

export const approvalOf = (taskId: TaskId): Effect.Effect<TaskApproval, never, TaskManager> =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    return Option.getOrThrow(
      yield* Stream.runHead(
        Stream.filterMap(handle.inbox, (asked) => Option.fromNullable(asked.find((one) => one.taskId === taskId)))
      )
    )
  })

export const progressOf = (taskId: TaskId, count: number) =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    return Chunk.toReadonlyArray(
      yield* handle.events.pipe(
        Stream.filterMap((event) =>
          event._tag === "Progress" && event.snapshot.id === taskId ? Option.some(event.progress) : Option.none()
        ),
        Stream.take(count),
        Stream.runCollect
      )
    )
  })

export const specNames = Effect.flatMap(
  ToolExecutor,
  ({ specs }) => Effect.map(specs, (all) => all.map(({ name }) => name))
)

/** Waits for what a callback of a server says. */
export const signal = <A>() => {
  const deferred = Deferred.unsafeMake<A>(FiberId.none)
  return { say: (value: A) => Deferred.unsafeDone(deferred, Effect.succeed(value)), said: Deferred.await(deferred) }
}

export { assert }
