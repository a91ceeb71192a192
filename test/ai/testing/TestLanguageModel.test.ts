import { AiError, LanguageModel, Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Layer, Ref, Schema, Stream } from "effect"
import { RetryPolicy } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"

const Look = Tool.make("look", { parameters: { line: Schema.NumberFromString }, success: Schema.String })
const toolkit = Toolkit.make(Look)
const handlers = toolkit.toLayer({ look: ({ line }) => Effect.succeed(`line ${line}`) })

const model = (...options: Parameters<typeof TestLanguageModel.layer>) =>
  Layer.merge(handlers, TestLanguageModel.layer(...options))

const ask = (prompt: string) => LanguageModel.generateText({ prompt, toolkit, disableToolCallResolution: true })
const askStreamed = (prompt: string) => LanguageModel.streamText({ prompt, toolkit, disableToolCallResolution: true })

const parts = (prompt: string) =>
  Stream.runCollect(askStreamed(prompt)).pipe(Effect.map((chunk) => Chunk.toReadonlyArray(chunk)))

describe("TestLanguageModel", () => {
  it.effect("plays text, reasoning and calls whole, decoded by the schemas of the tools", () =>
    Effect.gen(function*() {
      const response = yield* ask("hello")
      assert.strictEqual(response.text, "I look.")
      assert.strictEqual(response.reasoningText, "why not")
      assert.deepStrictEqual(response.reasoning[0]?.metadata, { anthropic: { type: "thinking", signature: "sig" } })
      assert.deepStrictEqual(response.toolCalls.map(({ id, params }) => [id, params.line]), [
        ["call-1", 3],
        ["mine", 4],
        ["call-2", 5]
      ])
      assert.strictEqual(response.finishReason, "tool-calls")
      assert.strictEqual((yield* ask("and now?")).finishReason, "stop")
    }).pipe(
      Effect.provide(model([
        [
          ScriptedStep.Reasoning("why not", { anthropic: { type: "thinking", signature: "sig" } }),
          ScriptedStep.Text("I look."),
          ScriptedStep.ToolCall("look", { line: "3" }),
          ScriptedStep.ToolCall("look", { line: "4" }, { id: "mine" }),
          ScriptedStep.ToolCall("look", { line: "5" })
        ],
        [ScriptedStep.Text("Nothing.")]
      ]))
    ))

  it.effect("streams the same reply: text word by word, each block by its own id", () =>
    Effect.gen(function*() {
      const streamed = yield* parts("hello")
      assert.deepStrictEqual(streamed.map(({ type }) => type), [
        "response-metadata",
        "reasoning-start",
        "reasoning-delta",
        "reasoning-end",
        "text-start",
        "text-delta",
        "text-delta",
        "text-delta",
        "text-delta",
        "text-end",
        "tool-params-start",
        "tool-params-delta",
        "tool-params-delta",
        "tool-params-end",
        "tool-call",
        "finish"
      ])
      const deltas = streamed.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
      assert.strictEqual(deltas.join(""), "I look  at\nit. ")
      const blocks = streamed.flatMap((part) =>
        part.type === "text-start" || part.type === "reasoning-start" ? [part.id] : []
      )
      assert.strictEqual(new Set(blocks).size, 2)
      const json = streamed.flatMap((part) => part.type === "tool-params-delta" ? [part.delta] : []).join("")
      assert.deepStrictEqual(JSON.parse(json), { line: "3" })
      const ended = streamed.find((part) => part.type === "reasoning-end")
      assert.deepStrictEqual(ended?.metadata, { anthropic: { type: "thinking", signature: "sig" } })
      const call = streamed.find((part) => part.type === "tool-call")
      assert.deepStrictEqual(call?.params, { line: 3 })
    }).pipe(
      Effect.provide(model([[
        ScriptedStep.Reasoning("because", { anthropic: { type: "thinking", signature: "sig" } }),
        ScriptedStep.Text("I look  at\nit. "),
        ScriptedStep.ToolCall("look", { line: "3" })
      ]]))
    ))

  it.effect("gives the call and the result of a tool that the provider ran", () =>
    Effect.gen(function*() {
      const response = yield* ask("hello")
      assert.isTrue(response.toolCalls[0]?.providerExecuted)
      assert.strictEqual(response.toolResults[0]?.result, "line 1")
      assert.strictEqual(response.toolResults[0]?.id, response.toolCalls[0]?.id)
      // nobody has to answer it
      assert.strictEqual(response.finishReason, "stop")
    }).pipe(
      Effect.provide(model([[
        ScriptedStep.ProviderCall({ name: "look", params: { line: "1" }, result: "line 1" })
      ]]))
    ))

  it.effect("decodes like a real provider: an unknown tool and wrong parameters fail the request", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(ask("one")))._tag, "MalformedOutput")
      assert.strictEqual((yield* Effect.flip(parts("two")))._tag, "MalformedOutput")
    }).pipe(
      Effect.provide(model([
        [ScriptedStep.ToolCall("unknown", {})],
        [ScriptedStep.ToolCall("look", { line: 7 })]
      ]))
    ))

  it.effect("records every request with its prompt and tools", () =>
    Effect.gen(function*() {
      const control = yield* TestLanguageModelControl
      yield* ask("first")
      yield* LanguageModel.generateText({ prompt: "second" })
      yield* parts("third")
      const requests = yield* control.requests
      assert.deepStrictEqual(
        requests.map(({ number, streamed, toolChoice, tools }) => [
          number,
          streamed,
          toolChoice,
          tools.map(({ name }) => name)
        ]),
        [
          [1, false, "auto", ["look"]],
          [2, false, "none", []],
          [3, true, "auto", ["look"]]
        ]
      )
      const said = (yield* control.prompts).map(({ content }) =>
        content.flatMap((message) =>
          message.role === "user" ? message.content.flatMap((part) => part.type === "text" ? [part.text] : []) : []
        )
      )
      assert.deepStrictEqual(said, [["first"], ["second"], ["third"]])
    }).pipe(Effect.provide(model([], { otherwise: [] }))))

  it.effect("a reply can be made of its request, and added while the agent runs", () =>
    Effect.gen(function*() {
      const control = yield* TestLanguageModelControl
      yield* control.replyWith(({ number, tools }) => [ScriptedStep.Text(`request ${number}, tools: ${tools.length}`)])
      yield* control.reply(ScriptedStep.Text("one more"))
      assert.strictEqual(yield* control.remaining, 2)
      assert.strictEqual((yield* ask("x")).text, "request 1, tools: 1")
      assert.strictEqual((yield* ask("x")).text, "one more")
      assert.strictEqual(yield* control.remaining, 0)
      assert.strictEqual((yield* ask("x")).text, "otherwise 3")
    }).pipe(
      Effect.provide(model([], { otherwise: ({ number }) => [ScriptedStep.Text(`otherwise ${number}`)] }))
    ))

  it.effect("a script that has run out fails and says at which request", () =>
    Effect.gen(function*() {
      yield* ask("first")
      const whole = yield* Effect.flip(ask("second"))
      const streamed = yield* Effect.flip(parts("third"))
      assert.include(whole.message, "request 2 has no reply")
      assert.include(streamed.message, "request 3 has no reply")
      const control = yield* TestLanguageModelControl
      assert.strictEqual((yield* control.requests).length, 3)
    }).pipe(Effect.provide(model([[ScriptedStep.Text("all there is")]]))))

  it.effect("fails where the script says so: whole at once, streamed after what came before", () =>
    Effect.gen(function*() {
      const overloaded = new AiError.UnknownError({ module: "Test", method: "test", description: "overloaded" })
      const control = yield* TestLanguageModelControl
      yield* control.reply(ScriptedStep.Text("half"), ScriptedStep.Fail(overloaded))
      yield* control.reply(ScriptedStep.Text("half"), ScriptedStep.Fail(overloaded))
      assert.include((yield* Effect.flip(ask("x"))).message, "overloaded")
      const seen = yield* Ref.make("")
      const error = yield* askStreamed("x").pipe(
        Stream.runForEach((part) =>
          part.type === "text-delta" ? Ref.update(seen, (text) => text + part.delta) : Effect.void
        ),
        Effect.flip
      )
      assert.include(error.message, "overloaded")
      assert.strictEqual(yield* Ref.get(seen), "half")
    }).pipe(Effect.provide(model())))

  it.effect("a provider that breaks down says so in its stream, and fails a whole reply", () =>
    Effect.gen(function*() {
      const streamed = yield* parts("x")
      assert.deepStrictEqual(streamed.map(({ type }) => type).slice(-2), ["text-end", "error"])
      const whole = yield* Effect.flip(ask("x"))
      assert.strictEqual(whole._tag, "UnknownError")
      // what the provider said decides whether the request is made again, as in a stream
      assert.isTrue(RetryPolicy.isRetryable(whole))
    }).pipe(
      Effect.provide(model([], {
        otherwise: [
          ScriptedStep.Text("half"),
          ScriptedStep.Break({ type: "overloaded_error" }),
          ScriptedStep.Text("x")
        ]
      }))
    ))

  it.effect("holds a reply in its middle until it is released, also when that came first", () =>
    Effect.gen(function*() {
      const control = yield* TestLanguageModelControl
      const seen = yield* Ref.make("")
      const halfway = yield* Deferred.make<void>()
      const fiber = yield* askStreamed("x").pipe(
        Stream.runForEach((part) =>
          part.type === "text-delta"
            ? Ref.update(seen, (text) => text + part.delta).pipe(Effect.zipRight(Deferred.succeed(halfway, undefined)))
            : Effect.void
        ),
        Effect.fork
      )
      assert.strictEqual((yield* control.waitForRequest(1)).number, 1)
      yield* Deferred.await(halfway)
      assert.strictEqual(yield* Ref.get(seen), "half")
      yield* control.release(1)
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* Ref.get(seen), "halfwhole")

      yield* control.release(2)
      assert.strictEqual((yield* ask("x")).text, "halfwhole")
    }).pipe(
      Effect.provide(model([], {
        otherwise: [ScriptedStep.Text("half"), ScriptedStep.Hold, ScriptedStep.Text("whole")]
      }))
    ))

  it.effect("a held request can be interrupted, and the next one takes the next reply", () =>
    Effect.gen(function*() {
      const control = yield* TestLanguageModelControl
      const fiber = yield* Effect.fork(ask("x"))
      yield* control.waitForRequest(1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.strictEqual((yield* ask("x")).text, "next")
    }).pipe(
      Effect.provide(model([[ScriptedStep.Hold], [ScriptedStep.Text("next")]]))
    ))

  it.effect("finishes for the reason the script gives", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask("x")).finishReason, "length")
    }).pipe(
      Effect.provide(model([[ScriptedStep.Text("cut o"), ScriptedStep.Finish("length")]]))
    ))
})
