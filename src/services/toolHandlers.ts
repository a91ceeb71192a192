/**
 * Tools as plain functions, and tools that check their input: the smallest things that make a `ToolExecutor`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { type ApprovalRequired, ToolError } from "../errors.js"
import { describeIssue } from "../model/describeIssue.js"
import { emptyMetadata, type Metadata } from "../model/json.js"
import {
  goodResult,
  isToolOutput,
  ToolOutput,
  type ToolRequest,
  type ToolResult,
  type ToolSpec
} from "../model/ToolCall.js"
import { mustBeEffect } from "../shared/mustBeEffect.js"
import { nearestNames } from "../shared/nearestNames.js"
import { runningInKey } from "../shared/runningInKey.js"
import { printable } from "../shared/text.js"
import { CurrentTask } from "./CurrentTask.js"
import { checkTools, wrongHandler } from "./toolChecks.js"

/**
 * Answers one tool call with a `ToolOutput`, a string, or any other JSON value. `description`, `inputSchema` and
 * `annotations` are what a model sees of the tool.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolHandler<out R = never> {
  (request: ToolRequest): Effect.Effect<unknown, ToolError | ApprovalRequired, R>
  readonly description?: string | undefined
  readonly inputSchema?: unknown
  readonly annotations?: Metadata | undefined
}

/**
 * Constructors of `ToolHandler`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ToolExecutor, ToolHandler } from "effect-task-manager"
 *
 * const Tools = ToolExecutor.fromHandlers({
 *   add: ToolHandler.make({
 *     description: "Adds two numbers",
 *     input: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
 *     handle: ({ a, b }) => Effect.succeed(a + b)
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const ToolHandler: {
  /**
   * A tool that checks its input: input that does not match the schema ends in an `InvalidInput` result that names the field and
   * never shows the value. The model gets the JSON Schema of the schema; a schema without one throws here.
   */
  readonly make: <A, I, R, RI = never>(options: {
    readonly description?: string | undefined
    readonly input: Schema.Schema<A, I, RI>
    readonly annotations?: Metadata | undefined
    readonly handle: (input: A, request: ToolRequest) => Effect.Effect<unknown, ToolError | ApprovalRequired, R>
  }) => ToolHandler<R | RI>
} = {
  make: (options) => {
    if (!Schema.isSchema(options.input)) throw new TypeError("ToolHandler.make: input must be a Schema")
    if (typeof options.handle !== "function") throw new TypeError("ToolHandler.make: handle must be a function")
    const decode = Schema.decodeUnknown(options.input, { errors: "all" })
    const handler = (request: ToolRequest) =>
      Effect.mapError(decode(request.input), (error) => invalidInput(request.toolName, describeIssue(error.issue)))
        .pipe(
          Effect.flatMap((input) => options.handle(input, request))
        )
    return Object.assign(handler, {
      description: options.description,
      inputSchema: JSONSchema.make(options.input),
      annotations: options.annotations
    })
  }
}

/**
 * Handlers by tool name.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolHandlers extends Readonly<Record<string, ToolHandler<unknown>>> {}

/**
 * Types that are made from handlers.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace ToolHandlers {
  /**
   * The services that the handlers of a record need.
   *
   * @since 0.1.0
   * @category models
   */
  export type Context<H extends ToolHandlers> = {
    readonly [Name in keyof H]: H[Name] extends (request: ToolRequest) => Effect.Effect<infer _A, infer _E, infer R> ? R
      : never
  }[keyof H]
}

const anyObject = { type: "object" }

const specOf = ([name, handler]: readonly [string, ToolHandler<unknown>]): ToolSpec => ({
  name,
  description: handler.description ?? "",
  inputSchema: handler.inputSchema ?? anyObject,
  ...(handler.annotations === undefined ? undefined : { annotations: handler.annotations }),
  metadata: emptyMetadata
})

/**
 * The failure of a call whose input is wrong; `what` names the fields and never their values.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidInput = (toolName: string, what: string): ToolError =>
  new ToolError({ reason: "InvalidInput", toolName, message: `Invalid input for the tool: ${what}.` })

/**
 * The failure of a call to a tool that does not exist. It names the tool and the nearest of the `names` that exist.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unknownTool = (toolName: string, names: Iterable<string>): ToolError => {
  const nearest = nearestNames(toolName, names).map(quoted)
  const hint = nearest.length === 0 ? "" : ` The nearest ${nearest.length === 1 ? "is" : "are"} ${nearest.join(", ")}.`
  return new ToolError({
    reason: "NotFound",
    toolName,
    message: `There is no tool of this name: ${quoted(toolName)}.${hint}`
  })
}

const quoted = (name: string): string => `\`${printable(name)}\``

/**
 * What a handler answers, as output: a string is text, an output is itself, nothing is the empty text, any other value is
 * structured. It is made JSON where the manager reads it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toOutput = (value: unknown): ToolOutput =>
  typeof value === "string"
    ? ToolOutput.Text({ text: value })
    : value === undefined
    ? noText
    : isToolOutput(value)
    ? value
    : ToolOutput.Structured({ value })

const noText: ToolOutput = ToolOutput.Text({ text: "" })

// these belong to each launch; what the layer saw when it was built must not hide them
const perLaunch: ReadonlyArray<string> = [CurrentTask.key, runningInKey, Scope.Scope.key, Tracer.ParentSpan.key]

/**
 * A context that was captured when a layer was built, without what belongs to each launch.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withoutLaunch = (captured: Context.Context<never>): Context.Context<never> =>
  Context.unsafeMake(new Map([...captured.unsafeMap].filter(([key]) => !perLaunch.includes(key))))

/**
 * Runs a tool in the context of its launch with the services of a captured one on top. What belongs to the launch stays the launch's.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withCaptured = (
  captured: Context.Context<never>
): <A, E>(tool: Effect.Effect<A, E, unknown>) => Effect.Effect<A, E, CurrentTask> => {
  const services = [...withoutLaunch(captured).unsafeMap]
  const hasAll = ({ unsafeMap }: Context.Context<never>): boolean =>
    services.every(([key, service]) => unsafeMap.has(key) && unsafeMap.get(key) === service)
  return <A, E>(tool: Effect.Effect<A, E, unknown>) =>
    Effect.withFiberRuntime<A, E, CurrentTask>(({ currentContext }) =>
      // to change the context of a fiber, and to change it back, copies all of its refs twice
      hasAll(currentContext)
        // it finds all that it would find in the merged one
        // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
        ? tool as Effect.Effect<A, E, CurrentTask>
        : Effect.mapInputContext(
          tool,
          (context: Context.Context<CurrentTask>) => {
            const all = new Map(context.unsafeMap)
            for (const [key, service] of services) all.set(key, service)
            return Context.unsafeMake<unknown>(all)
          }
        )
    )
}

/**
 * The service that runs handlers, with what they need taken from the context the layer was built in. Throws a `TypeError`
 * with the tool's name for a wrong handler.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeExecutor = <H extends ToolHandlers>(
  handlers: H,
  captured: Context.Context<Exclude<ToolHandlers.Context<H>, CurrentTask | Scope.Scope>>
): {
  readonly specs: Effect.Effect<ReadonlyArray<ToolSpec>>
  readonly execute: (request: ToolRequest) => Effect.Effect<ToolResult, ToolError | ApprovalRequired, CurrentTask>
} => {
  checkTools("ToolExecutor.fromHandlers", "handlers", handlers, wrongHandler)
  const withServices = withCaptured(captured)
  return {
    specs: Effect.succeed(Object.entries(handlers).map(specOf)),
    execute: (request) => {
      const handler = Object.hasOwn(handlers, request.toolName) ? handlers[request.toolName] : undefined
      if (handler === undefined) return unknownTool(request.toolName, Object.keys(handlers))
      return Effect.map(
        withServices(mustBeEffect(handler(request), () => `The handler of the tool "${printable(request.toolName)}"`)),
        (value) => goodResult(request.callId, toOutput(value))
      )
    }
  }
}
