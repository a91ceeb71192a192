/** Tools of a server that is not there, which need the SDK for clients alone. */
import { Console, Effect } from "effect"
import { McpTools } from "effect-task-manager/mcp"

const Tools = McpTools.layer({ servers: [McpTools.http({ name: "s", url: "http://127.0.0.1:1/mcp", optional: true })] })

await Effect.runPromise(
  McpTools.pipe(
    Effect.flatMap(({ status }) => status),
    Effect.flatMap(([server]) => Console.log(server?.state)),
    Effect.provide(Tools)
  )
)
