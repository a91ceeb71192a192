/** `npm run demo:agent`: the agent loop with a shell, on a real repository. See demo/agent/options.ts for its usage. */
import { FileSystem, Path } from "@effect/platform"
import { Console, Effect, Layer, Option } from "effect"
import { checksOfAftermath } from "../checks.js"
import { Journal } from "../journal.js"
import { exportTo, telemetryTo } from "../otlp.js"
import { leftProcesses } from "../processTable.js"
import { temporaryRepository } from "../repository.js"
import { runDemo } from "../run.js"
import { Screen } from "../screen.js"
import { plain } from "../text.js"
import { showTimeline } from "../timeline.js"
import { judge, showChecks } from "../verdict.js"
import { checksOfAny, checksOfScript, type Evidence } from "./checks.js"
import { Keyboard } from "./keyboard.js"
import { chooseModel, type ChosenModel, recorded, SentPrompts } from "./model.js"
import { type Options, parseOptions, usage } from "./options.js"
import { converse, startedCommands } from "./session.js"
import { agent, type Workshop } from "./tools.js"

/** What was made on the machine: it is looked at again when everything is over, however it ended. */
interface Traces {
  groups: ReadonlyArray<number>
  folder: Option.Option<string>
}

/** Makes a repository, lets the agent work on it, and has taken everything away again when it returns. */
const session = (options: Options, model: ChosenModel, traces: Traces) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { root, temporary } = yield* temporaryRepository
    traces.folder = temporary
    yield* screen.line(`The repository: ${plain(root)} (temporary, removed at the end)`)
    const workshop: Workshop = {
      root,
      processes: path.join(path.dirname(root), "processes"),
      environment: { LC_ALL: "C", GIT_PAGER: "cat", GIT_TERMINAL_PROMPT: "0", TEST_PAUSE: "1500" },
      permissions: []
    }
    const noteProcesses = Effect.map(startedCommands(workshop), (started) => {
      traces.groups = started.map(({ group }) => group)
    })
    const Agent = Layer.mergeAll(Journal.layer, Keyboard.layer).pipe(
      Layer.provideMerge(agent(workshop)),
      Layer.provide(telemetryTo(options.otlp)),
      Layer.provideMerge(recorded(model.layer))
    )
    return yield* Effect.gen(function*() {
      const conversation = yield* Effect.scoped(converse(workshop, { ...options, isScripted: model.isScripted }))
      yield* showTimeline(conversation.escapes.map(({ at }) => ({ at, name: "Esc" })))
      const evidence: Evidence = {
        ...conversation,
        prompts: yield* SentPrompts,
        isStillThere: yield* Effect.orDie(fileSystem.exists(path.join(root, "build")))
      }
      return evidence
    }).pipe(
      Effect.timeout(model.isScripted ? "2 minutes" : "15 minutes"),
      Effect.provide(Agent),
      // the agent has ended, the folder is still there
      Effect.ensuring(noteProcesses)
    )
  }).pipe(Effect.scoped)

const aftermath = (traces: Traces) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    return checksOfAftermath({
      started: traces.groups.length,
      left: yield* leftProcesses(traces.groups),
      isFolderLeft: yield* Effect.transposeMapOption(
        traces.folder,
        (folder) => Effect.orDie(fileSystem.exists(folder))
      )
    })
  })

const demo = (options: Options) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    yield* screen.line(
      screen.paint("bold", "effect-task-manager/ai: a coding agent with a shell, on the AgentLoop.")
    )
    const model = yield* chooseModel(options.isScripted)
    yield* screen.line(model.about)
    const traces: Traces = { groups: [], folder: Option.none() }
    const evidence = yield* session(options, model, traces).pipe(
      Effect.onInterrupt(() =>
        Effect.gen(function*() {
          yield* screen.line("\nInterrupted.")
          yield* showChecks(yield* aftermath(traces))
        })
      )
    )
    yield* judge([
      ...checksOfAny(evidence),
      ...(model.isScripted ? checksOfScript(evidence) : []),
      ...(yield* aftermath(traces))
    ])
  })

runDemo(
  Effect.flatMap(
    parseOptions(process.argv.slice(2)),
    (options) => options.help ? Console.log(usage) : Effect.provide(demo(options), exportTo(options.otlp))
  ),
  usage
)
