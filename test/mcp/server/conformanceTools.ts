/** The tools that the task scenarios of the official conformance suite call. */
import { Effect, Layer, Option, Schema } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  Question,
  TaskManagerLive,
  ToolError,
  ToolExecutor,
  ToolHandler
} from "effect-task-manager"
import type { McpServerOptions } from "effect-task-manager/mcp"

const approval = (summary: string) => ({
  id: ApprovalId.make("asked"),
  requestKind: "input",
  reason: "NeedsInput",
  summary,
  metadata: {}
})

const Named = Schema.Struct({ name: Schema.optional(Schema.String), confirm: Schema.optional(Schema.Boolean) })
const first = Question.make("first", { text: "The first one?", schema: Named })
const second = Question.make("second", { text: "The second one?", schema: Named })
const userName = Question.make("user_name", { text: "Who are you?", schema: Schema.Struct({ name: Schema.String }) })

const failed = (toolName: string, reason: "ExecutionFailed" | "Unavailable", message: string) =>
  new ToolError({ reason, toolName, message })

const Tools = ToolExecutor.fromHandlers({
  greet: ToolHandler.make({
    description: "Greets",
    input: Schema.Struct({ name: Schema.String }),
    handle: ({ name }) => Effect.succeed(`Hello, ${name}!`)
  }),
  slow_compute: ToolHandler.make({
    description: "Takes so many seconds",
    input: Schema.Struct({ seconds: Schema.Number, label: Schema.optional(Schema.String) }),
    handle: ({ seconds }) => Effect.as(Effect.sleep(seconds * 1_000), "computed")
  }),
  failing_job: ({ toolName }) => Effect.zipRight(Effect.sleep(50), failed(toolName, "ExecutionFailed", "boom")),
  protocol_error_job: ({ toolName }) => Effect.zipRight(Effect.sleep(50), failed(toolName, "Unavailable", "gone")),
  confirm_delete: () =>
    Effect.gen(function*() {
      const task = yield* CurrentTask
      yield* Effect.sleep(50)
      return Option.isNone(task.approval)
        ? yield* new ApprovalRequired({ approval: approval("Delete it?") })
        : "deleted"
    }),
  multi_input: () =>
    Effect.zipRight(
      Effect.sleep(50),
      Question.ask({ approval: approval("Two things"), questions: { first, second } })
    ),
  test_tool_with_task: () =>
    Effect.gen(function*() {
      const answers = yield* Question.ask({ approval: approval("Who is it?"), questions: { userName } })
      yield* Effect.sleep(50)
      return `It is ${answers.userName.name}.`
    })
})

export const conformanceOptions: McpServerOptions = {
  pollInterval: "100 millis",
  taskSupport: ({ name }) =>
    name === "greet" ? "never" : name === "slow_compute" || name === "confirm_delete" ? "optional" : "required",
  protocolError: ({ message, reason }) => reason === "Unavailable" ? { code: -32603, message } : undefined
}

export const ConformanceTools = Layer.merge(Tools, TaskManagerLive)
