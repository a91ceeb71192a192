/**
 * What can be saved of a reply that the client gave up. The clients of `@effect/ai` fail a whole reply for one call that they
 * cannot read, and close the connection of a streamed one: what came before is kept, and that call is answered with an error.
 */
import type * as AiError from "@effect/ai/AiError"
import * as Response from "@effect/ai/Response"
import * as Chunk from "effect/Chunk"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { ModelToolkit } from "../../tools/ModelToolkit.js"

/** What a client said that it gave up: parts with a call of a tool that does not exist, or a call that it cannot read. */
export type GivenUp =
  | { readonly _tag: "Parts"; readonly parts: ReadonlyArray<Response.AnyPart> }
  | { readonly _tag: "Call"; readonly name: string; readonly text: string }

const decodeAnyCall = Schema.decodeUnknownEither(Schema.Struct({
  type: Schema.Literal("tool-call"),
  id: Schema.String,
  name: Schema.String,
  params: Schema.Unknown,
  providerName: Schema.optional(Schema.String),
  providerExecuted: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  metadata: Schema.optionalWith(Response.ProviderMetadata, { default: () => ({}) })
}))

const isKnown = (toolkit: ModelToolkit, toolName: string): boolean =>
  Object.values(toolkit.tools).some(({ name }) => name === toolName)

/** The raw parts of an error that came of a call of a tool that does not exist. */
const rawParts = (toolkit: ModelToolkit, cause: unknown): ReadonlyArray<Response.AnyPart> | undefined => {
  if (!ParseResult.isParseError(cause)) return undefined
  const { actual } = cause.issue
  const raw: ReadonlyArray<unknown> | undefined = Chunk.isChunk(actual)
    ? Chunk.toReadonlyArray(actual)
    : Array.isArray(actual)
    ? actual
    : undefined
  if (raw === undefined) return undefined
  const decodeKnown = Schema.decodeUnknownEither(Response.AllParts(toolkit))
  const parts: Array<Response.AnyPart> = []
  let hasUnknownTool = false
  for (const part of raw) {
    const known = decodeKnown(part)
    if (Either.isRight(known)) {
      parts.push(known.right)
      continue
    }
    const call = decodeAnyCall(part)
    if (Either.isLeft(call) || isKnown(toolkit, call.right.name)) return undefined
    hasUnknownTool = true
    parts.push(Response.toolCallPart(call.right))
  }
  return hasUnknownTool ? parts : undefined
}

// the words of @effect/ai-openai and @effect/ai-anthropic
const unparsed = /^Failed to securely parse tool call parameters for tool '(?<name>.*?)':\nParameters: (?<text>.*)$/su

/** What the client gave up; `undefined` where it failed for another reason. */
export const givenUp = (toolkit: ModelToolkit, error: AiError.AiError): GivenUp | undefined => {
  if (error._tag !== "MalformedOutput") return undefined
  const { name, text } = unparsed.exec(error.description ?? "")?.groups ?? {}
  if (name !== undefined && text !== undefined) return { _tag: "Call", name, text }
  const parts = rawParts(toolkit, error.cause)
  return parts === undefined ? undefined : { _tag: "Parts", parts }
}
