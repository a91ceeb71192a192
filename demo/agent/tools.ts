/** What the agent can do: a shell, two tools for files, and the tools with which it manages its own tasks. */
import { Tool, Toolkit } from "@effect/ai"
import { FileSystem, Path } from "@effect/platform"
import { Effect, Layer, Schema } from "effect"
import { CurrentTask, RoutingDecision, RoutingPolicy, TaskManagerLive, ToolError } from "effect-task-manager"
import {
  AgentLoop,
  type ShellPermission,
  ShellPolicy,
  ShellTool,
  TaskToolkit,
  ToolAnnotations,
  ToolkitExecutor,
  ToolRouting
} from "effect-task-manager/ai"

const path = Schema.NonEmptyString.annotations({ description: "A path in the repository" })

const files = Toolkit.make(
  Tool.make("read_file", {
    description: "Reads a text file",
    parameters: { path },
    success: Schema.String,
    failure: ToolError,
    dependencies: [CurrentTask]
  }).annotate(Tool.Readonly, true),
  Tool.make("replace_text", {
    description: "Replaces a piece of a text file, which must occur exactly once",
    parameters: { path, from: Schema.NonEmptyString, to: Schema.String },
    failure: ToolError,
    dependencies: [CurrentTask]
  })
)

// nothing here should take longer; Esc is for what does
const shell = ShellTool.tool.annotate(ToolAnnotations.Timeout, "5 minutes")

export const toolkit = Toolkit.merge(Toolkit.make(shell), files, TaskToolkit.toolkit)

const policy = ShellPolicy.make({
  rules: [
    ShellPolicy.deny("sudo", { reason: "There is no root here" }),
    ShellPolicy.ask("rm", { reason: "It deletes files" }),
    ...["node test/cart.test.mjs", "ls", "cat", "head", "tail", "wc", "grep", "git status", "git diff", "git log"]
      .map((words) => ShellPolicy.allow(words))
  ]
})

const isTestRun = Schema.is(Schema.Struct({ command: Schema.String.pipe(Schema.pattern(/\bnode\b.*\btest\b/)) }))

// a rule before those of the annotations: test runs go to the background when they take longer than a second
const byAnnotations = ToolRouting.fromToolkit(toolkit)

export const Routing = RoutingPolicy.layer((request) =>
  request.toolName === "shell" && isTestRun(request.input)
    ? RoutingDecision.ForegroundThenDetachAfter({
      duration: "1 second",
      continuePolicy: "RequestContinue",
      timeout: "5 minutes"
    })
    : byAnnotations(request)
)

const fail = (reason: ToolError["reason"], message: string) =>
  Effect.flatMap(CurrentTask, ({ request }) => new ToolError({ reason, toolName: request.toolName, message }))

const FileHandlers = (root: string) =>
  files.toLayer(Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    /** Where a file of the repository is; links are followed first. */
    const find = (given: string) =>
      fileSystem.realPath(paths.resolve(root, given)).pipe(
        Effect.orElse(() => fail("NotFound", "There is no such file.")),
        Effect.filterOrElse(
          (found) => found.startsWith(root + paths.sep),
          () => fail("PermissionDenied", "It is not in the repository.")
        )
      )
    const read = (file: string) =>
      Effect.orElse(fileSystem.readFileString(file), () => fail("ExecutionFailed", "It cannot be read."))
    return files.of({
      read_file: ({ path }) => Effect.flatMap(find(path), read),
      replace_text: ({ from, path, to }) =>
        Effect.gen(function*() {
          const file = yield* find(path)
          const pieces = (yield* read(file)).split(from)
          if (pieces.length !== 2) {
            return yield* fail("InvalidInput", `The text occurs ${pieces.length - 1} times. Nothing was changed.`)
          }
          yield* Effect.orElse(
            fileSystem.writeFileString(file, pieces.join(to)),
            () => fail("ExecutionFailed", "It cannot be written.")
          )
        })
    })
  }))

export const system = `You are a coding agent in a small git repository, the working directory of your shell.
Test runs are slow: they go to the background after a second, and their result comes to you by itself. Do other useful
work meanwhile, and do not start the same run twice. Use plain commands, one at a time, without pipes. Be brief.`

/** Every command writes its process id here before it begins: it leads a process group with this id. */
const noteProcess = (processes: string) =>
  [
    "/bin/sh",
    "-c",
    String.raw`printf '%s %s
' "$$" "$(printf %s "$1" | tr '
' ' ')" >> "$0" && exec /bin/sh -c "$1"`,
    processes
  ] as const

export interface Workshop {
  /** The real path of the repository. */
  readonly root: string
  /** A file outside of it for the ids of processes. */
  readonly processes: string
  readonly environment: Readonly<Record<string, string>>
  /** What the user always allows. */
  readonly permissions: Array<ShellPermission>
}

export const handlers = ({ environment, permissions, processes, root }: Workshop) =>
  Layer.mergeAll(
    FileHandlers(root),
    TaskToolkit.layer,
    ShellTool.layer({
      root,
      policy: ShellPolicy.withPermissions(policy, () => permissions),
      shell: noteProcess(processes),
      environment,
      progressInterval: "100 millis"
    })
  )

/** The loop with its tools and their manager; what is left to provide is a model. */
export const agent = (workshop: Workshop) =>
  AgentLoop.layer(toolkit, { system }).pipe(
    Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(handlers(workshop)))),
    Layer.provideMerge(TaskManagerLive.pipe(Layer.provide(Routing)))
  )
