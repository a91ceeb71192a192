/**
 * What `LanguageModel.make` is to a loop that runs the calls itself, with the schema of a reply made once:
 * `@effect/ai` makes it for each request, which takes a quarter of the time of a simulation. Its own is asked in test/ai/providers.
 */
import * as AiError from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Prompt from "@effect/ai/Prompt"
import * as Response from "@effect/ai/Response"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

type AnyToolkit = Toolkit.WithHandler<Record<string, Tool.Any>>

interface Provider {
  readonly generateText: (prompt: Prompt.Prompt) => Effect.Effect<ReadonlyArray<unknown>, AiError.AiError>
  readonly streamText: (prompt: Prompt.Prompt) => Stream.Stream<unknown, AiError.AiError>
}

const makeDecoders = (toolkit: AnyToolkit) => ({
  whole: Schema.decodeUnknown(Schema.mutable(Schema.Array(Response.Part(toolkit)))),
  streamed: Schema.decodeUnknown(Schema.ChunkFromSelf(Response.StreamPart(toolkit)))
})

// each loop makes a mirror of the one toolkit of tools.ts: those with the same names are alike
const decoders = new Map<string, ReturnType<typeof makeDecoders>>()

const decodersOf = (toolkit: AnyToolkit): ReturnType<typeof makeDecoders> => {
  const names = Object.keys(toolkit.tools).join()
  const made = decoders.get(names) ?? makeDecoders(toolkit)
  decoders.set(names, made)
  return made
}

const malformed = (method: string) => (error: AiError.AiError | ParseResult.ParseError): AiError.AiError =>
  ParseResult.isParseError(error)
    ? AiError.MalformedOutput.fromParseError({ module: "LanguageModel", method, error })
    : error

interface Asking {
  readonly prompt: Prompt.RawInput
  readonly toolkit: AnyToolkit
}

export const makeLanguageModel = ({ generateText, streamText }: Provider): LanguageModel.Service => {
  const model = {
    generateText: ({ prompt, toolkit }: Asking) =>
      Effect.suspend(() => {
        const { whole } = decodersOf(toolkit)
        return Effect.flatMap(generateText(Prompt.make(prompt)), whole)
      }).pipe(
        Effect.mapError(malformed("generateText")),
        Effect.map((content) => new LanguageModel.GenerateTextResponse(content))
      ),
    generateObject: () => Effect.dieMessage("A loop asks for no object"),
    streamText: ({ prompt, toolkit }: Asking) =>
      Stream.suspend(() => {
        const { streamed } = decodersOf(toolkit)
        return Stream.mapChunksEffect(
          streamText(Prompt.make(prompt)),
          (chunk: Chunk.Chunk<unknown>) => Effect.mapError(streamed(chunk), malformed("streamText"))
        )
      })
  }
  // the loop, which alone asks it, always brings a toolkit and has no other option: see src/ai/loop/internal/modelCall.ts
  return model as unknown as LanguageModel.Service
}
