/**
 * A toolkit in the form that a language model is given: the same tools, and every answer of the model is accepted.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { ToolSpec } from "../../model/ToolCall.js"
import { advertisedSchema } from "./BackgroundParameter.js"
import { annotationsOf } from "./internal/annotationsOf.js"
import { checkParameters, checkToolName } from "./internal/checkTool.js"
import { closedSchema, strictSchema } from "./internal/strictSchema.js"
import { isProviderDefined, isRunByProvider } from "./providerDefined.js"

/** Parameters of any shape, undecoded. */
interface AnyParameters extends Schema.Schema<unknown> {
  readonly fields: {}
  readonly make: (parameters: unknown) => unknown
}

/**
 * A tool that takes parameters of any shape and needs nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelTool extends
  Tool.Tool<string, {
    readonly parameters: AnyParameters
    readonly success: typeof Schema.Unknown
    readonly failure: typeof Schema.Unknown
    readonly failureMode: "error"
  }>
{}

/**
 * What `LanguageModel.generateText` and `streamText` take as their `toolkit`, together with `disableToolCallResolution`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelToolkit extends Toolkit.WithHandler<Readonly<Record<string, ModelTool>>> {}

const anyParameters = (jsonSchema: object): AnyParameters =>
  Object.assign(Schema.Unknown.annotations({ jsonSchema }), { fields: {}, make: identity })

const mirror = (tool: Tool.Any): ModelTool => {
  const schema = strictSchema(advertisedSchema(tool))
  checkToolName(tool)
  checkParameters(tool, schema)
  // an object, as it was checked
  const parameters = anyParameters(schema as object)
  return Tool.make(tool.name, {
    description: tool.description ?? Tool.getDescriptionFromSchemaAst(tool.parametersSchema.ast),
    success: Schema.Unknown,
    failure: Schema.Unknown
  }).setParameters(parameters).annotateContext(annotationsOf(tool))
}

const mirrorProviderDefined = (tool: Tool.AnyProviderDefined): ModelTool => {
  const parametersSchema = isRunByProvider(tool) ? tool.parametersSchema : anyParameters({})
  // a copy with its prototype, which is how a provider knows its own tools; Tool has no constructor for that. It takes
  // any parameters now, or is never called by a model but run by the provider itself, by schemas that need nothing
  return Object.assign(Object.create(Object.getPrototypeOf(tool)), tool, { parametersSchema }) as ModelTool
}

const handledElsewhere: ModelToolkit["handle"] = (name) =>
  Effect.dieMessage(`"${String(name)}" was to be run by the model's toolkit: set disableToolCallResolution`)

/**
 * Mirrors of the tools: names, descriptions, annotations and JSON Schemas (with the parameter `background` where the model
 * may choose) are the same, but parameters are neither checked nor decoded, so that wrong ones fail one call and not the
 * whole reply: the executor checks them. An optional parameter is sent as one that may be null, because strict modes of providers
 * want every parameter required; the executor takes null for one that is left out. Tools that the provider runs itself are as they
 * were. Calls are not resolved here: use it with `disableToolCallResolution`. Throws, with the tool's name, if a name of a tool
 * or of a parameter is one that providers refuse, if a tool that is annotated with `ModelChoosesBackground` has a parameter
 * `background` of its own, or if its parameters have no JSON Schema.
 *
 * @example
 * ```ts
 * import { LanguageModel, Tool, Toolkit } from "@effect/ai"
 * import { Schema } from "effect"
 * import { ModelToolkit } from "effect-task-manager/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("add", { parameters: { a: Schema.NumberFromString, b: Schema.Number }, success: Schema.Number })
 * )
 *
 * const reply = LanguageModel.generateText({
 *   prompt: "What is 1 + 2?",
 *   toolkit: ModelToolkit.fromToolkit(toolkit),
 *   disableToolCallResolution: true
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromToolkit = (toolkit: Toolkit.Any): ModelToolkit => ({
  tools: Object.fromEntries(
    Object.entries(toolkit.tools).map(([name, tool]) => [
      name,
      isProviderDefined(tool) ? mirrorProviderDefined(tool) : mirror(tool)
    ])
  ),
  handle: handledElsewhere
})

const fromSpec = (spec: ToolSpec): ModelTool => {
  const schema = strictSchema(closedSchema(spec.inputSchema))
  const tool = Tool.make(spec.name, {
    description: spec.description,
    success: Schema.Unknown,
    failure: Schema.Unknown
  })
  checkToolName(tool)
  checkParameters(tool, schema)
  return tool.setParameters(anyParameters(Predicate.isRecord(schema) ? schema : {}))
}

/**
 * Tools that are made from the specs of an executor (`ToolExecutor.specs`), in the form for a model: names, descriptions and JSON
 * Schemas are passed on. An object whose schema does not say whether it takes more fields takes none, and an optional field may be
 * null, because strict modes of providers want it so. Throws, with the tool's name, for a tool that providers refuse.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ToolExecutor } from "effect-task-manager"
 * import { ModelToolkit } from "effect-task-manager/ai"
 *
 * const toolkit = Effect.flatMap(ToolExecutor, ({ specs }) => Effect.map(specs, ModelToolkit.fromSpecs))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromSpecs = (specs: ReadonlyArray<ToolSpec>): ModelToolkit => ({
  tools: Object.fromEntries(specs.map((spec) => [spec.name, fromSpec(spec)])),
  handle: handledElsewhere
})
