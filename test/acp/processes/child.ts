/** An agent in a process of its own, whose model does what the user says: `run COMMAND`, or `background COMMAND`. */
import type { Prompt } from "@effect/ai"
import { Toolkit } from "@effect/ai"
import { NodeContext, NodeRuntime, NodeSink, NodeStream } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { RoutingDecision, RoutingPolicy, TaskManagerLive } from "effect-task-manager"
import { AcpAgent } from "effect-task-manager/acp"
import { AgentLoop, ShellPolicy, ShellTool, ToolkitExecutor } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"

const toolkit = Toolkit.make(ShellTool.tool)

const lastWords = (prompt: Prompt.Prompt): string | undefined => {
  const last = prompt.content.at(-1)
  if (last?.role !== "user") return undefined
  const [part] = last.content
  return part?.type === "text" ? part.text : undefined
}

const Model = TestLanguageModel.layer([], {
  otherwise: ({ prompt }) => {
    const [, how, command] = /^(run|background) (.*)$/s.exec(lastWords(prompt) ?? "") ?? []
    return command === undefined
      ? [ScriptedStep.Text("Done.")]
      : [ScriptedStep.ToolCall("shell", { command: how === "run" ? command : `${command} # background` })]
  }
})

const Routing = RoutingPolicy.layer(({ input }) =>
  JSON.stringify(input).includes("# background")
    ? RoutingDecision.Background({ continuePolicy: "RequestContinue" })
    : RoutingDecision.Foreground()
)

const Agent = AgentLoop.layer(toolkit).pipe(
  Layer.provide(ToolkitExecutor.layer(toolkit)),
  Layer.provide(ShellTool.layer({ root: ".", policy: ShellPolicy.allowAll })),
  Layer.provideMerge(TaskManagerLive.pipe(Layer.provide(Routing))),
  Layer.provide(Model),
  Layer.provide(NodeContext.layer),
  // none of it may be seen on the standard output
  Layer.merge(Layer.effectDiscard(Effect.zipRight(Effect.logWarning("the agent begins"), Console.log("a line"))))
)

NodeRuntime.runMain(
  AcpAgent.runStdio(Agent, { stdin: NodeStream.stdin, stdout: NodeSink.stdout, maxLineBytes: 1_000_000 }),
  { disableErrorReporting: true }
)
