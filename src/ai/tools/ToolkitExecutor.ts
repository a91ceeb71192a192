/**
 * Runs the calls of an `@effect/ai` toolkit as tasks.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ApprovalRequired, ToolError } from "../../errors.js"
import { describeIssue } from "../../model/describeIssue.js"
import { ApprovalId } from "../../model/ids.js"
import { emptyMetadata } from "../../model/json.js"
import { notJson } from "../../model/readToolResult.js"
import { badResult, goodResult, type ToolOutput, type ToolRequest, type ToolResult } from "../../model/ToolCall.js"
import { approvalOf, toolErrorOf } from "../../model/toolFailures.js"
import { callSummary } from "../../services/callSummary.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import { invalidInput, toOutput, unknownTool, withCaptured, withoutLaunch } from "../../services/toolHandlers.js"
import { hidingCause } from "../../shared/hiddenCause.js"
import { jsonText } from "../../shared/jsonText.js"
import { refuseUnless } from "../../shared/refusals.js"
import { printable, unseen } from "../../shared/text.js"
import { type JsonFault, toJson } from "../../shared/toJson.js"
import { parameterName, parameterTakes, takeChoice } from "./BackgroundParameter.js"
import { annotationsOf } from "./internal/annotationsOf.js"
import { checkToolName } from "./internal/checkTool.js"
import { specsOf } from "./internal/specsOf.js"
import { withoutNulls } from "./internal/strictSchema.js"
import { isRunByProvider } from "./providerDefined.js"
import { type ApprovalRule, NeedsApproval } from "./ToolAnnotations.js"
import { fromToolkit } from "./ToolRouting.js"

/**
 * Options for every tool of the toolkit. `approveDestructive`: a tool that is explicitly annotated as
 * `Tool.Destructive` and says nothing about `NeedsApproval` asks a human before each call; default `false`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly approveDestructive?: boolean | undefined
}

/**
 * What the tools of a toolkit need: their handlers, and the services that these and the schemas depend on. `CurrentTask`
 * and `Scope` are not among them: they belong to each launch.
 *
 * @since 0.1.0
 * @category models
 */
export type Requirements<Tools extends Record<string, Tool.Any>> =
  | Tool.HandlersFor<Tools>
  | Exclude<Tool.Requirements<Tools[keyof Tools]>, CurrentTask | Scope.Scope>

type Run = (request: ToolRequest) => Effect.Effect<ToolResult, ToolError | ApprovalRequired, unknown>

/** Where an object has a key `__proto__`: a schema that copies it key by key would take it for the copy's prototype. */
const hasPrototypeKey = (input: unknown): boolean => {
  const seen = new Set<unknown>()
  const pending: Array<unknown> = [input]
  while (pending.length > 0) {
    const value = pending.pop()
    if (typeof value !== "object" || value === null || seen.has(value)) continue
    if (Object.hasOwn(value, "__proto__")) return true
    seen.add(value)
    for (const child of Object.values(value)) pending.push(child)
  }
  return false
}

/** The tag and the message of a failure. */
const tagAndMessage = (failure: unknown): string => {
  const tag = Predicate.hasProperty(failure, "_tag") && typeof failure._tag === "string" ? failure._tag : undefined
  // its own message, not a computed one: what Schema makes for an error without a message shows every field
  const message = Predicate.isObject(failure) && Object.hasOwn(failure, "message") &&
      Predicate.hasProperty(failure, "message") && typeof failure.message === "string" && failure.message !== ""
    ? failure.message
    : undefined
  return [tag, message].filter((part) => part !== undefined).join(": ").replace(unseen, "\ufffd")
}

/** Of an error its tag and its message, of other data all that its schema makes of it; the fault if that is not JSON. */
const failureText = (failure: unknown, encoded: unknown): string | JsonFault => {
  if (failure instanceof Error) return tagAndMessage(failure)
  if (typeof encoded === "string") return encoded
  const reading = toJson(encoded)
  if (reading._tag === "JsonFault") return reading
  const { value } = reading
  const isNamed = Predicate.isRecord(value) && Object.keys(value).every((key) => key === "_tag" || key === "message")
  // nothing, or more than fits into a string
  return isNamed ? tagAndMessage(value) : value === undefined ? "" : jsonText(value) ?? ""
}

/** The defect of a tool whose answer is not in its schema. It names fields; the cause, which may hold values, is for the program alone. */
const WrongAnswer = hidingCause(class WrongAnswer extends TypeError {})

/** What its schema makes of an answer: what that does not declare is not for the model. A tool that answers so is broken, as one that dies. */
const inSchema = (
  { toolName }: ToolRequest,
  encoding: Effect.Effect<unknown, ParseResult.ParseError, unknown>
): Effect.Effect<unknown, never, unknown> =>
  Effect.catchAll(encoding, (cause) => {
    const what = `The tool "${printable(toolName)}" answered with what is not in its schema: ${
      describeIssue(cause.issue)
    }`
    return Effect.die(new WrongAnswer(what, { cause }))
  })

const noJson = ({ toolName }: ToolRequest, did: string, fault: JsonFault): Effect.Effect<never> => {
  const cause = notJson(toolName, did, fault)
  return Effect.die(new WrongAnswer(cause.message, { cause }))
}

const executionFailed = (
  request: ToolRequest,
  failure: unknown,
  encoding: Effect.Effect<unknown, ParseResult.ParseError, unknown>
): Effect.Effect<never, ToolError, unknown> =>
  Effect.flatMap(inSchema(request, encoding), (encoded): Effect.Effect<never, ToolError, unknown> => {
    const text = failureText(failure, encoded)
    if (typeof text !== "string") return noJson(request, "failed with", text)
    const message = text === "" ? "The tool failed." : `The tool failed: ${text}`
    return new ToolError({ reason: "ExecutionFailed", toolName: request.toolName, message, cause: failure })
  })

const encoded = (
  request: ToolRequest,
  encoding: Effect.Effect<unknown, ParseResult.ParseError, unknown>
): Effect.Effect<ToolOutput, never, unknown> =>
  Effect.flatMap(inSchema(request, encoding), (value): Effect.Effect<ToolOutput> => {
    const reading = toJson(value)
    return reading._tag === "Json" ? Effect.succeed(toOutput(reading.value)) : noJson(request, "returned", reading)
  })

const approvalRule = (tool: Tool.Any, options: Options | undefined): ApprovalRule | "Destructive" => {
  const annotations = annotationsOf(tool)
  // it is destructive by default in @effect/ai, so only what the author wrote counts
  return options?.approveDestructive === true && !annotations.unsafeMap.has(NeedsApproval.key) &&
      annotations.unsafeMap.has(Tool.Destructive.key) && Context.get(annotations, Tool.Destructive)
    ? "Destructive"
    : Context.get(annotations, NeedsApproval)
}

/** Asks for approval unless the rule plainly says no, or the call is approved already. */
const askFirst = (
  rule: ApprovalRule | "Destructive",
  toolName: string,
  input: unknown
): Effect.Effect<void, ApprovalRequired, CurrentTask> =>
  Effect.gen(function*() {
    const task = yield* CurrentTask
    if (rule === false || Option.isSome(task.approval)) return
    const answer = typeof rule === "function" ? rule(input) : rule
    const reason = Effect.isEffect(answer) ? yield* answer : answer
    if (reason === false) return
    return yield* new ApprovalRequired({
      approval: {
        id: ApprovalId.make(`approval-${task.taskId}-${task.launch}`),
        requestKind: "tool",
        reason: typeof reason === "string" && reason !== "" ? printable(reason) : "NeedsApproval",
        summary: callSummary(toolName, input),
        metadata: emptyMetadata
      }
    })
  })

/** What a tool's schemas are; `Tool.Any` has lost it. */
type AnySchema = Schema.Schema<unknown, unknown, unknown>

/**
 * Not through `handle` of the toolkit: it writes the parameters into its span and its errors, and its own failures cannot
 * be told from those of a handler that calls a model itself.
 */
const runner = (tool: Tool.Any, handler: Tool.Handler<string>, options: Options | undefined): Run => {
  // Tool makes no tool without schemas
  const decode = Schema.decodeUnknown(tool.parametersSchema as unknown as AnySchema, { errors: "all" })
  const encodeSuccess = Schema.encodeUnknown(tool.successSchema as AnySchema)
  const encodeFailure = Schema.encodeUnknown(tool.failureSchema as unknown as AnySchema)
  const leaveOut = withoutNulls(tool.parametersSchema.ast)
  const rule = approvalRule(tool, options)
  const beneath = withoutLaunch(handler.context)

  const failed = (request: ToolRequest, failure: unknown) => {
    const toolError = toolErrorOf(failure)
    if (toolError !== undefined) return toolError
    const approval = approvalOf(failure, request.toolName)
    if (approval !== undefined) return new ApprovalRequired({ approval })
    return tool.failureMode === "error"
      ? executionFailed(request, failure, encodeFailure(failure))
      : Effect.map(encoded(request, encodeFailure(failure)), (output) => badResult(request.callId, output))
  }

  return Effect.fnUntraced(function*(request) {
    const { callId, toolName } = request
    const { choice, input: sent } = takeChoice(tool, request.input)
    if (choice._tag === "Invalid") {
      return yield* invalidInput(toolName, `\`${parameterName}\` must be ${parameterTakes}`)
    }
    if (hasPrototypeKey(sent)) return yield* invalidInput(toolName, "`__proto__` is not expected")
    const input = leaveOut(sent)
    const parameters = yield* Effect.mapError(
      decode(input),
      (error) => invalidInput(toolName, describeIssue(error.issue))
    )
    yield* askFirst(rule, toolName, input)
    const answer = yield* Effect.either(handler.handler(parameters))
    return Either.isRight(answer)
      ? goodResult(callId, yield* encoded(request, encodeSuccess(answer.right)))
      : yield* failed(request, answer.left)
  }, Effect.mapInputContext((context: Context.Context<unknown>) => Context.merge(beneath, context)))
}

/**
 * A `ToolExecutor` that runs the calls of a toolkit, with what its handlers need taken from the context this effect runs
 * in.
 *
 * - The input of a call is what the model sent; the tool's schema decodes it, once. What does not match is an
 *   `InvalidInput` error that names the fields and never shows a value, and a name that no tool has is `NotFound`.
 * - What the handler answers is encoded by the tool's success schema: a string becomes text, nothing an empty text,
 *   anything else a structured result.
 * - What it fails with ends the call as `ExecutionFailed`: of an error the model reads the tag and the message, of other data
 *   all that the failure schema makes of it. Or, for tools with `failureMode: "return"`, becomes a result
 *   that is marked as an error and holds the encoded failure. A `ToolError` or `ApprovalRequired` stays what it is.
 * - A handler whose answer is not in its schema dies: the call ends as `Internal`, or as `TaskManagerConfig.onToolDefect` says.
 * - A tool annotated with `NeedsApproval` asks before its handler runs.
 * - Its calls run where the annotations of their tools say, under a manager that was given no `RoutingPolicy`.
 * - Tools that the provider runs itself are not run here.
 *
 * Dies if a tool has no JSON Schema or a name that providers refuse, if its handler is not a function, if an option is wrong, or if a tool has a parameter `background` of its own and is annotated with
 * `ModelChoosesBackground`.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Schema } from "effect"
 * import { ToolkitExecutor } from "effect-task-manager/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("add", { parameters: { a: Schema.NumberFromString, b: Schema.Number }, success: Schema.Number })
 * )
 *
 * const names = ToolkitExecutor.make(toolkit).pipe(
 *   Effect.flatMap((executor) => executor.specs),
 *   Effect.map((specs) => specs.map((spec) => spec.name)),
 *   Effect.provide(toolkit.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>,
  options?: Options
): Effect.Effect<ToolExecutor["Type"], never, Requirements<Tools>> =>
  Effect.map(Effect.context<Requirements<Tools>>(), (captured) => {
    const approveDestructive = options?.approveDestructive
    // what is nearly true must not be taken for false: it would run what a human was to see
    refuseUnless(
      approveDestructive === undefined || typeof approveDestructive === "boolean",
      "ToolkitExecutor.Options.approveDestructive",
      "a boolean",
      approveDestructive
    )
    const tools = Object.entries(toolkit.tools).filter(([, tool]) => !isRunByProvider(tool))
    const runners = new Map<string, Run>()
    for (const [name, tool] of tools) {
      // where Toolkit puts it
      const handler: Tool.Handler<string> | undefined = captured.unsafeMap.get(tool.id)
      refuseUnless(name !== "", "A toolkit", "tools with names", name)
      checkToolName(tool)
      if (handler === undefined) throw new TypeError(`The tool "${name}" has no handler`)
      refuseUnless(
        typeof handler.handler === "function",
        `The handler of the tool "${printable(name)}"`,
        "a function",
        handler.handler
      )
      runners.set(name, runner(tool, handler, options))
    }
    const specs = specsOf(toolkit)
    const withServices = withCaptured(captured)
    const route = fromToolkit(toolkit)
    return {
      specs: Effect.succeed(specs),
      route,
      execute: (request) => {
        const run = runners.get(request.toolName)
        return run === undefined
          ? unknownTool(request.toolName, runners.keys())
          : withServices(run(request))
      }
    }
  })

/**
 * `make` as a layer.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Layer, Schema } from "effect"
 * import { ToolkitExecutor } from "effect-task-manager/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("read_file", { parameters: { path: Schema.String }, success: Schema.String })
 * )
 *
 * const Tools = ToolkitExecutor.layer(toolkit).pipe(
 *   Layer.provide(toolkit.toLayer({ read_file: ({ path }) => Effect.succeed(`the text of ${path}`) }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>,
  options?: Options
): Layer.Layer<ToolExecutor, never, Requirements<Tools>> => Layer.effect(ToolExecutor, make(toolkit, options))
