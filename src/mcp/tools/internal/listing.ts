/** What a server says of its tools, read as what it is: text from outside, in bounds. */
import * as Predicate from "effect/Predicate"
import { jsonText } from "../../../shared/jsonText.js"
import { toJson } from "../../../shared/toJson.js"
import { wellFormedText } from "../../../shared/wellFormed.js"
import type { McpTool } from "../McpToolsOptions.js"

/** How much a server may say of its tools. */
export const listingLimits = {
  tools: 512,
  pages: 64,
  nameCharacters: 128,
  descriptionCharacters: 4_096,
  schemaBytes: 65_536,
  schemaDepth: 32
} as const

/** A tool, and what of its listing is for this library alone. */
export interface ListedTool {
  readonly tool: McpTool
  /** Whether its server runs it as a task: never, where it is asked to, or in no other way. */
  readonly taskSupport: "forbidden" | "optional" | "required"
}

// line breaks and tabs belong to a description; what hides words or turns them around does not
const invisible = /[\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?![\n\t])\p{Cc}/gu

const cut = (text: string, longest: number): string =>
  text.length <= longest ? text : wellFormedText(`${text.slice(0, longest)}…`)

/** Text for a model, without characters that do not show. */
export const readableText = (text: string, longest: number): string =>
  cut(text.slice(0, longest + 1).replace(invisible, "\ufffd"), longest)

const textOf = (value: unknown, longest: number): string =>
  typeof value === "string" ? readableText(value, longest) : ""

const depthOf = (value: unknown, left: number): number => {
  if (typeof value !== "object" || value === null) return 0
  if (left === 0) return Infinity
  return 1 + Math.max(0, ...Object.values(value).map((child) => depthOf(child, left - 1)))
}

/** Text in a schema that only describes is cut as any other; names and values are what the server takes. */
const readableSchema = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(readableSchema)
  if (!Predicate.isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      (key === "description" || key === "title") && typeof child === "string"
        ? readableText(child, listingLimits.descriptionCharacters)
        : readableSchema(child)
    ])
  )
}

const unions = ["anyOf", "oneOf", "allOf"]

/** An object with fields, as providers want it. What only narrows the whole is left to the server, which checks it anyway. */
const schemaOf = (given: unknown): Readonly<Record<string, unknown>> | string => {
  const reading = toJson(given)
  const schema = reading._tag === "Json" ? reading.value : undefined
  if (!Predicate.isRecord(schema) || schema["type"] !== "object") return "its input is not an object"
  const text = jsonText(schema)
  if (text === undefined || text.length > listingLimits.schemaBytes) return "its schema is too long"
  if (depthOf(schema, listingLimits.schemaDepth) === Infinity) return "its schema is nested too deep"
  const { properties } = schema
  if (properties !== undefined && !Predicate.isRecord(properties)) return "its schema is not a JSON Schema"
  if (Object.keys(properties ?? {}).some((name) => !/^[a-zA-Z0-9_.-]{1,64}$/.test(name))) {
    return "a parameter has a name that providers refuse"
  }
  const kept = Object.entries(schema).filter(([key]) => !unions.includes(key))
  const readable = readableSchema(Object.fromEntries(kept))
  return Predicate.isRecord(readable) ? { properties: {}, ...readable } : "its schema is not a JSON Schema"
}

const flag = (annotations: unknown, name: string): boolean | undefined => {
  const value: unknown = Predicate.isRecord(annotations) ? annotations[name] : undefined
  return typeof value === "boolean" ? value : undefined
}

const taskSupportOf = (given: Readonly<Record<string, unknown>>): ListedTool["taskSupport"] => {
  const { execution } = given
  const support: unknown = Predicate.isRecord(execution) ? execution["taskSupport"] : undefined
  return support === "optional" || support === "required" ? support : "forbidden"
}

/** The tool, or why it is left out. */
export const readTool = (server: string, given: unknown): ListedTool | string => {
  if (!Predicate.isRecord(given)) return "it is not an object"
  const { name } = given
  if (typeof name !== "string" || name === "") return "it has no name"
  if (name.length > listingLimits.nameCharacters) return "its name is too long"
  const inputSchema = schemaOf(given["inputSchema"])
  if (typeof inputSchema === "string") return inputSchema
  const { annotations } = given
  const title = Predicate.isRecord(annotations) ? annotations["title"] : undefined
  return {
    tool: {
      server,
      name,
      title: textOf(given["title"] ?? title, 200),
      description: textOf(given["description"], listingLimits.descriptionCharacters),
      inputSchema,
      hints: {
        readOnly: flag(annotations, "readOnlyHint"),
        destructive: flag(annotations, "destructiveHint"),
        idempotent: flag(annotations, "idempotentHint"),
        openWorld: flag(annotations, "openWorldHint")
      }
    },
    taskSupport: taskSupportOf(given)
  }
}
