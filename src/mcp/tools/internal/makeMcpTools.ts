/** The executor over all servers: one call from its first launch to its end. */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type ApprovalRequired, ToolError } from "../../../errors.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { isSettled } from "../../../model/settled.js"
import { goodResult, type ToolRequest, type ToolResult } from "../../../model/ToolCall.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { invalidInput, unknownTool } from "../../../services/toolHandlers.js"
import { printable } from "../../../shared/text.js"
import type { McpServerUnavailable, McpToolsOptions } from "../McpToolsOptions.js"
import { askFirst } from "./approvals.js"
import { type Entry, makeCatalog } from "./catalog.js"
import { failureOf, wasNotSent } from "./failures.js"
import { withoutNulls } from "./inputs.js"
import { type AskedForm, OpenCall } from "./OpenCall.js"
import { readResult } from "./outputs.js"
import { goesOn, questionOf } from "./questions.js"
import { readSettings } from "./settings.js"
import { supervise, type Supervised } from "./Supervisor.js"

type Task = CurrentTask["Type"]

/** The call did not reach its server, and can be made again. */
class NotMade {
  readonly _tag = "NotMade"
  readonly error: ToolError
  constructor(error: ToolError) {
    this.error = error
  }
}

/** Tells the server to stop. A task of its own is asked to by a request, whose answer is waited for: the connection may be closed next. */
const cancelled = (call: OpenCall, reason: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const told = call.cancel(reason).catch(() => {})
    return call.taskId === undefined ? Effect.void : Effect.promise(() => told).pipe(
      Effect.interruptible,
      Effect.disconnect,
      Effect.timeoutOption("5 seconds"),
      Effect.asVoid
    )
  })

export const makeMcpTools = (
  options: McpToolsOptions,
  executor: Option.Option<CommandExecutor.CommandExecutor>
): Effect.Effect<
  { readonly servers: ReadonlyArray<Supervised>; readonly executor: ToolExecutor["Type"] },
  McpServerUnavailable,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const settings = readSettings(options)
    const scope = yield* Effect.scope
    const servers = yield* Effect.forEach(options.servers, (server) => supervise(server, settings, executor), {
      concurrency: "unbounded"
    })
    const catalog = makeCatalog(servers)
    /** Calls whose server waits for an answer, by their tasks, while no launch of these runs. */
    const parked = new Map<string, OpenCall>()
    yield* Effect.addFinalizer(() =>
      Effect.forEach([...parked.values()], (call) => cancelled(call, "The tools are closed"), {
        concurrency: "unbounded",
        discard: true
      })
    )

    /** Gives up a call that nobody will go on with: its task has ended while it was asked, or nobody answers. */
    const watch = (call: OpenCall, task: Task) =>
      Effect.gen(function*() {
        const manager = yield* Effect.serviceOption(TaskManager)
        const isLive = Option.match(manager, {
          onNone: () => Effect.succeed(true),
          onSome: ({ handle }) =>
            Effect.match(handle.get(task.taskId), { onFailure: () => false, onSuccess: (task) => !isSettled(task) })
        })
        const ended = Option.match(manager, {
          onNone: () => Effect.never,
          onSome: ({ handle }) =>
            Stream.runForEachWhile(
              Stream.concat(Stream.void, handle.eventsOf({ taskId: task.taskId })),
              () => isLive
            )
        })
        yield* Effect.timeoutOption(ended, settings.questionMillis)
        if (parked.get(task.idempotencyKey) !== call) return
        parked.delete(task.idempotencyKey)
        yield* cancelled(call, "Nobody has answered")
      })

    const park = (call: OpenCall, { listed }: Entry, task: Task, asked: AskedForm) =>
      Effect.uninterruptible(Effect.suspend(() => {
        parked.set(task.idempotencyKey, call)
        return Effect.zipRight(
          Effect.forkIn(Effect.interruptible(watch(call, task)), scope),
          questionOf(task, listed.tool, asked)
        )
      }))

    const begun = (entry: Entry, task: Task, input: Readonly<Record<string, unknown>>) =>
      Effect.flatMap(entry.supervised.connection, (found) => {
        if (Option.isNone(found)) {
          return new ToolError({
            reason: "Unavailable",
            toolName: task.request.toolName,
            message: `The MCP server "${printable(entry.server)}" is not running. The call was not made.`
          })
        }
        const call = new OpenCall(found.value.isClosed)
        found.value.begin(call, entry.listed, input)
        return Effect.succeed(call)
      })

    /** Follows a call to its end, or to what its server asks. */
    const followed = (
      call: OpenCall,
      entry: Entry,
      task: Task
    ): Effect.Effect<ToolResult, ToolError | ApprovalRequired | NotMade> =>
      Effect.gen(function*() {
        const { callId, toolName } = task.request
        for (;;) {
          const event = yield* call.next
          switch (event._tag) {
            case "Progress":
              yield* task.reportProgress(event.progress)
              break
            case "Asked":
              return yield* park(call, entry, task, event.asked)
            case "Ended": {
              const { end } = event
              if (end._tag === "Failed") {
                const error = failureOf(end.error, {
                  toolName,
                  server: entry.server,
                  call,
                  isClosed: call.isCutOff()
                })
                return yield* wasNotSent(end.error, call) ? Effect.fail(new NotMade(error)) : error
              }
              const output = readResult(toolName, end.result)
              if (output instanceof ToolError) return yield* output
              return goodResult(callId, output)
            }
          }
        }
      }).pipe(Effect.onInterrupt(() => cancelled(call, "The task was cancelled")))

    /** Makes the call, and once more if it did not reach its server: the next connection may take it. */
    const made = (entry: Entry, task: Task, input: Readonly<Record<string, unknown>>) => {
      const once = Effect.flatMap(begun(entry, task, input), (call) => followed(call, entry, task))
      return once.pipe(
        Effect.catchTag("NotMade", () => once),
        Effect.catchTag("NotMade", ({ error }) => error)
      )
    }

    const resumed = (call: OpenCall, entry: Entry, task: Task) =>
      Effect.suspend(() => {
        call.answer(task.answers)
        return followed(call, entry, task)
      }).pipe(Effect.catchTag("NotMade", ({ error }) => error))

    const execute = (request: ToolRequest) =>
      Effect.gen(function*() {
        const { entries } = catalog()
        const entry = entries.get(request.toolName)
        if (entry === undefined) return yield* unknownTool(request.toolName, entries.keys())
        const task = yield* CurrentTask
        const call = parked.get(task.idempotencyKey)
        if (call !== undefined) {
          parked.delete(task.idempotencyKey)
          return yield* resumed(call, entry, task)
        }
        if (goesOn(task)) {
          return yield* new ToolError({
            reason: "Interrupted",
            toolName: request.toolName,
            message: "The call that has asked was given up before the answer: nobody knows what it has done."
          })
        }
        const { tool } = entry.listed
        const input = withoutNulls(tool.inputSchema, request.input)
        if (!Predicate.isRecord(input)) return yield* invalidInput(request.toolName, "it must be an object")
        yield* askFirst(task, entry.supervised.server.approval ?? settings.approval, tool, input)
        return yield* made(entry, task, input)
      })

    return {
      servers,
      executor: {
        specs: Effect.sync(() => catalog().specs),
        route: (request) => {
          const entry = catalog().entries.get(request.toolName)
          return entry === undefined || settings.route === undefined
            ? RoutingDecision.Foreground({ continuePolicy: "RequestContinue" })
            : settings.route(entry.listed.tool, request)
        },
        execute
      }
    }
  })
