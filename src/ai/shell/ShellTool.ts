/**
 * A shell as a tool of a model.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ApprovalRequired, ToolError } from "../../errors.js"
import { ApprovalId } from "../../model/ids.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import { maxOutputBuffer } from "../../shared/OutputRing.js"
import { optionalParameter, toolParameters } from "../tools/toolParameters.js"
import { requestKind, summaryOf } from "./approvals.js"
import { checkShellOptions } from "./checks.js"
import { commandEnvironment } from "./commandEnvironment.js"
import { type CommandEnd, type CommandStop, makeCommandRunner } from "./commandRunner.js"
import { HeadAndTail } from "./HeadAndTail.js"
import { refusedCode, refusedText } from "./launcher.js"
import type { ShellOptions } from "./ShellOptions.js"
import { type ShellCommand, ShellPolicy } from "./ShellPolicy.js"
import { makeWorkingDirectories, type WorkingDirectory } from "./workingDirectory.js"

const toolName = "shell"

/**
 * How a command ended and what it printed. `exit_code` is null when a signal ended it, `signal` when none did; `timed_out`
 * says that `timeout_seconds` was over. `output` has both output streams in the order of arrival; of a long one the beginning and
 * the end, with `omitted_bytes` bytes left out between them. `replaced_bytes`, if it is there, is how many bytes were not UTF-8
 * and are U+FFFD now.
 *
 * @since 0.1.0
 * @category models
 */
export const ShellResult = Schema.Struct({
  exit_code: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String),
  timed_out: Schema.Boolean,
  output: Schema.String,
  omitted_bytes: Schema.NonNegativeInt,
  replaced_bytes: Schema.optionalWith(Schema.NonNegativeInt, { exact: true })
})

/**
 * A value of the `ShellResult` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellResult extends Schema.Schema.Type<typeof ShellResult> {}

// far below what an operating system takes as one argument, in bytes
const longestCommand = 32_768

const CommandText = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(longestCommand),
  // it would end the command for the operating system, not for who reads it
  Schema.filter((text) => !text.includes("\0"), { jsonSchema: {}, description: "a string without NUL" })
)

const tool = Tool.make(toolName, {
  description:
    "Runs a command in a shell (sh) without input, and gives its exit code and its output, the beginning and the end of a " +
    "long one. Every " +
    "process it started is ended with it. A long command shows what it printed so far in its task's output.",
  success: ShellResult,
  failure: Schema.Union(ToolError, ApprovalRequired),
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  command: CommandText.annotations({ description: "The command" }),
  cwd: optionalParameter(
    Schema.String.annotations({ description: "The directory to run in, as seen from the working directory" })
  ),
  timeout_seconds: optionalParameter(
    Schema.Number.pipe(Schema.positive(), Schema.lessThanOrEqualTo(604_800)).annotations({
      description: "End the command after so many seconds"
    })
  )
})).annotate(Tool.Title, "Shell")

const toolkit = Toolkit.make(tool)

const closedError = () =>
  new ToolError({
    reason: "Unavailable",
    toolName,
    message: "The shell is closed. Nothing was run."
  })

type ShellServices = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path

interface RunningCall {
  readonly over: Deferred.Deferred<Option.Option<CommandStop>>
  /** Nothing of it runs any more. */
  readonly end: Deferred.Deferred<void>
}

interface Ran {
  readonly end: CommandEnd
  readonly output: string
  readonly omitted: number
}

/** Lets a command pass that the policy allows, or that a human approved as it is. */
const permit = (
  policy: ShellPolicy,
  task: CurrentTask["Type"],
  command: string,
  directory: WorkingDirectory
): Effect.Effect<void, ToolError | ApprovalRequired> =>
  Effect.suspend((): Effect.Effect<void, ToolError | ApprovalRequired> => {
    const call: ShellCommand = { command, directory: directory.path, root: directory.root }
    const { reason, verdict } = policy(call)
    if (verdict === "Allow") return Effect.void
    if (verdict === "Deny") {
      return new ToolError({ reason: "PermissionDenied", toolName, message: `The command is not allowed: ${reason}` })
    }
    const summary = summaryOf(directory.shown, command)
    const approval = Option.getOrUndefined(task.approval)
    if (approval === undefined || approval.requestKind !== requestKind) {
      return new ApprovalRequired({
        approval: {
          // an approval of an earlier launch is no answer to the question of this one
          id: ApprovalId.make(`shell-${task.taskId}-${task.launch}`),
          requestKind,
          reason,
          summary,
          metadata: { command, directory: directory.path }
        }
      })
    }
    // also differs if the manager cut the summary: then nobody has seen the whole command
    const isSame = approval.summary === summary && approval.metadata["command"] === command &&
      approval.metadata["directory"] === directory.path
    return isSame ? Effect.void : new ToolError({
      reason: "PermissionDenied",
      toolName,
      message: "What would run is not what was shown for approval. Nothing was run."
    })
  })

const make = (options: ShellOptions) =>
  Effect.gen(function*() {
    checkShellOptions(options)
    const {
      environment = {},
      gracePeriod = "2 seconds",
      inheritEnvironment,
      maxOutputBytes = 30_000,
      policy = ShellPolicy.conservative,
      progressInterval = "1 second",
      root,
      shell: [program, ...args] = ["/bin/sh", "-c"],
      timeout = "30 minutes"
    } = options
    if (!(Number.isInteger(maxOutputBytes) && maxOutputBytes >= 0 && maxOutputBytes <= maxOutputBuffer)) {
      return yield* Effect.dieMessage(`maxOutputBytes must be an integer from 0 to ${maxOutputBuffer}`)
    }
    const path = yield* Path.Path
    const fileSystem = yield* FileSystem.FileSystem
    const services = yield* Effect.context<ShellServices>()
    const runner = yield* makeCommandRunner(
      yield* commandEnvironment({ root, inherit: inheritEnvironment, own: environment })
    )

    // otherwise the launcher would miss it, and say so as if it were the command
    let isFound = !path.isAbsolute(program)
    const isThere = Effect.suspend(() =>
      isFound ? Effect.void : Effect.map(fileSystem.access(program), () => {
        isFound = true
      })
    )

    const directories = makeWorkingDirectories({ root, toolName })
    const running = new Set<RunningCall>()
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        isClosed = true
        yield* Effect.forEach(running, ({ over }) => Deferred.succeed(over, Option.some("Closed" as const)))
        yield* Effect.forEach(running, ({ end }) => Deferred.await(end), { discard: true })
      })
    )
    const begin = Effect.gen(function*() {
      if (isClosed) return yield* closedError()
      const call: RunningCall = {
        over: yield* Deferred.make<Option.Option<CommandStop>>(),
        end: yield* Deferred.make<void>()
      }
      running.add(call)
      return call
    })
    /** Keeps the layer open until the effect is over, and begins nothing once it closes. */
    const whileOpen = <A, E, R>(use: (over: RunningCall["over"]) => Effect.Effect<A, E, R>) =>
      Effect.acquireUseRelease(
        begin,
        ({ over }) => use(over),
        (call) => Effect.zipRight(Effect.sync(() => running.delete(call)), Deferred.succeed(call.end, undefined))
      )

    /** Runs it in a scope, which ends what tells of its progress. */
    const run = (
      task: CurrentTask["Type"],
      command: string,
      directory: WorkingDirectory,
      limit: Duration.Duration,
      over: RunningCall["over"]
    ) =>
      Effect.gen(function*() {
        yield* isThere
        const scope = yield* Effect.scope
        const kept = new HeadAndTail(maxOutputBytes)
        let units = 0
        const progress = Effect.suspend(() => {
          if (units === 0) return Effect.void
          units = 0
          const { total } = kept
          return task.reportProgress({ message: `${total} bytes of output`, data: { outputBytes: total } })
        })
        const tellProgress = Effect.forkIn(
          Effect.interruptible(Effect.forever(Effect.delay(progress, progressInterval))),
          scope
        )
        const end = yield* runner.run({
          command: [program, ...args, command],
          directory,
          gracePeriod,
          over,
          limit,
          onText: (text) => {
            // a command that says nothing has no progress
            const isFirst = kept.total === 0
            kept.write(text)
            units += text.length
            return isFirst ? Effect.zipRight(tellProgress, task.write(text)) : task.write(text)
          }
        })
        const { omitted, text } = kept.close()
        return { end, output: text, omitted }
      }).pipe(
        Effect.scoped,
        Effect.mapError((cause) =>
          new ToolError({ reason: "ExecutionFailed", toolName, message: "The shell could not be started.", cause })
        )
      )

    /** Looks up the directory, asks the policy, and runs it. */
    const checkAndRun = (
      task: CurrentTask["Type"],
      command: string,
      cwd: string,
      limit: Duration.Duration
    ): Effect.Effect<Ran, ToolError | ApprovalRequired, ShellServices> =>
      Effect.gen(function*() {
        const directory = yield* directories.lookUp(cwd)
        yield* permit(policy, task, command, directory)
        const ran = yield* whileOpen((over) => run(task, command, directory, limit, over))
        const isRefused = ran.end.exitCode === refusedCode && ran.output === refusedText
        if (!isRefused || !directory.isRemembered) return ran
        // the root is another directory by now, or the command has said so itself
        directories.forget()
        const { path: now } = yield* directories.lookUp(cwd)
        return now === directory.path ? ran : yield* checkAndRun(task, command, cwd, limit)
      })

    return toolkit.of({
      [toolName]: ({ command, cwd, timeout_seconds: seconds }) =>
        Effect.gen(function*() {
          const task = yield* CurrentTask
          const limit = seconds === undefined || seconds === null
            ? Duration.decode(timeout)
            : Duration.seconds(seconds)
          const { end, omitted, output } = yield* checkAndRun(task, command, cwd ?? ".", limit)
          const stopped = Option.getOrUndefined(end.stopped)
          if (stopped === "Closed") {
            return yield* new ToolError({
              reason: "Unavailable",
              toolName,
              message: `The shell was closed while the command ran. It may have had effects. Its output:\n${output}`
            })
          }
          return {
            exit_code: end.exitCode ?? null,
            signal: end.signal ?? null,
            timed_out: stopped === "TimedOut",
            output,
            omitted_bytes: omitted,
            ...(end.replacedBytes === 0 ? undefined : { replaced_bytes: end.replacedBytes })
          }
        }).pipe(Effect.provide(services))
    })
  })

/**
 * The tool `shell`, with `command`, `cwd` and `timeout_seconds`. A failing command is a result like any other; the tool fails
 * with `ApprovalRequired` where the policy asks, with `PermissionDenied` where it denies or where `cwd` leaves the root, with
 * `InvalidInput` for a `cwd` that is not a directory, with `ExecutionFailed` if the shell cannot be started, and with
 * `Unavailable` if the layer closes meanwhile.
 *
 * However a call ends, its whole process group gets SIGTERM, and SIGKILL after the grace period, before the call is over; on
 * Linux also what left the group, found by a variable in its environment, a limit that it inherits, or a parent that was found;
 * docs/shell.md lists what is out of reach. Output goes to the task while it comes
 * (`handle.output`), where it can be read also after a cancel or a timeout of the manager, where the tool gives no
 * result of its own.
 *
 * The root is where commands start, not a sandbox: a command can go and read and write wherever its user may.
 *
 * @example
 * ```ts
 * import { ShellPolicy, ShellTool } from "effect-task-manager/ai"
 *
 * const Shell = ShellTool.layer({
 *   root: "/work/repository",
 *   policy: ShellPolicy.make({ rules: [ShellPolicy.allow("npm test"), ShellPolicy.deny("sudo")] })
 * })
 * const { toolkit } = ShellTool
 * ```
 *
 * @since 0.1.0
 * @category tools
 */
export const ShellTool: {
  /** The tool itself. */
  readonly tool: typeof tool
  /** A toolkit of it alone, to be merged with others. */
  readonly toolkit: typeof toolkit
  /** Its handler. Closing the layer ends every command that runs. Dies on a wrong option, and names it. */
  readonly layer: (
    options: ShellOptions
  ) => Layer.Layer<
    Tool.HandlersFor<typeof toolkit.tools>,
    never,
    CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
  >
} = { tool, toolkit, layer: (options) => toolkit.toLayer(make(options)) }
