/** The real clients, talking to the test servers. */
import type { LanguageModel } from "@effect/ai"
import { AnthropicClient, AnthropicLanguageModel } from "@effect/ai-anthropic"
import { OpenAiClient, OpenAiLanguageModel } from "@effect/ai-openai"
import { FetchHttpClient, type HttpClient } from "@effect/platform"
import { type Effect, Layer, Redacted, type Scope } from "effect"
import type { ProviderServer } from "./loopback.js"
import { anthropicServer, openAiServer } from "./scoped.js"

type Fetch = typeof globalThis.fetch

/** The client that hosts use, with a `fetch` of their own if they have one. */
const httpClient = (fetch: Fetch | undefined) =>
  fetch === undefined
    ? FetchHttpClient.layer
    : FetchHttpClient.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch)))

export const openAiModel =
  (config: Omit<OpenAiLanguageModel.Config.Service, "model">) =>
  ({ apiKey, url }: Pick<ProviderServer, "apiKey" | "url">, fetch?: Fetch): Layer.Layer<LanguageModel.LanguageModel> =>
    OpenAiLanguageModel.layer({ model: "gpt-5-test", config }).pipe(
      Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make(apiKey), apiUrl: `${url}/v1` })),
      Layer.provide(httpClient(fetch))
    )

export const anthropicModel =
  (config: Omit<AnthropicLanguageModel.Config.Service, "model">) =>
  ({ apiKey, url }: Pick<ProviderServer, "apiKey" | "url">, fetch?: Fetch): Layer.Layer<LanguageModel.LanguageModel> =>
    AnthropicLanguageModel.layer({ model: "claude-test", config }).pipe(
      Layer.provide(AnthropicClient.layer({ apiKey: Redacted.make(apiKey), apiUrl: url })),
      Layer.provide(httpClient(fetch))
    )

/** The real clients on an HTTP client of a test. */
export const openAiModelOn = (client: Layer.Layer<HttpClient.HttpClient>): Layer.Layer<LanguageModel.LanguageModel> =>
  OpenAiLanguageModel.layer({ model: "gpt-5-test" }).pipe(
    Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make("key") })),
    Layer.provide(client)
  )

export const anthropicModelOn = (
  client: Layer.Layer<HttpClient.HttpClient>
): Layer.Layer<LanguageModel.LanguageModel> =>
  AnthropicLanguageModel.layer({ model: "claude-test" }).pipe(
    Layer.provide(AnthropicClient.layer({ apiKey: Redacted.make("key") })),
    Layer.provide(client)
  )

export interface Provider {
  readonly name: string
  readonly server: Effect.Effect<ProviderServer, never, Scope.Scope>
  readonly model: (
    server: Pick<ProviderServer, "apiKey" | "url">,
    fetch?: Fetch
  ) => Layer.Layer<LanguageModel.LanguageModel>
}

export const providers: ReadonlyArray<Provider> = [
  { name: "@effect/ai-openai", server: openAiServer, model: openAiModel({}) },
  { name: "@effect/ai-anthropic", server: anthropicServer, model: anthropicModel({}) }
]

/** Extended thinking in its manual mode: the last reply with calls has to begin with the thought that it came with. */
export const manualThinking: Provider = {
  name: "@effect/ai-anthropic with manual thinking",
  server: anthropicServer,
  model: anthropicModel({ thinking: { type: "enabled", budget_tokens: 1024 } })
}

/** Tools as they are: optional parameters may be left out. */
export const notStrict: Provider = {
  name: "@effect/ai-openai, not strict",
  server: openAiServer,
  model: openAiModel({ strict: false })
}
