/**
 * `validatePrompt` and the test servers know the same rules: prompts of all kinds are shown to both, as the real clients send them.
 * What only a server can know, which signatures and items it has given out, is as the prompts have it.
 */
import { type AiError, LanguageModel, Prompt } from "@effect/ai"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Layer } from "effect"
import { validatePrompt, validatePromptFor } from "effect-task-manager/ai"
import { checkMessages } from "../../support/providers/anthropicRules.js"
import { isObject, type JsonObject } from "../../support/providers/json.js"
import { anthropicModelOn, openAiModelOn } from "../../support/providers/models.js"
import { checkResponses } from "../../support/providers/openaiRules.js"
import type { Refusal } from "../../support/providers/script.js"

type Content = Prompt.AssistantMessageEncoded["content"]
type AssistantPart = Exclude<Content, string>[number]

/** A model, and what was sent to its provider last, which takes nothing. */
const listen = (modelOn: (client: Layer.Layer<HttpClient.HttpClient>) => Layer.Layer<LanguageModel.LanguageModel>) =>
  Effect.gen(function*() {
    let body: JsonObject | undefined
    const client = HttpClient.make((request) =>
      Effect.sync(() => {
        const bytes = request.body._tag === "Uint8Array" ? request.body.body : new Uint8Array()
        const sent: unknown = JSON.parse(new TextDecoder().decode(bytes))
        body = isObject(sent) ? sent : {}
        return HttpClientResponse.fromWeb(request, new Response("{}", { status: 400 }))
      })
    )
    const context = yield* Layer.build(modelOn(Layer.succeed(HttpClient.HttpClient, client)))
    return (prompt: Prompt.Prompt): Effect.Effect<JsonObject, AiError.AiError> =>
      Effect.suspend(() => {
        body = undefined
        return LanguageModel.generateText({ prompt }).pipe(
          Effect.zipRight(Effect.dieMessage("it was taken")),
          Effect.catchAll((error) => body === undefined ? Effect.fail(error) : Effect.succeed(body)),
          Effect.provide(context)
        )
      })
  })

const everything: ReadonlyMap<string, string> = new Map([["sig-thought", "thought"]])

const refusalOf: { readonly [provider: string]: (body: JsonObject) => Refusal | undefined } = {
  anthropic: (body) => checkMessages(body, everything),
  openai: (body) => {
    const input: ReadonlyArray<unknown> = Array.isArray(body["input"]) ? body["input"] : []
    const items = new Map<string, JsonObject>()
    const next = new Map<string, string>()
    for (const [index, item] of input.entries()) {
      if (!isObject(item) || typeof item["id"] !== "string") continue
      items.set(item["id"], item)
      const after = input[index + 1]
      // what follows with an id is what followed
      if (item["type"] === "reasoning") {
        next.set(
          item["id"],
          isObject(after) && typeof after["id"] === "string" ? after["id"] : "an item that is not sent"
        )
      }
    }
    return checkResponses(body, { items, following: next, reasoning: new Map() })
  }
}

const models = { anthropic: anthropicModelOn, openai: openAiModelOn }

// ---- prompts ----

const word = fc.constantFrom("a", "b", "c")
const text = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("words", "more words") },
  { weight: 1, arbitrary: fc.constantFrom("", " ", "half \ud800") }
)
const name = fc.oneof({ weight: 9, arbitrary: fc.constant("tool") }, {
  weight: 1,
  arbitrary: fc.constantFrom("", "fs.read", "x".repeat(65))
})
const callId = fc.oneof({ weight: 12, arbitrary: word }, {
  weight: 1,
  arbitrary: fc.constantFrom("", "a.b", "i".repeat(65))
})
const item = (make: (number: number) => string) =>
  fc.oneof(fc.constant(undefined), fc.nat(2).map(make)).map((itemId) =>
    itemId === undefined ? {} : { options: { openai: { itemId } } }
  )

const assistantPart: fc.Arbitrary<AssistantPart> = fc.oneof(
  fc.tuple(text, item((number) => `msg_${number}`)).map(([text, more]) => ({
    type: "text" as const,
    text,
    ...more
  })),
  fc.constantFrom<AssistantPart>(
    { type: "reasoning", text: "thought", options: { anthropic: { type: "thinking", signature: "sig-thought" } } },
    { type: "reasoning", text: "", options: { anthropic: { type: "redacted_thinking", redactedData: "data" } } },
    { type: "reasoning", text: "", options: { anthropic: { type: "redacted_thinking", redactedData: "" } } },
    { type: "reasoning", text: "nobody's" },
    { type: "reasoning", text: "thought", options: { openai: { itemId: "rs_0" } } },
    { type: "reasoning", text: "thought", options: { openai: { itemId: "rs_1" } } },
    { type: "file", mediaType: "image/png", data: new Uint8Array([1]) }
  ),
  fc.tuple(
    callId,
    name,
    fc.constantFrom<unknown>({}, { path: "x" }, "text", { half: "\ud800" }),
    item((number) => number === 2 ? "msg_9" : `fc_${number}`)
  ).map(([id, name, params, more]) => ({
    type: "tool-call" as const,
    id,
    name,
    params,
    providerExecuted: false,
    ...more
  })),
  fc.constantFrom("srvtoolu_1", "srvtoolu_2", "ws_1").chain((id) =>
    fc.constantFrom<AssistantPart>(
      { type: "tool-call", id, name: "AnthropicWebSearch", params: { query: "x" }, providerExecuted: true },
      {
        type: "tool-result",
        id,
        name: "AnthropicWebSearch",
        isFailure: false,
        providerExecuted: true,
        result: [{ type: "web_search_result", encrypted_content: "x" }]
      },
      { type: "tool-call", id, name: "OpenAiWebSearch", params: {}, providerExecuted: true },
      { type: "tool-result", id, name: "OpenAiWebSearch", isFailure: false, providerExecuted: true, result: {} }
    )
  )
)

const userPart = fc.oneof(
  { weight: 5, arbitrary: text.map((text) => ({ type: "text" as const, text })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("image/png", "image/tiff", "application/pdf", "text/plain", "text/csv").map((
      mediaType
    ) => ({
      type: "file" as const,
      mediaType,
      data: new Uint8Array([1])
    }))
  }
)

const user = fc.array(userPart, { maxLength: 2 }).map((content): Prompt.MessageEncoded => ({ role: "user", content }))

const results = (ids: ReadonlyArray<string>): Prompt.MessageEncoded => ({
  role: "tool",
  content: ids.map((id) => ({
    type: "tool-result" as const,
    id,
    name: "tool",
    result: "seen",
    isFailure: false,
    providerExecuted: false
  }))
})

/** A reply, mostly with the results of its calls. */
const round: fc.Arbitrary<ReadonlyArray<Prompt.MessageEncoded>> = fc.tuple(
  fc.array(assistantPart, { maxLength: 4 }),
  fc.nat(9),
  word
).map(([content, dice, other]) => {
  const said: Prompt.MessageEncoded = { role: "assistant", content }
  const ids = content.flatMap((part) => part.type === "tool-call" && part.providerExecuted !== true ? [part.id] : [])
  if (dice === 0) return [said]
  if (dice === 1) return [said, results([other])]
  return ids.length === 0 ? [said] : [said, results(ids)]
})

const prompt = fc.array(
  fc.oneof({ weight: 1, arbitrary: user.map((message) => [message]) }, { weight: 1, arbitrary: round }),
  { maxLength: 4 }
).chain((middle) =>
  fc.tuple(fc.boolean(), fc.boolean(), user).map(([begins, ends, message]) => [
    ...(begins ? [{ role: "user" as const, content: "Hello" }] : []),
    ...middle.flat(),
    ...(ends ? [message] : [])
  ])
).map((messages) => Prompt.make(messages))

/** Prompts on which the two did not agree once. */
const once = [
  Prompt.make([
    { role: "assistant", content: [{ type: "reasoning", text: "thought", options: { openai: { itemId: "rs_0" } } }] },
    // it is sent, though there is nothing in it
    { role: "user", content: [] },
    { role: "assistant", content: [{ type: "text", text: "words", options: { openai: { itemId: "msg_0" } } }] }
  ])
]

describe("validatePrompt", () => {
  for (const [provider, modelOn] of Object.entries(models)) {
    it.scoped(`refuses what ${provider} refuses, and nothing else`, () =>
      Effect.gen(function*() {
        const bodyOf = yield* listen(modelOn)
        const seen = { taken: 0, refused: 0 }
        const seed = Math.floor(Math.random() * 2 ** 31)
        for (const prompts of [...once, ...fc.sample(prompt, { numRuns: 250, seed })]) {
          const refusal = yield* bodyOf(prompts).pipe(
            Effect.map((body) => refusalOf[provider]?.(body)?.message),
            Effect.catchTag("MalformedInput", ({ description }) => Effect.succeed(description)),
            Effect.orDie
          )
          const problems = validatePromptFor(provider)(prompts)
          seen[refusal === undefined ? "taken" : "refused"]++
          assert.strictEqual(
            problems.length > 0,
            refusal !== undefined,
            JSON.stringify({ seed, prompt: prompts.content, problems, refusal }, undefined, 2)
          )
          // without a provider, what another one has run is taken for its own
          const isForeign = JSON.stringify(prompts.content).includes("OpenAiWebSearch")
          if (refusal !== undefined && !isForeign) assert.isNotEmpty(validatePrompt(prompts))
        }
        // both happen often
        assert.isAbove(Math.min(seen.taken, seen.refused), 30, JSON.stringify(seen))
      }))
  }
})
