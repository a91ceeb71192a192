/** A manager and its server on loopback, for the benchmarks over HTTP. */
import { HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Logger, Redacted } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolCallId,
  ToolError,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerHttp, type TaskManagerHttpOptions } from "effect-task-manager/http"
import { createServer } from "node:http"

export const token = "0123456789abcdef0123456789abcdef"

const Tools = ToolExecutor.fromHandlers({
  echo: () => Effect.succeed("done"),
  rare: ({ toolName }) => new ToolError({ reason: "ExecutionFailed", toolName, message: "as it is to be" })
})

/** Calls of the rare tool are rare in everything that a list can be filtered by. */
const Routing = RoutingPolicy.layer(({ toolName }) =>
  toolName === "rare"
    ? RoutingDecision.Background({ lane: "rare", deliveryMode: "Manual" })
    : RoutingDecision.Foreground()
)

export const managerWith = (config: Parameters<typeof TaskManagerConfig.layer>[0]) =>
  Layer.mergeAll(
    TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer(config)), Layer.provide(Routing)),
    Tools,
    Logger.remove(Logger.defaultLogger)
  )

/** A server on any port that is free. */
export const Server = NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })

export const portOf = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => address._tag === "TcpAddress" ? address.port : 0
)

/** The layer that is measured, until the scope closes. */
export const serveOurs = (options: TaskManagerHttpOptions = {}) =>
  Effect.asVoid(Layer.build(TaskManagerHttp.layer({
    tokens: [{ name: "bench", token: Redacted.make(token) }],
    announce: () => Effect.void,
    ...options
  })))

let made = 0

const requestOf = (toolName: string, name: string) => ({
  sessionId: SessionId.make(name),
  turnId: TurnId.make(name),
  callId: ToolCallId.make(`call-${++made}`),
  toolName,
  input: {},
  metadata: {}
})

/** One call after the other: each has two events. */
export const runCalls = (count: number) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    for (let at = 0; at < count; at++) {
      const request = requestOf("echo", "bench")
      yield* manager.startTask(TaskLaunchRequest.plain({ request }))
      yield* manager.waitForTurn(request)
    }
  })

/** One call of the rare tool. */
export const runRareCall = Effect.gen(function*() {
  const manager = yield* TaskManager
  yield* manager.startTask(TaskLaunchRequest.plain({ request: requestOf("rare", "rare") }))
  yield* manager.handle.waitForIdle
})
