/** The agent's tools. Every one is a real command in the repository; what they answer is data with a one-line `summary`. */
import { Command, FileSystem, Path } from "@effect/platform"
import { Effect, type Layer, Option, Schema } from "effect"
import { ApprovalId, ApprovalRequired, CurrentTask, ToolError, ToolExecutor, ToolHandler } from "effect-task-manager"
import { Shell } from "./shell.js"
import { fit, plain, plural } from "./text.js"

const failure = (toolName: string, message: string) => new ToolError({ reason: "ExecutionFailed", toolName, message })

/** The output of a command that must succeed; a failing one is the tool's failure, in the command's own words. */
const succeed = (command: Command.Command) =>
  Effect.gen(function*() {
    const shell = yield* Shell
    const { request } = yield* CurrentTask
    const { exitCode, output } = yield* Effect.mapError(
      shell.run(command),
      (error) => failure(request.toolName, plain(error.message))
    )
    return exitCode === 0 ? output : yield* failure(request.toolName, `exit code ${exitCode}: ${fit(output, 300)}`)
  })

// the user's own file system monitor is a program that `git status` would start
const git = (...args: ReadonlyArray<string>) => Command.make("git", "-c", "core.fsmonitor=false", ...args)

/** The last complete line of what came so far, as progress of the task. */
const lastLineAsProgress = (task: CurrentTask["Type"]) => {
  let rest = ""
  return (text: string): Effect.Effect<void> => {
    const lines = (rest + text).split("\n")
    rest = (lines.pop() ?? "").slice(-1000)
    return Effect.forEach(lines, (line) => task.reportProgress({ message: plain(line) }), { discard: true })
  }
}

/** A path that stays inside the repository, links followed. */
const inside = (given: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { root } = yield* Shell
    const { request } = yield* CurrentTask
    const resolved = yield* Effect.mapError(
      fs.realPath(path.resolve(root, given)),
      () => failure(request.toolName, "there is no such file")
    )
    const relative = path.relative(root, resolved)
    return relative === "" || relative.startsWith("..") || path.isAbsolute(relative) ||
        relative.split(path.sep)[0] === ".git"
      ? yield* new ToolError({
        reason: "PermissionDenied",
        toolName: request.toolName,
        message: "the path is not inside of the repository"
      })
      : relative
  })

/** An endless loop that also ends when this process was killed and could not end it. */
const whileWeLive = "while kill -0 $PPID 2>/dev/null; do"

const Nothing = Schema.Struct({})
const AtPath = Schema.Struct({ path: Schema.NonEmptyString })

const readOnly = {
  list_files: ToolHandler.make({
    description: "Lists the files of the repository",
    input: Nothing,
    handle: () =>
      Effect.map(succeed(git("ls-files", "-z")), (output) => {
        const files = output.split("\0")
        // empty, or cut where the output was
        files.pop()
        return { summary: plural(files.length, "file"), files: files.slice(0, 1000) }
      })
  }),

  git_log: ToolHandler.make({
    description: "Shows the last commits",
    input: Nothing,
    handle: () =>
      Effect.map(succeed(git("log", "-n", "20", "--format=%h %s")), (output) => {
        const commits = output.trim().split("\n")
        return { summary: `last commit: ${commits[0] ?? "none"}`, commits }
      })
  }),

  disk_usage: ToolHandler.make({
    description: "Tells how much space the repository takes",
    input: Nothing,
    handle: () =>
      Effect.map(succeed(Command.make("du", "-sk", ".git")), (output) => {
        const kilobytes = Number.parseInt(output, 10)
        return { summary: `${kilobytes} KiB of history`, kilobytes }
      })
  }),

  read_file: ToolHandler.make({
    description: "Reads the beginning of a file",
    input: AtPath,
    handle: ({ path }) =>
      inside(path).pipe(
        Effect.flatMap((file) => succeed(Command.make("head", "-c", "8000", `./${file}`))),
        Effect.map((text) => ({ summary: `${path}: ${plural(text.trimEnd().split("\n").length, "line")}`, text }))
      )
  }),

  search: ToolHandler.make({
    description: "Searches the last 40 commits for a word",
    input: Schema.Struct({ word: Schema.NonEmptyString }),
    handle: ({ word }) =>
      Effect.map(
        // $1 is data to the shell, whatever is in it
        succeed(Command.make(
          "sh",
          "-c",
          `git rev-list -n 40 HEAD | while read -r commit; do git grep -c -I -F -e "$1" "$commit" --; done; true`,
          "sh",
          word
        )),
        (output) => {
          const hits = output.split("\n").filter((line) => line !== "").length
          return { summary: `"${word}" in ${plural(hits, "file version")} of the last 40 commits`, hits }
        }
      )
  }),

  watch: ToolHandler.make({
    description: "Reports how many files differ from the last commit, until it is cancelled",
    input: Nothing,
    handle: () =>
      Effect.gen(function*() {
        const shell = yield* Shell
        const task = yield* CurrentTask
        const { exitCode } = yield* Effect.mapError(
          shell.run(
            Command.make(
              "sh",
              "-c",
              `last=; ${whileWeLive} now=$(git -c core.fsmonitor=false status --porcelain | wc -l | tr -d " ")
               [ "$now" = "$last" ] || echo "changed files: $now"; last=$now; sleep 0.3; done`
            ),
            lastLineAsProgress(task)
          ),
          (error) => failure(task.request.toolName, plain(error.message))
        )
        return { summary: `ended with ${exitCode}` }
      })
  }),

  load_test: ToolHandler.make({
    description: "Reads the history again and again until it is stopped",
    input: Schema.Struct({ behaviour: Schema.Literal("ends on SIGTERM", "ignores SIGTERM") }),
    handle: ({ behaviour }) =>
      Effect.as(
        // a pipeline: the shell has children that must not outlive it
        succeed(Command.make(
          "sh",
          "-c",
          `${
            behaviour === "ignores SIGTERM" ? `trap "" TERM; ` : ""
          }${whileWeLive} git log -n 20 --format=%H; sleep 0.2; done | cat >/dev/null`
        )),
        { summary: "ended" }
      )
  })
}

const writing = {
  run_tests: ToolHandler.make({
    description: "Runs a test script",
    input: AtPath,
    handle: ({ path }) =>
      Effect.gen(function*() {
        const shell = yield* Shell
        const task = yield* CurrentTask
        const file = yield* inside(path)
        const { exitCode, output } = yield* Effect.mapError(
          shell.run(Command.make(process.execPath, `./${file}`), lastLineAsProgress(task)),
          (error) => failure(task.request.toolName, plain(error.message))
        )
        // for the model: without the colours of the test runner
        const lines = output.split("\n").map(plain)
        const failed = lines.filter((line) => line.startsWith("not ok"))
        const passed = lines.filter((line) => line.startsWith("ok")).length
        return {
          summary: `${passed} passed, ${failed.length} failed, exit code ${exitCode}`,
          isGreen: exitCode === 0,
          failed
        }
      })
  }),

  replace_text: ToolHandler.make({
    description: "Replaces one piece of text in a file",
    input: Schema.Struct({ path: Schema.NonEmptyString, from: Schema.NonEmptyString, to: Schema.String }),
    handle: ({ from, path, to }, { toolName }) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const shell = yield* Shell
        const file = `${shell.root}/${yield* inside(path)}`
        const text = yield* Effect.mapError(fs.readFileString(file), (error) => failure(toolName, plain(error.message)))
        const pieces = text.split(from)
        if (pieces.length !== 2) {
          return yield* failure(toolName, `the text is there ${pieces.length - 1} times, not once`)
        }
        yield* Effect.mapError(
          fs.writeFileString(file, pieces.join(to)),
          (error) => failure(toolName, plain(error.message))
        )
        return { summary: `changed ${path}`, path }
      })
  }),

  remove: ToolHandler.make({
    description: "Deletes a folder; asks for approval first",
    input: AtPath,
    handle: ({ path }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const folder = yield* inside(path)
        if (Option.isNone(task.approval)) {
          return yield* new ApprovalRequired({
            approval: {
              id: ApprovalId.make(`approve-${task.taskId}`),
              requestKind: "shell.delete",
              reason: "DestructiveCommand",
              summary: `rm -rf ./${folder}`,
              metadata: {}
            }
          })
        }
        yield* succeed(Command.make("rm", "-rf", `./${folder}`))
        return { summary: `deleted ${path}`, path }
      })
  })
}

type Needs = Shell | FileSystem.FileSystem | Path.Path

/** What may run on a repository of the user's. */
export const ReadOnlyTools: Layer.Layer<ToolExecutor, never, Needs> = ToolExecutor.fromHandlers(readOnly)

export const AllTools: Layer.Layer<ToolExecutor, never, Needs> = ToolExecutor.fromHandlers({ ...readOnly, ...writing })
