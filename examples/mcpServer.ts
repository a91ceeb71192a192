/**
 * Tools as an MCP server that a client starts as a process. `build` takes a while: clients that have tasks ask about it later.
 * `deploy` asks the user of the client first.
 *
 *   claude mcp add example -- node --import tsx examples/mcpServer.ts
 */
import { NodeRuntime, NodeSink, NodeStream } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { ApprovalId, CurrentTask, Question, TaskManagerLive, ToolExecutor, ToolHandler } from "effect-task-manager"
import { McpServer } from "effect-task-manager/mcp"

const region = Question.make("region", { text: "Where to?", schema: Schema.Literal("eu", "us") })

const Tools = ToolExecutor.fromHandlers({
  build: ToolHandler.make({
    description: "Builds a target",
    input: Schema.Struct({ target: Schema.String }),
    handle: ({ target }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        for (const done of [1, 2, 3]) {
          yield* Effect.sleep("1 second")
          yield* task.reportProgress({ message: `${done} of 3 parts of ${target}`, fraction: done / 3 })
        }
        return `built ${target}`
      })
  }),
  deploy: ToolHandler.make({
    description: "Deploys what was built",
    input: Schema.Struct({}),
    handle: () =>
      Effect.map(
        Question.ask({
          approval: {
            id: ApprovalId.make("deploy"),
            requestKind: "deploy",
            reason: "NeedsChoices",
            summary: "Deploy to production",
            metadata: {}
          },
          questions: { region }
        }),
        (answers) => `deployed to ${answers.region}`
      )
  })
})

McpServer.runStdio(Layer.merge(Tools, TaskManagerLive), { stdin: NodeStream.stdin, stdout: NodeSink.stdout }).pipe(
  // it has reported errors, and not to the standard output
  (program) => NodeRuntime.runMain(program, { disableErrorReporting: true })
)
