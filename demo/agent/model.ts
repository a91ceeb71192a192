/** The model: a real one if the environment has a key, else the script. Keys are never shown. */
import { LanguageModel, Prompt } from "@effect/ai"
import { AnthropicClient, AnthropicLanguageModel } from "@effect/ai-anthropic"
import { OpenAiClient, OpenAiLanguageModel } from "@effect/ai-openai"
import { FetchHttpClient } from "@effect/platform"
import { Config, type ConfigError, Context, Effect, Layer, Option, Redacted } from "effect"
import { TestLanguageModel } from "effect-task-manager/ai/testing"
import { plain } from "../text.js"
import { script } from "./script.js"

export interface ChosenModel {
  readonly isScripted: boolean
  /** What is told of it. */
  readonly about: string
  readonly layer: Layer.Layer<LanguageModel.LanguageModel>
}

// a variable that is set to nothing is not set
const variable = (name: string) =>
  Config.string(name).pipe(Config.option, Config.map(Option.filter((value) => value !== "")))

const secret = (name: string) => Config.map(variable(name), Option.map((value) => Redacted.make(value)))

const provider = (
  name: "Anthropic" | "OpenAI",
  defaultModel: string,
  layerOf: (options: {
    readonly model: string
    readonly apiKey: Redacted.Redacted
    readonly apiUrl: string | undefined
  }) => Layer.Layer<LanguageModel.LanguageModel>
) =>
  Effect.gen(function*() {
    const prefix = name.toUpperCase()
    const key = yield* secret(`${prefix}_API_KEY`)
    const model = Option.getOrElse(yield* variable(`${prefix}_MODEL`), () => defaultModel)
    const apiUrl = Option.getOrUndefined(yield* variable(`${prefix}_BASE_URL`))
    return Option.map(key, (apiKey): ChosenModel => ({
      isScripted: false,
      about: `The model is ${plain(model)} of ${name}: ${prefix}_API_KEY is set. What it does costs tokens of yours.`,
      layer: layerOf({ model, apiKey, apiUrl })
    }))
  })

const anthropic = provider(
  "Anthropic",
  "claude-sonnet-4-5",
  ({ apiKey, apiUrl, model }) =>
    AnthropicLanguageModel.layer({ model }).pipe(
      Layer.provide(AnthropicClient.layer({ apiKey, apiUrl })),
      Layer.provide(FetchHttpClient.layer)
    )
)

const openAi = provider(
  "OpenAI",
  "gpt-5-mini",
  ({ apiKey, apiUrl, model }) =>
    OpenAiLanguageModel.layer({ model }).pipe(
      Layer.provide(OpenAiClient.layer({ apiKey, apiUrl })),
      Layer.provide(FetchHttpClient.layer)
    )
)

const scripted: ChosenModel = {
  isScripted: true,
  about: "No model is called: a script that reads what it is sent (demo/agent/script.ts) stands in for it. " +
    "Set ANTHROPIC_API_KEY or OPENAI_API_KEY to use a real one.",
  layer: TestLanguageModel.layer(script)
}

export const chooseModel = (isScripted: boolean): Effect.Effect<ChosenModel, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    if (isScripted) return scripted
    const found = [yield* anthropic, yield* openAi]
    return Option.getOrElse(Option.firstSomeOf(found), () => scripted)
  })

/** Every prompt that the model was sent. */
export class SentPrompts extends Context.Tag("effect-task-manager/demo/SentPrompts")<
  SentPrompts,
  ReadonlyArray<Prompt.Prompt>
>() {}

/** The same model, and what it was sent. */
export const recorded = (
  model: Layer.Layer<LanguageModel.LanguageModel>
): Layer.Layer<LanguageModel.LanguageModel | SentPrompts> =>
  Layer.effectContext(Effect.map(LanguageModel.LanguageModel, (inner) => {
    const prompts: Array<Prompt.Prompt> = []
    const streamText: typeof inner.streamText = (options) => {
      prompts.push(Prompt.make(options.prompt))
      return inner.streamText(options)
    }
    return Context.make(LanguageModel.LanguageModel, { ...inner, streamText }).pipe(Context.add(SentPrompts, prompts))
  })).pipe(Layer.provide(model))
