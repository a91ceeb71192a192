/**
 * The parameter with which a model says that a call is to run in the background.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"
import * as Context from "effect/Context"
import * as Predicate from "effect/Predicate"
import * as AST from "effect/SchemaAST"
import { annotationsOf } from "./internal/annotationsOf.js"
import { ModelChoosesBackground } from "./ToolAnnotations.js"

/**
 * The name of the parameter.
 *
 * @since 0.1.0
 * @category constants
 */
export const parameterName = "background"

/**
 * What the model said: nothing, to start in the background, to go there after some seconds, or something else.
 *
 * @since 0.1.0
 * @category models
 */
export type BackgroundChoice =
  | { readonly _tag: "Unsaid" }
  | { readonly _tag: "AtOnce" }
  | { readonly _tag: "After"; readonly seconds: number }
  | { readonly _tag: "Invalid" }

/**
 * What the parameter takes, in words.
 *
 * @since 0.1.0
 * @category constants
 */
export const parameterTakes = "true, false, a number of seconds from 0, or null"

const parameterSchema = {
  anyOf: [{ type: "boolean" }, { type: "number", minimum: 0 }, { type: "null" }],
  description: "true: start this call in the background and go on without its result, which comes later. " +
    "A number: wait for so many seconds first. null or false: the default."
}

const withParameter = (tool: Tool.Any, schema: object): object => {
  const { properties, required } = { properties: {}, required: [], ...schema }
  if (!("type" in schema) || schema.type !== "object" || !Predicate.isRecord(properties) || !Array.isArray(required)) {
    throw new TypeError(
      `The parameters of the tool "${tool.name}" are not a plain object: ModelChoosesBackground cannot add one`
    )
  }
  if (Object.hasOwn(properties, parameterName)) {
    throw new TypeError(
      `The tool "${tool.name}" has a parameter "${parameterName}" of its own: it cannot be annotated with ModelChoosesBackground`
    )
  }
  // required: strict modes of providers want every property there, and null is how a model says nothing
  return {
    ...schema,
    properties: { ...properties, [parameterName]: parameterSchema },
    required: [...required, parameterName]
  }
}

const parametersOf = (tool: Tool.Any): object => {
  const { ast } = tool.parametersSchema
  // to Effect a struct without fields is any object or list, and providers refuse a union as the parameters of a tool
  return AST.isTypeLiteral(ast) && ast.propertySignatures.length + ast.indexSignatures.length === 0
    ? { type: "object", properties: {}, required: [], additionalProperties: false }
    : Tool.getJsonSchemaFromSchemaAst(ast)
}

const modelChooses = (tool: Tool.Any): boolean => Context.get(annotationsOf(tool), ModelChoosesBackground)

/**
 * The JSON Schema of a tool's parameters for the model, with the parameter `background` where the model may choose.
 * Throws for a tool that has such a parameter of its own, and for a schema that has no JSON Schema.
 *
 * @since 0.1.0
 * @category combinators
 */
export const advertisedSchema = (tool: Tool.Any): object => {
  const schema = parametersOf(tool)
  return modelChooses(tool) ? withParameter(tool, schema) : schema
}

const said = (value: unknown): BackgroundChoice => {
  if (value === undefined || value === null || value === false) return { _tag: "Unsaid" }
  if (value === true) return { _tag: "AtOnce" }
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return { _tag: "Invalid" }
  return value === 0 ? { _tag: "AtOnce" } : { _tag: "After", seconds: value }
}

/**
 * What the model chose, and the input without the choice. For a tool where it may not choose, the input is as it came.
 *
 * @since 0.1.0
 * @category combinators
 */
export const takeChoice = (
  tool: Tool.Any,
  input: unknown
): { readonly choice: BackgroundChoice; readonly input: unknown } => {
  if (!modelChooses(tool) || !Predicate.isRecord(input) || !Object.hasOwn(input, parameterName)) {
    return { choice: { _tag: "Unsaid" }, input }
  }
  const { [parameterName]: value, ...rest } = input
  return { choice: said(value), input: rest }
}
