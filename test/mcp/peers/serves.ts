/** A server, which needs the SDK for servers alone. */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted } from "effect"
import { TaskManagerLive, ToolExecutor } from "effect-task-manager"
import { McpServer } from "effect-task-manager/mcp"
import { createServer } from "node:http"

const Server = McpServer.layerHttp({ token: Redacted.make("token") }).pipe(
  Layer.provide(ToolExecutor.fromHandlers({ now: () => Effect.void })),
  Layer.provide(TaskManagerLive),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

await Effect.runPromise(Effect.provide(Console.log("listens"), Server))
