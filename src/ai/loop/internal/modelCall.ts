/** One request to the model. Any answer is accepted: a call of a tool that does not exist is a call like any other here. */
import type * as AiError from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Stream from "effect/Stream"
import type { ModelToolkit } from "../../tools/ModelToolkit.js"
import { isProviderDefined } from "../../tools/providerDefined.js"
import { isRenamed } from "../../wire/internal/anthropic.js"
import type { Carrier } from "../../wire/internal/CarriedCall.js"
import { withReadableReplies } from "../../wire/internal/readableReplies.js"
import type { RetryPolicy } from "../RetryPolicy.js"
import { saysWhole } from "./callVerdict.js"
import { incompleteReply, reported, stalled } from "./modelErrors.js"
import { type Delta, ReplyBuilder } from "./reply.js"
import { givenUp } from "./salvage.js"
import { unlessIdle } from "./unlessIdle.js"

/** What a session asks the model with. */
export interface Model {
  readonly languageModel: LanguageModel.Service
  /** The tools that it is shown, as they are when a request is made. */
  readonly toolkit: Effect.Effect<ModelToolkit>
  readonly isStreaming: boolean
  readonly retry: RetryPolicy
  /** How long nothing of a streamed reply may come. */
  readonly idleMillis: number
  readonly maxCallsPerReply: number
}

/** What happens while the model answers. */
export interface ModelListener {
  /** A new attempt begins: what was said before does not count. */
  readonly onAttempt: (reply: ReplyBuilder) => void
  readonly onDelta: (delta: Delta) => void
  readonly onFailed: (error: AiError.AiError) => void
  /** An attempt is over, also one that was interrupted, or that another one follows. */
  readonly onEnd: (reply: ReplyBuilder) => Effect.Effect<void>
}

/** What is wrong with a reply that the client took for a success. */
const flawOf = (reply: ReplyBuilder, method: string): AiError.AiError | undefined => {
  if (reply.error !== undefined) return reported(method, reply.error.cause)
  if (!reply.isFinished && (method === "streamText" || reply.isEmpty)) {
    return incompleteReply(method, "The reply ended without the event that ends a reply")
  }
  // these two may leave nothing: all tokens went into thoughts that are not shown, or the words were held back
  if (reply.isEmpty && reply.end !== "length" && reply.end !== "content-filter") {
    return incompleteReply(method, "The reply is empty")
  }
  return reply.hasOpenCall && saysWhole(reply.end)
    ? incompleteReply(method, "The reply ended in the middle of a call")
    : undefined
}

/** The first of our tools that every client leaves its name carries the calls of those that a client cannot name. */
const carrierFor = (toolkit: ModelToolkit): Carrier | undefined => {
  const tools = Object.values(toolkit.tools)
  // what a provider brings along has another name on the wire, and calls of it are read by its own schema
  const brought = new Set(tools.flatMap((tool) => isProviderDefined(tool) ? [tool.providerName, tool.name] : []))
  const own = tools.flatMap((tool) => isProviderDefined(tool) ? [] : [tool.name])
  const named = new Set(own.filter((name) => !isRenamed(name)))
  // if a client renames each of them, it gives the reply up at the first call, which is saved: see salvage.ts
  const toolName = [...named, ...own][0]
  return toolName === undefined ? undefined : { toolName, isKnown: (name) => brought.has(name) || named.has(name) }
}

const readable = <A, E, R>(ask: Effect.Effect<A, E, R>, carrier: Carrier | undefined, onChunk: () => void) =>
  carrier === undefined ? ask : withReadableReplies(ask, carrier, onChunk)

const attempt = (
  { idleMillis, isStreaming, languageModel }: Model,
  toolkit: ModelToolkit,
  prompt: Prompt.Prompt,
  reply: ReplyBuilder,
  listener: ModelListener
): Effect.Effect<void, AiError.AiError> => {
  const method = isStreaming ? "streamText" : "generateText"
  const addAll = (parts: Iterable<Response.AnyPart>) =>
    Effect.sync(() => {
      for (const part of parts) {
        const delta = reply.add(part)
        if (delta !== undefined) listener.onDelta(delta)
      }
    })
  const options = { prompt, toolkit, disableToolCallResolution: true } as const
  const carrier = carrierFor(toolkit)
  const received = isStreaming
    ? unlessIdle(
      idleMillis,
      () => stalled(method, `Nothing of the reply came for ${idleMillis} ms`),
      (onProgress) =>
        readable(
          Stream.runForEachChunk(languageModel.streamText(options), (parts) => {
            onProgress()
            return addAll(parts)
          }),
          carrier,
          onProgress
        )
    )
    : Effect.flatMap(
      readable(languageModel.generateText(options), carrier, constVoid),
      ({ content }) => addAll(content)
    )
  return received.pipe(
    Effect.catchAll((error) => {
      const left = givenUp(toolkit, error)
      if (left === undefined) return Effect.fail(error)
      const saved = left._tag === "Parts"
        ? addAll(left.parts)
        : Effect.sync(() => reply.addUnread(left.name, left.text))
      return Effect.map(saved, () => reply.closedByClient())
    }),
    Effect.zipRight(Effect.suspend(() => {
      const flaw = flawOf(reply, method)
      return flaw === undefined ? Effect.void : Effect.fail(flaw)
    }))
  )
}

/** Asks the model, again if the schedule says so. */
export const callModel = (
  model: Model,
  prompt: Prompt.Prompt,
  listener: ModelListener
): Effect.Effect<ReplyBuilder, AiError.AiError> =>
  Effect.flatMap(model.toolkit, (toolkit) => {
    const once = Effect.suspend(() => {
      const reply = new ReplyBuilder()
      listener.onAttempt(reply)
      return attempt(model, toolkit, prompt, reply, listener).pipe(
        Effect.tapError((error) => Effect.sync(() => listener.onFailed(error))),
        Effect.ensuring(Effect.suspend(() => listener.onEnd(reply))),
        Effect.as(reply)
      )
    })
    return Effect.retry(once, model.retry)
  })
