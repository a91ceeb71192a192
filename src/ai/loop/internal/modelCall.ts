/** One request to the model. Any answer is accepted: a call of a tool that does not exist is a call like any other here. */
import type * as AiError from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import * as Response from "@effect/ai/Response"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ModelToolkit } from "../../tools/ModelToolkit.js"
import { reported } from "./modelErrors.js"
import { type Delta, ReplyBuilder } from "./reply.js"

/** What a session asks the model with. */
export interface Model {
  readonly languageModel: LanguageModel.Service
  readonly toolkit: ModelToolkit
  readonly isStreaming: boolean
  readonly retry: Schedule.Schedule<unknown, AiError.AiError> | undefined
}

/** What happens while the model answers. */
export interface ModelListener {
  /** A new attempt begins: what was said before does not count. `error` is why the last one failed. */
  readonly onAttempt: (reply: ReplyBuilder, attempt: number, error: AiError.AiError | undefined) => void
  readonly onDelta: (delta: Delta) => void
}

/**
 * The parts that the model gave where one of them calls a tool that does not exist: `LanguageModel` fails the whole call
 * then, with the raw parts in its error. `undefined` for any other error.
 */
const rawParts = (
  toolkit: ModelToolkit,
  error: AiError.AiError
): ReadonlyArray<Response.AnyPart> | undefined => {
  if (error._tag !== "MalformedOutput" || !ParseResult.isParseError(error.cause)) return undefined
  const { actual } = error.cause.issue
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

const attempt = (
  { isStreaming, languageModel, toolkit }: Model,
  prompt: Prompt.Prompt,
  reply: ReplyBuilder,
  listener: ModelListener
): Effect.Effect<void, AiError.AiError> => {
  const add = (part: Response.AnyPart): void => {
    const delta = reply.add(part)
    if (delta !== undefined) listener.onDelta(delta)
  }
  const addAll = (parts: Iterable<Response.AnyPart>) =>
    Effect.sync(() => {
      for (const part of parts) add(part)
    })
  const options = { prompt, toolkit, disableToolCallResolution: true } as const
  const parts = isStreaming
    ? Stream.runForEachChunk(languageModel.streamText(options), addAll)
    : Effect.flatMap(languageModel.generateText(options), ({ content }) => addAll(content))
  return parts.pipe(
    Effect.catchAll((error) => {
      const raw = rawParts(toolkit, error)
      return raw === undefined ? Effect.fail(error) : addAll(raw)
    }),
    Effect.zipRight(Effect.suspend(() =>
      reply.error === undefined
        ? Effect.void
        : Effect.fail(reported(isStreaming ? "streamText" : "generateText", reply.error.cause))
    ))
  )
}

/** Asks the model, again if the schedule says so. */
export const callModel = (
  model: Model,
  prompt: Prompt.Prompt,
  listener: ModelListener
): Effect.Effect<ReplyBuilder, AiError.AiError> =>
  Effect.suspend(() => {
    let attempts = 0
    let failed: AiError.AiError | undefined
    const once = Effect.suspend(() => {
      const reply = new ReplyBuilder()
      listener.onAttempt(reply, ++attempts, failed)
      return Effect.as(attempt(model, prompt, reply, listener), reply)
    }).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          failed = error
        })
      )
    )
    return model.retry === undefined ? once : Effect.retry(once, model.retry)
  })
