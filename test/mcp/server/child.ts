/** An MCP server in a process of its own. It says on its error output what becomes of a tool that waits. */
import { NodeRuntime, NodeSink, NodeStream } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { TaskManagerLive, ToolExecutor } from "effect-task-manager"
import { McpServer } from "effect-task-manager/mcp"

const Tools = ToolExecutor.fromHandlers({
  say: () => Effect.zipRight(Effect.zipRight(Effect.log("a log"), Console.log("a console")), Effect.succeed("said")),
  wait: () =>
    Effect.zipRight(Console.log("waits"), Effect.never).pipe(
      Effect.onInterrupt(() => Console.log("interrupted"))
    )
})

McpServer.runStdio(Layer.merge(Tools, TaskManagerLive), {
  stdin: NodeStream.stdin,
  stdout: NodeSink.stdout,
  maxLineBytes: 20_000
}).pipe((program) => NodeRuntime.runMain(program, { disableErrorReporting: true }))
