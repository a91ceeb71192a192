/**
 * A task manager over HTTP, and a program that would be another process: it watches and cancels over the handle that it knows.
 *
 *   node --import tsx examples/http.ts
 *
 * The board is at the address that it prints. Ctrl+C ends it.
 */
import { FetchHttpClient } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted, Stream } from "effect"
import {
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerClient, TaskManagerHttp } from "effect-task-manager/http"
import { createServer } from "node:http"

const port = 4860
const token = Redacted.make(process.env["TASKS_TOKEN"] ?? "a-token-for-this-example")

const Tools = ToolExecutor.fromHandlers({
  count: () =>
    Effect.gen(function*() {
      const task = yield* CurrentTask
      for (let number = 1;; number++) {
        yield* task.write(`${number}\n`)
        yield* Effect.sleep("1 second")
      }
    })
})

const Server = TaskManagerHttp.layer({ tokens: [{ name: "example", token }] }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
  Layer.provideMerge(TaskManagerLive.pipe(
    Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Background()))
  )),
  Layer.provideMerge(Tools)
)

const Client = TaskManagerClient.layer({ url: `http://127.0.0.1:${port}`, token }).pipe(
  Layer.provide(FetchHttpClient.layer)
)

/** What starts calls: in your program, an agent loop. */
const calls = Effect.flatMap(TaskManager, (manager) =>
  manager.startTask(TaskLaunchRequest.plain({
    request: {
      sessionId: SessionId.make("session-1"),
      turnId: TurnId.make("turn-1"),
      callId: ToolCallId.make("call-1"),
      toolName: "count",
      input: {},
      metadata: {}
    }
  })))

/** What another process does. */
const other = Effect.gen(function*() {
  const handle = yield* TaskManagerClient
  yield* Stream.runForEach(handle.events, (event) => Console.log(`${event.seq} ${event._tag}`))
}).pipe(Effect.provide(Client))

NodeRuntime.runMain(Effect.zipRight(calls, other).pipe(Effect.provide(Server)))
