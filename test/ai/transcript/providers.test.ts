/** Transcripts of several providers: the prompt is valid for the one that is asked, whatever the others have left in it. */
import type { Prompt } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { SessionId, TaskId, ToolCallId, ToolOutput, TurnId } from "effect-task-manager"
import {
  LateResultCodec,
  type RenderOptions,
  renderPrompt,
  type ReplyPart,
  Transcript,
  type TranscriptEntry,
  validatePrompt,
  validatePromptFor
} from "effect-task-manager/ai"

const sessionId = SessionId.make("s")
const pixel = "iVBORw0KGgo="
const providers = ["anthropic", "openai"] as const
type Provider = typeof providers[number]

const user = (
  id: string,
  ...content: Extract<TranscriptEntry, { _tag: "UserMessage" }>["content"]
): TranscriptEntry => ({
  _tag: "UserMessage",
  messageId: id,
  content: content.length === 0 ? [{ _tag: "Text", text: id }] : content
})

const reply = (
  id: string,
  provider: Provider | undefined,
  parts: ReadonlyArray<ReplyPart>,
  end: TranscriptEntry.AssistantMessage["end"] = "stop"
): TranscriptEntry.AssistantMessage => ({
  _tag: "AssistantMessage",
  replyId: id,
  turnId: TurnId.make("t"),
  end,
  parts,
  ...(provider === undefined ? undefined : { provider })
})

const result = (
  call: string,
  output: ToolOutput = ToolOutput.Text({ text: `result of ${call}` })
): TranscriptEntry => ({
  _tag: "ToolResult",
  callId: ToolCallId.make(call),
  toolName: "tool",
  outcome: "Result",
  isError: false,
  output
})

const said = (text: string, options = {}): ReplyPart => ({ _tag: "Text", text, options })
const item = (itemId: string) => ({ openai: { itemId } })
const thought = (text: string, options = {}): ReplyPart => ({ _tag: "Reasoning", text, options })
const signed = thought("signed", { anthropic: { type: "thinking", signature: "sig" } })
const call = (id: string, options = {}): ReplyPart => ({
  _tag: "ToolCall",
  callId: ToolCallId.make(id),
  toolName: "tool",
  providerExecuted: false,
  params: {},
  options
})
const search = (id: string, toolName = "AnthropicWebSearch"): ReplyPart => ({
  _tag: "ToolCall",
  callId: ToolCallId.make(id),
  toolName,
  providerName: "web_search",
  providerExecuted: true,
  params: { query: "tides" },
  options: {}
})
const found = (id: string, toolName = "AnthropicWebSearch"): ReplyPart => ({
  _tag: "ProviderResult",
  callId: ToolCallId.make(id),
  toolName,
  providerName: "web_search",
  isError: false,
  result: [{ type: "web_search_result", title: "Tides", encrypted_content: "secret" }],
  options: {}
})

const render = (entries: ReadonlyArray<TranscriptEntry>, options?: RenderOptions) =>
  renderPrompt({ sessionId, entries }, options)

const partsOf = (prompt: Prompt.Prompt) =>
  prompt.content.flatMap(({ content }): ReadonlyArray<Prompt.Part> => typeof content === "string" ? [] : content)

/** What parts are, shortly. */
const shown = (prompt: Prompt.Prompt) =>
  partsOf(prompt).map((part) => {
    const itemId: unknown = Object(part.options["openai"])["itemId"]
    const ids = itemId === undefined ? "" : ` ${String(itemId)}`
    return part.type === "text"
      ? `${part.text}${ids}`
      : part.type === "tool-call"
      ? `call ${part.id}${ids}`
      : `${part.type}${ids}`
  })

const withoutLast = (problems: ReadonlyArray<string>) => problems.filter((problem) => !problem.startsWith("the last"))

// ---- any transcript ----

let serial = 0
const fresh = (prefix: string) => `${prefix}${++serial}`

const ofAnthropic: fc.Arbitrary<() => ReadonlyArray<ReplyPart>> = fc.constantFrom(
  () => [said("words")],
  () => [said(" ")],
  () => [signed],
  () => [thought("cut off", { anthropic: { type: "thinking" } })],
  () => [thought("", { anthropic: { type: "redacted_thinking", redactedData: "x" } })],
  () => [call(fresh("toolu_"))],
  () => {
    const id = fresh("srvtoolu_")
    return [search(id), found(id)]
  },
  () => [search(fresh("srvtoolu_"))],
  () => [found(fresh("srvtoolu_"))],
  () => [{ _tag: "File" as const, mediaType: "image/png", data: pixel, options: {} }]
)

const ofOpenAi: fc.Arbitrary<() => ReadonlyArray<ReplyPart>> = fc.constantFrom(
  () => [said("words", item(fresh("msg_")))],
  () => [said(" ", item(fresh("msg_")))],
  () => [thought("hm", item(fresh("rs_")))],
  () => {
    const id = fresh("rs_")
    return [thought("one", item(id)), thought("two", item(id))]
  },
  () => {
    const id = fresh("msg_")
    return [said("one", item(id)), said("two", item(id))]
  },
  () => [said("", { openai: { refusal: "I must not." } })],
  () => [call(fresh("call_"), item(fresh("fc_")))],
  () => [call(fresh("call_"))],
  () => {
    const id = fresh("ws_")
    return [search(id, "OpenAiWebSearch"), found(id, "OpenAiWebSearch")]
  }
)

const outputs = fc.constantFrom(
  ToolOutput.Text({ text: "text" }),
  ToolOutput.Parts({ parts: [{ _tag: "Media", mediaType: "image/png", data: pixel }] }),
  ToolOutput.Parts({ parts: [{ _tag: "Media", mediaType: "text/csv", data: pixel }, { _tag: "Text", text: "t" }] })
)

const round = fc.constantFrom(...providers).chain((provider) =>
  fc.record({
    provider: fc.constantFrom(provider, provider, undefined),
    parts: fc.array(provider === "openai" ? ofOpenAi : ofAnthropic, { maxLength: 5 }),
    end: fc.constantFrom("stop" as const, "pause" as const, "tool-calls" as const, "length" as const),
    output: outputs,
    isAnswered: fc.integer({ min: 0, max: 5 }).map((dice) => dice > 0),
    speaks: fc.boolean()
  })
)

const conversation = fc.array(round, { minLength: 1, maxLength: 5 }).map((rounds) => {
  const entries: Array<TranscriptEntry> = []
  for (const { end, isAnswered, output, parts, provider, speaks } of rounds) {
    if (speaks) entries.push(user(fresh("user ")))
    const made = reply(fresh("reply "), provider, parts.flatMap((part) => part()), end)
    entries.push(made)
    if (isAnswered) { for (const { callId } of Transcript.calls(made)) entries.push(result(callId, output)) }
  }
  return entries
})

const anyOptions: fc.Arbitrary<RenderOptions> = fc.record({
  codec: fc.constantFrom(...Object.values(LateResultCodec)),
  provider: fc.constantFrom(undefined, ...providers)
})

describe("the prompt of a transcript of several providers", () => {
  it("is valid for the one that is asked, from wherever it is trimmed", () => {
    fc.assert(
      fc.property(conversation, anyOptions, fc.nat(12), (entries, options, from) => {
        const prompt = render(entries.slice(from), options)
        const validate = options.provider === undefined ? validatePrompt : validatePromptFor(options.provider)
        // it is asked once somebody has said something
        if (prompt.content.length === 0) return
        assert.deepStrictEqual(withoutLast(validate(prompt)), [], JSON.stringify(entries.slice(from), undefined, 1))
      }),
      { numRuns: 400 }
    )
  })

  it("is valid where logs were joined in which everything comes again", () => {
    fc.assert(fc.property(conversation, anyOptions, fc.boolean(), (entries, options, isCopied) => {
      const validate = options.provider === undefined ? validatePrompt : validatePromptFor(options.provider)
      // read from a store twice, or the same entries in memory
      const again = isCopied ? structuredClone(entries) : entries
      assert.deepStrictEqual(withoutLast(validate(render([user("u"), ...entries, user("v"), ...again], options))), [])
    }))
  })
})

describe("what a provider gets of its own replies, and another one of them", () => {
  const openAi = { provider: "openai" }
  const anthropic = { provider: "anthropic" }

  it("OpenAI: items as they were, with the thought before each", () => {
    const entries = [
      user("u"),
      reply("r", "openai", [
        thought("hm", item("rs_1")),
        call("a", item("fc_1")),
        thought("hm", item("rs_2")),
        said("I look", item("msg_1"))
      ]),
      result("a")
    ]
    assert.deepStrictEqual(
      shown(render(entries, openAi)),
      ["u", "reasoning rs_1", "call a fc_1", "reasoning rs_2", "I look msg_1", "tool-result"]
    )
    assert.deepStrictEqual(shown(render(entries, anthropic)), ["u", "I look", "call a", "tool-result"])
    // a guess: what could be wrong for another one is left out
    assert.deepStrictEqual(shown(render(entries)), ["u", "I look", "call a", "tool-result"])
  })

  it("OpenAI: a blank text stays between a thought and what follows, for it is the item of the thought", () => {
    const entries = [
      user("u"),
      reply("r", "openai", [
        thought("hm", item("rs_1")),
        said(" ", item("msg_1")),
        call("a", item("fc_1"))
      ])
    ]
    assert.deepStrictEqual(shown(render(entries, openAi)), [
      "u",
      "reasoning rs_1",
      "  msg_1",
      "call a fc_1",
      "tool-result"
    ])
    assert.deepStrictEqual(shown(render(entries)), ["u", "call a", "tool-result"])
  })

  it("OpenAI: a thought whose item its client does not send back goes, and the ids of what needs it", () => {
    const entries = [
      user("u"),
      reply("r", "openai", [
        thought("hm", item("rs_1")),
        search("ws_1", "OpenAiWebSearch"),
        found("ws_1", "OpenAiWebSearch"),
        said("Found.", item("msg_1"))
      ])
    ]
    assert.deepStrictEqual(shown(render(entries, openAi)), ["u", "Found."])
    const [, words, more] = shown(render(entries, anthropic))
    assert.match(words ?? "", /^\[The provider that was asked ran web_search with .*tides.*Its result: .*Tides/)
    assert.notInclude(words, "secret")
    assert.strictEqual(more, "Found.")
  })

  it("Anthropic: calls of ours last; thoughts with their signature; its searches", () => {
    const entries = [
      user("u"),
      reply("r", "anthropic", [signed, call("a"), search("srvtoolu_1"), found("srvtoolu_1"), said("I look")]),
      result("a")
    ]
    assert.deepStrictEqual(
      shown(render(entries, anthropic)),
      ["u", "reasoning", "call srvtoolu_1", "tool-result", "I look", "call a", "tool-result"]
    )
    const toOpenAi = shown(render(entries, openAi))
    assert.deepStrictEqual([toOpenAi.length, toOpenAi[2]], [5, "I look"])
  })

  it("a search without its result goes, and stays where the provider has paused to run it", () => {
    const entries = (
      end: "length" | "pause"
    ) => [user("u"), reply("r", "anthropic", [said("I search"), search("srvtoolu_1")], end)]
    assert.deepStrictEqual(shown(render(entries("length"), anthropic)), ["u", "I search"])
    assert.deepStrictEqual(shown(render(entries("pause"), anthropic)), ["u", "I search", "call srvtoolu_1"])
    const goesOn = reply("r2", "anthropic", [found("srvtoolu_1"), said("Found.")])
    assert.deepStrictEqual(
      shown(render([...entries("pause"), goesOn], anthropic)),
      ["u", "I search", "call srvtoolu_1", "tool-result", "Found."]
    )
    assert.deepStrictEqual(shown(render([...entries("pause"), user("no")], anthropic)), ["u", "I search", "no"])
    // another provider cannot be given its own words to go on with
    assert.deepStrictEqual(shown(render(entries("pause"), openAi)), ["u", "I search", "(Go on.)"])
  })

  it("a provider that was asked to go on from a pause of another one has been asked that, in each prompt that follows", () => {
    const paused = [user("u"), reply("r", "anthropic", [said("I begin")], "pause")]
    const asked = ["u", "I begin", "(Go on.)"]
    assert.deepStrictEqual(shown(render(paused, openAi)), asked)
    const goneOn = [...paused, reply("r2", "openai", [said("And end.")])]
    assert.deepStrictEqual(shown(render([...goneOn, user("v")], openAi)), [...asked, "And end.", "v"])
    // nobody asked: the provider went on by itself, or the user said something else
    assert.deepStrictEqual(shown(render([...goneOn, user("v")], anthropic)), ["u", "I begin", "And end.", "v"])
    const byItself = [...paused, reply("r2", "anthropic", [said("And end.")]), user("v")]
    assert.deepStrictEqual(shown(render(byItself, openAi)), ["u", "I begin", "And end.", "v"])
    assert.deepStrictEqual(shown(render([...paused, user("v")], openAi)), ["u", "I begin", "v"])
  })

  it("a reply of a file alone has a text in its place", () => {
    const entries = [
      user("u"),
      reply("r", undefined, [{ _tag: "File", mediaType: "image/png", data: pixel, options: {} }]),
      user("v")
    ]
    for (const options of [openAi, anthropic, undefined]) {
      assert.deepStrictEqual(shown(render(entries, options)), ["u", "[a file made by the model: image/png]", "v"])
    }
    const own = [
      reply("r", undefined, entries.flatMap((entry) => entry._tag === "AssistantMessage" ? entry.parts : []))
    ]
    const google = own.map((entry) => ({ ...entry, provider: "google" }))
    assert.deepStrictEqual(shown(render([user("u"), ...google], { provider: "google" })), ["u", "file"])
  })

  it("a refusal is said in its words", () => {
    const entries = [user("u"), reply("r", "openai", [said("", { openai: { refusal: "I must not." } })])]
    assert.deepStrictEqual(shown(render(entries)), ["u", "I must not."])
  })

  it("a conversation whose beginning is missing begins with a user's word", () => {
    assert.deepStrictEqual(shown(render([reply("r", undefined, [call("a")]), result("a")])), [
      "(The beginning of this conversation is not shown.)",
      "call a",
      "tool-result"
    ])
  })

  it("a provider's own call that is nobody's is told in words to a provider that does not know it", () => {
    const callId = ToolCallId.make("p")
    const entries = [
      user("u"),
      reply("r", undefined, [
        {
          _tag: "ToolCall",
          callId,
          toolName: "search",
          providerExecuted: true,
          params: { query: "cats" },
          options: {}
        },
        { _tag: "ProviderResult", callId, toolName: "search", isError: false, result: "nine lives", options: {} },
        said("So.")
      ]),
      user("v")
    ]
    for (const provider of providers) {
      const prompt = render(entries, { provider })
      assert.deepStrictEqual(validatePromptFor(provider)(prompt), [])
      assert.include(JSON.stringify(prompt.content), "nine lives")
    }
  })

  it("calls whose ids come again have their own results", () => {
    const log = [
      user("u"),
      reply("r", undefined, [call("a")]),
      result("a", ToolOutput.Text({ text: "first" })),
      reply("r2", undefined, [call("a")]),
      result("a", ToolOutput.Text({ text: "second" }))
    ]
    const results = (prompt: Prompt.Prompt) =>
      partsOf(prompt).flatMap((part) => part.type === "tool-result" ? [[part.id, part.result]] : [])
    assert.deepStrictEqual(results(render(log)), [["a", "first"], ["a-2", "second"]])
    const joined = Transcript.fromEntries(sessionId, log)
    assert.deepStrictEqual(joined.entries, log)
    assert.deepStrictEqual(Transcript.openCalls(joined), [])
    assert.strictEqual(Transcript.openCalls(Transcript.fromEntries(sessionId, log.slice(0, 4))).length, 1)
  })

  it("files of users: what the provider does not take is told, once somebody has answered it", () => {
    const file = (mediaType: string) => ({ _tag: "File" as const, mediaType, data: "YSxi" })
    const message = user("u", file("text/plain"), file("text/csv"), file("image/jpg"))
    const types = (prompt: Prompt.Prompt) =>
      partsOf(prompt).map((part) =>
        part.type === "file" ? [part.mediaType, part.data] : part.type === "text" ? part.text : ""
      )
    const bytes = new Uint8Array([97, 44, 98])
    const answered = [message, reply("r", "anthropic", [said("Hm.")]), user("v")]
    assert.deepStrictEqual(types(render(answered, anthropic)), [
      // its client sends the text of a text file only where it is given one
      ["text/plain", "a,b"],
      "[a file that this provider does not take: text/csv]",
      ["image/jpeg", bytes],
      "Hm.",
      "v"
    ])
    assert.strictEqual(types(render(answered, openAi))[0], "[a file that this provider does not take: text/plain]")
    assert.deepStrictEqual(types(render([message], openAi))[1], ["text/csv", bytes])
  })

  it("files of tools follow the results in a message of the user; others are named", () => {
    const output = ToolOutput.Parts({
      parts: [
        { _tag: "Text", text: "two files" },
        { _tag: "Media", mediaType: "image/png", data: pixel },
        { _tag: "Media", mediaType: "audio/wav", data: pixel },
        { _tag: "Media", mediaType: "image/png", data: "https://example.com/not-base64" }
      ]
    })
    const late: TranscriptEntry = {
      _tag: "LateResult",
      callId: ToolCallId.make("a"),
      toolName: "tool",
      taskId: TaskId.make("task-1"),
      isError: false,
      output,
      boundary: "b"
    }
    const prompt = render([user("u"), reply("r", undefined, [call("a")]), result("a", output), late])
    assert.deepStrictEqual(prompt.content.map(({ role }) => role), [
      "user",
      "assistant",
      "tool",
      "user",
      "user",
      "user"
    ])
    const parts = partsOf(prompt)
    assert.deepInclude(parts[2], {
      result: "two files\n[a file: image/png]\n[a file: audio/wav]\n[a file: image/png]"
    })
    assert.deepStrictEqual(parts.flatMap((part) => part.type === "file" ? [part.mediaType] : []), [
      "image/png",
      "image/png"
    ])
    assert.deepStrictEqual(validatePrompt(prompt), [])
  })
})
