/**
 * `npm run --silent demo:acp`: the shell agent of `npm run demo:agent` in an editor, by the Agent Client Protocol. docs/acp.md says how
 * an editor starts it. What is told to a human is on the error output.
 */
import { FileSystem, Path } from "@effect/platform"
import { NodeContext, NodeRuntime, NodeSink, NodeStream } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
import { AcpAgent } from "effect-task-manager/acp"
import { ShellPolicy } from "effect-task-manager/ai"
import { TestLanguageModel } from "effect-task-manager/ai/testing"
import { chooseModel } from "../agent/model.js"
import { agent, type Workshop } from "../agent/tools.js"
import { UsageError, valuesOf } from "../options.js"
import { temporaryRepository } from "../repository.js"
import { plain } from "../text.js"
import { reply } from "./script.js"

const usage = `Usage: npm run --silent demo:acp -- [--scripted]

  --scripted  use the scripted model even if a key is in the environment
  --help      show this text

An editor starts it: see docs/acp.md. With ANTHROPIC_API_KEY or OPENAI_API_KEY (and what npm run demo:agent says of models) it works
in the folder that it was started in; without, a script stands in for the model, and works in a temporary repository.`

const demo = Effect.gen(function*() {
  const values = yield* valuesOf(process.argv.slice(2), {
    scripted: { type: "boolean" },
    help: { type: "boolean", short: "h" }
  })
  if (values.help === true) return yield* Console.error(usage)
  const path = yield* Path.Path
  const files = yield* FileSystem.FileSystem
  const model = yield* chooseModel(values.scripted === true)
  const root = model.isScripted
    ? (yield* temporaryRepository).root
    // npm starts scripts in the folder of the package, and says where the user was
    : yield* files.realPath(process.env.INIT_CWD ?? ".")
  yield* Console.error(`${model.about}\nThe agent works in ${plain(root)}`)
  const workshop: Workshop = {
    root,
    processes: path.join(yield* files.makeTempDirectoryScoped(), "processes"),
    environment: { LC_ALL: "C", GIT_PAGER: "cat", GIT_TERMINAL_PROMPT: "0", TEST_PAUSE: "1500" },
    permissions: []
  }
  const Model = model.isScripted ? TestLanguageModel.layer([], { otherwise: reply }) : model.layer
  yield* AcpAgent.runStdio(Layer.provide(agent(workshop), Model), {
    stdin: NodeStream.stdin,
    stdout: NodeSink.stdout,
    root,
    always: ({ approval }) =>
      Option.map(
        ShellPolicy.permissionOf(approval),
        (permission) => Effect.sync(() => void workshop.permissions.push(permission))
      )
  })
}).pipe(
  Effect.scoped,
  Effect.tapError((error) =>
    Console.error(error instanceof UsageError ? `${error.message}\n\n${usage}` : "The demo has failed.")
  ),
  Effect.provide(NodeContext.layer)
)

NodeRuntime.runMain(demo, { disableErrorReporting: true })
