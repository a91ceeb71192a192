import { LanguageModel, Prompt, type Response, Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Ref, Schema, Stream } from "effect"
import { isObject } from "../../support/providers/json.js"
import { providers } from "../../support/providers/models.js"
import { call, hold, reasoning, text } from "../../support/providers/script.js"

const Look = Tool.make("look", { parameters: { path: Schema.String }, success: Schema.String })
const toolkit = Toolkit.make(Look)
const Handlers = toolkit.toLayer({ look: ({ path }) => Effect.succeed(`${path}: żółw 🐢`) })

type Encoded = Prompt.AssistantMessagePartEncoded

const whole = (prompt: Prompt.Prompt) =>
  Effect.map(
    LanguageModel.generateText({ prompt, toolkit, disableToolCallResolution: true }),
    ({ content }) =>
      content.flatMap((part): ReadonlyArray<Encoded> => {
        switch (part.type) {
          case "text":
            return [{ type: "text", text: part.text, options: part.metadata }]
          case "reasoning":
            return [{ type: "reasoning", text: part.text, options: part.metadata }]
          case "tool-call":
            return [{ type: "tool-call", id: part.id, name: part.name, params: part.params, options: part.metadata }]
          default:
            return []
        }
      })
  )

/** The parts of a stream put together: what a block carries for its provider may come with any of its pieces. */
const assemble = (parts: Iterable<Response.StreamPart<Toolkit.Tools<typeof toolkit>>>): ReadonlyArray<Encoded> => {
  const made: Array<Encoded> = []
  const blocks = new Map<string, number>()
  let finished = false
  for (const part of parts) {
    switch (part.type) {
      case "text-start":
        blocks.set(part.id, made.length)
        made.push({ type: "text", text: "", options: part.metadata })
        break
      case "text-delta": {
        const block = made[blocks.get(part.id) ?? -1]
        if (block?.type !== "text") throw new Error("text of no block")
        made[made.indexOf(block)] = { ...block, text: block.text + part.delta }
        break
      }
      case "reasoning-start":
        blocks.set(part.id, made.length)
        made.push({ type: "reasoning", text: "", options: part.metadata })
        break
      case "reasoning-delta":
      case "reasoning-end": {
        const block = made[blocks.get(part.id) ?? -1]
        if (block?.type !== "reasoning") throw new Error("reasoning of no block")
        const text = block.text + (part.type === "reasoning-end" ? "" : part.delta)
        made[made.indexOf(block)] = { ...block, text, options: { ...block.options, ...part.metadata } }
        break
      }
      case "finish":
        finished = true
        break
      case "tool-call":
        made.push({ type: "tool-call", id: part.id, name: part.name, params: part.params, options: part.metadata })
        break
      default:
        break
    }
  }
  // a client that cannot read the events of the server drops them, and says nothing
  assert.isTrue(finished)
  return made
}

const streamed = (prompt: Prompt.Prompt) =>
  LanguageModel.streamText({ prompt, toolkit, disableToolCallResolution: true }).pipe(
    Stream.runCollect,
    Effect.map((parts) => assemble(Chunk.toReadonlyArray(parts)))
  )

const answers = (parts: ReadonlyArray<Encoded>): ReadonlyArray<Prompt.ToolMessagePartEncoded> =>
  parts.flatMap((part) =>
    part.type === "tool-call"
      ? [{
        type: "tool-result",
        id: part.id,
        name: part.name,
        isFailure: false,
        providerExecuted: false,
        result: "żółw 🐢"
      }]
      : []
  )

const saidIn = (parts: ReadonlyArray<Encoded>, type: "text" | "reasoning") =>
  parts.flatMap((part) => part.type === type ? [part.text] : []).join("")

for (const { model, name, server } of providers) {
  for (const [way, ask] of [["whole", whole], ["streamed", streamed]] as const) {
    describe(`${name}, ${way}`, () => {
      it.scoped("talks with tools, reasoning and letters of many bytes, and is never refused", () =>
        Effect.gen(function*() {
          const provider = yield* server
          provider.reply(
            reasoning("Zażółć gęślą jaźń 🤔"),
            call("look", { path: "a/ż.md" }),
            call("look", { path: "b.md" })
          )
          provider.reply(reasoning("Once more."), text("Jeszcze raz. 🐢"), call("look", { path: "c.md" }))
          provider.reply(text("Gotowe 🐢🐢, done."))
          yield* Effect.gen(function*() {
            const messages: Array<Prompt.MessageEncoded> = [
              { role: "system", content: "You look." },
              { role: "user", content: [{ type: "text", text: "Look at them." }] }
            ]
            const turn = Effect.gen(function*() {
              const parts = yield* ask(Prompt.make(messages))
              messages.push({ role: "assistant", content: parts })
              const results = answers(parts)
              if (results.length > 0) messages.push({ role: "tool", content: results })
              return parts
            })
            const first = yield* turn
            assert.strictEqual(saidIn(first, "reasoning"), "Zażółć gęślą jaźń 🤔")
            assert.deepStrictEqual(
              first.flatMap((part) => part.type === "tool-call" ? [part.params] : []),
              [{ path: "a/ż.md" }, { path: "b.md" }]
            )
            assert.strictEqual(saidIn(yield* turn, "text"), "Jeszcze raz. 🐢")
            assert.strictEqual(saidIn(yield* turn, "text"), "Gotowe 🐢🐢, done.")
          }).pipe(Effect.provide([model(provider), Handlers]))
          assert.deepStrictEqual(provider.refusals(), [])
          assert.strictEqual(provider.requests.length, 3)
          assert.isTrue(provider.requests.every((request) => request.streamed === (way === "streamed")))
        }))

      it.scoped("is refused when a call stays unanswered, and the error says so", () =>
        Effect.gen(function*() {
          const provider = yield* server
          provider.reply(call("look", { path: "a.md" }))
          yield* Effect.gen(function*() {
            const user: Prompt.MessageEncoded = { role: "user", content: [{ type: "text", text: "Look." }] }
            const parts = yield* ask(Prompt.make([user]))
            const error = yield* Effect.flip(ask(Prompt.make([user, { role: "assistant", content: parts }, user])))
            assert.strictEqual(error._tag, "HttpResponseError")
            if (error._tag === "HttpResponseError") {
              assert.strictEqual(error.response.status, 400)
              assert.match(error.body ?? "", /No tool output found|without `tool_result` blocks/)
            }
          }).pipe(Effect.provide([model(provider), Handlers]))
          assert.strictEqual(provider.refusals().length, 1)
        }))

      it.scoped("gets the failures of the script, and none without a key", () =>
        Effect.gen(function*() {
          const provider = yield* server
          const statuses = [429, 500, 529]
          for (const status of statuses) provider.fail(status)
          const failure = Effect.flip(ask(Prompt.make("Hello"))).pipe(
            Effect.map((error) => error._tag === "HttpResponseError" ? error.response.status : error._tag)
          )
          for (const status of statuses) {
            assert.strictEqual(yield* Effect.provide(failure, [model(provider), Handlers]), status)
          }
          const noKey = model({ url: provider.url, apiKey: "wrong" })
          assert.strictEqual(yield* Effect.provide(failure, [noKey, Handlers]), 401)
        }))

      it.scoped("waits for a held reply, which can be interrupted", () =>
        Effect.gen(function*() {
          const provider = yield* server
          provider.otherwise(() => [text("before, "), hold, text("after")])
          yield* Effect.gen(function*() {
            const released = yield* Effect.fork(ask(Prompt.make("Hello")))
            yield* Effect.promise(() => provider.waitForRequest(1))
            provider.release(1)
            assert.strictEqual(saidIn(yield* Fiber.join(released), "text"), "before, after")
            const held = yield* Effect.fork(ask(Prompt.make("Hello")))
            yield* Effect.promise(() => provider.waitForRequest(2))
            yield* Fiber.interrupt(held)
          }).pipe(Effect.provide([model(provider), Handlers]))
        }))
    })
  }

  describe(`${name}, streamed`, () => {
    it.scoped("shows what came before the provider broke down, and that it did", () =>
      Effect.gen(function*() {
        const provider = yield* server
        provider.breakAfter(text("half of it"))
        const types = yield* Ref.make<ReadonlyArray<string>>([])
        yield* LanguageModel.streamText({ prompt: "Hello", toolkit, disableToolCallResolution: true }).pipe(
          Stream.runForEach(({ type }) => Ref.update(types, (seen) => [...seen, type])),
          Effect.provide([model(provider), Handlers])
        )
        const seen = yield* Ref.get(types)
        assert.include(seen, "text-delta")
        assert.strictEqual(seen.at(-1), "error")
        assert.notInclude(seen, "finish")
      }))

    it.scoped("the stream comes in pieces that split lines and characters", () =>
      Effect.gen(function*() {
        const provider = yield* server
        provider.reply(text("🐢".repeat(50)))
        const body = { model: "test", max_tokens: 10, stream: true }
        const messages = [{ role: "user", content: "Hello" }]
        const openAi = name === "@effect/ai-openai"
        const chunks = yield* Effect.promise(async () => {
          const response = await fetch(`${provider.url}/v1/${openAi ? "responses" : "messages"}`, {
            method: "POST",
            headers: {
              authorization: `Bearer ${provider.apiKey}`,
              "x-api-key": provider.apiKey,
              "anthropic-version": "2023-06-01"
            },
            body: JSON.stringify({ ...body, ...(openAi ? { input: messages } : { messages }) })
          })
          const read: Array<Uint8Array> = []
          for await (const chunk of response.body ?? []) read.push(chunk)
          return read
        })
        // a byte that goes on with a character begins with the bits 10
        assert.isTrue(chunks.some(([byte]) => byte !== undefined && byte >> 6 === 2))
        assert.isTrue(chunks.filter((chunk) => !chunk.includes(10)).length > chunks.length / 2)
        const events = Buffer.concat(chunks).toString("utf8").split("\n\n").filter(Boolean)
        assert.isTrue(events.every((event) => isObject(JSON.parse(event.split("data: ")[1] ?? ""))))
      }))
  })
}
