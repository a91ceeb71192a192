/** Transcripts without Effect: whatever order entries arrive in, the same value, and a prompt that every provider takes. */
import { Prompt } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc, Schema } from "effect"
import { SessionId, TaskId, ToolCallId, ToolOutput, TurnId } from "effect-task-manager"
import { LateResultCodec, renderPrompt, Transcript, type TranscriptEntry, validatePrompt } from "effect-task-manager/ai"

const sessionId = SessionId.make("s")
const text = (value: string) => ToolOutput.Text({ text: value })

const user = (id: string, said = id): TranscriptEntry => ({
  _tag: "UserMessage",
  messageId: id,
  content: [{ _tag: "Text", text: said }]
})

const reply = (id: string, calls: ReadonlyArray<string>, said = `reply ${id}`): TranscriptEntry.AssistantMessage => ({
  _tag: "AssistantMessage",
  replyId: id,
  turnId: TurnId.make("t"),
  end: "stop",
  parts: [
    { _tag: "Text", text: said, options: {} },
    ...calls.map((call) => ({
      _tag: "ToolCall" as const,
      callId: ToolCallId.make(call),
      toolName: "tool",
      providerExecuted: false,
      params: {},
      options: {}
    }))
  ]
})

const result = (call: string, outcome: "Result" | "Placeholder" = "Result"): TranscriptEntry.ToolResult => ({
  _tag: "ToolResult",
  callId: ToolCallId.make(call),
  toolName: "tool",
  outcome,
  taskId: TaskId.make(`task-${call}`),
  isError: false,
  output: text(`${outcome} of ${call}`)
})

const late = (call: string, output = "late", boundary = "b"): TranscriptEntry.LateResult => ({
  _tag: "LateResult",
  callId: ToolCallId.make(call),
  taskId: TaskId.make(`task-${call}`),
  toolName: "tool",
  isError: false,
  output: text(output),
  boundary
})

const ids = ({ entries }: Transcript): ReadonlyArray<string> =>
  entries.map((entry) => {
    switch (entry._tag) {
      case "UserMessage":
        return entry.messageId
      case "AssistantMessage":
        return entry.replyId
      case "ToolResult":
        return entry.callId
      case "LateResult":
        return `late ${entry.callId}`
      case "Rewrite":
        return "rewrite"
    }
  })

const codecs = Object.entries(LateResultCodec)

/** A conversation as a loop makes it: replies with calls, their results in any order, late results, some blank texts. */
interface Round {
  readonly said: string
  readonly calls: ReadonlyArray<{ readonly isLate: boolean; readonly arrives: boolean; readonly rank: number }>
}

const round: fc.Arbitrary<Round> = fc.record({
  said: fc.constantFrom("", " ", "words"),
  calls: fc.array(fc.record({ isLate: fc.boolean(), arrives: fc.boolean(), rank: fc.nat(100) }), { maxLength: 4 })
})

/** The log of a conversation: entries in the order of arrival, and the places where the loop makes a request. */
const logOf = (rounds: ReadonlyArray<Round>) => {
  const log: Array<TranscriptEntry> = []
  const requests: Array<number> = []
  let waiting: Array<TranscriptEntry> = []
  for (const [index, { calls, said }] of rounds.entries()) {
    log.push(...waiting, user(`u${index}`))
    requests.push(log.length)
    waiting = []
    const names = calls.map((_, call) => `c${index}-${call}`)
    log.push(reply(`r${index}`, names, said))
    const results = calls.map((call, at) => ({ call, name: names[at]! })).sort((a, b) => a.call.rank - b.call.rank)
    for (const { call, name } of results) {
      log.push(result(name, call.isLate ? "Placeholder" : "Result"))
      if (call.isLate && call.arrives) waiting.push(late(name))
    }
    if (names.length > 0) requests.push(log.length)
  }
  log.push(...waiting)
  return { log, requests }
}

const conversation = fc.array(round, { minLength: 1, maxLength: 5 }).map(logOf)

describe("a transcript", () => {
  it("puts results in the order of the calls, whatever order they arrive in", () => {
    fc.assert(fc.property(fc.shuffledSubarray(["a", "b", "c", "d", "e"], { minLength: 5 }), (order) => {
      const log = [user("u"), reply("r", ["a", "b", "c", "d", "e"]), ...order.map((call) => result(call))]
      assert.deepStrictEqual(ids(Transcript.fromEntries(sessionId, log)), ["u", "r", "a", "b", "c", "d", "e"])
    }))
  })

  it("is the same whatever order the results of a reply arrive in, and however often", () => {
    fc.assert(fc.property(conversation, fc.infiniteStream(fc.nat(7)), ({ log }, dice) => {
      const transcript = Transcript.fromEntries(sessionId, log)
      const repeated = log.flatMap((entry) => dice.next().value === 0 ? [entry, entry] : [entry])
      assert.deepStrictEqual(Transcript.fromEntries(sessionId, repeated), transcript)
      // the log of its own entries gives it again, and so does its JSON
      assert.deepStrictEqual(Transcript.fromEntries(sessionId, transcript.entries), transcript)
      const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(Transcript)(transcript)))
      assert.deepStrictEqual(Schema.decodeUnknownSync(Transcript)(json), transcript)
    }))
  })

  it("is what its log appended entry by entry gives, in whatever order", () => {
    const anyOrder = conversation.chain(({ log }) =>
      fc.shuffledSubarray([...log, ...log], { minLength: Math.ceil(log.length / 2) })
    )
    fc.assert(fc.property(anyOrder, (log) => {
      const appended = log.reduce(
        (transcript, entry) => Either.getOrElse(Transcript.append(transcript, entry), () => transcript),
        Transcript.empty(sessionId)
      )
      assert.deepStrictEqual(Transcript.fromEntries(sessionId, log), appended)
    }))
  })

  it("has a valid prompt at every request, by every codec", () => {
    fc.assert(fc.property(conversation, fc.constantFrom(...codecs), ({ log, requests }, [name, codec]) => {
      for (const at of requests) {
        const transcript = Transcript.fromEntries(sessionId, log.slice(0, at))
        assert.deepStrictEqual(Transcript.openCalls(transcript), [])
        const prompt = renderPrompt(transcript, { codec, system: "system" })
        assert.deepStrictEqual(validatePrompt(prompt), [], `${name} at ${at}`)
      }
    }))
  })

  it("has a prompt whose calls are answered wherever the log ends", () => {
    fc.assert(fc.property(conversation, fc.constantFrom(...codecs), fc.nat(30), ({ log }, [, codec], cut) => {
      const transcript = Transcript.fromEntries(sessionId, log.slice(0, cut))
      const problems = validatePrompt(renderPrompt(transcript, { codec }))
      assert.deepStrictEqual(problems.filter((problem) => !problem.startsWith("the last message")), [])
      assert.deepStrictEqual(Transcript.openCalls(Transcript.closeOpenCalls(transcript)), [])
    }))
  })

  it("with notes a prompt only grows: what a cache has seen stays as it was", () => {
    fc.assert(fc.property(conversation, fc.constantFrom("UserNote", "SyntheticPair"), ({ log, requests }, name) => {
      let before: ReadonlyArray<Prompt.Message> = []
      for (const at of requests) {
        const { content } = renderPrompt(Transcript.fromEntries(sessionId, log.slice(0, at)), {
          codec: LateResultCodec[name as "UserNote" | "SyntheticPair"]
        })
        assert.deepStrictEqual(content.slice(0, before.length), before)
        before = content
      }
    }))
  })

  it("refuses what it has, a second result of a call, and a result of no call", () => {
    const transcript = Transcript.fromEntries(sessionId, [
      user("u"),
      reply("r", ["a"]),
      result("a", "Placeholder"),
      late("a")
    ])
    const refusal = (entry: TranscriptEntry) =>
      Either.flip(Transcript.append(transcript, entry)).pipe(Either.getOrThrow)
    for (const entry of [user("u", "other"), reply("r", ["b"]), result("a"), late("a", "other")]) {
      assert.strictEqual(refusal(entry), "Duplicate")
    }
    assert.strictEqual(refusal(result("b")), "UnknownCall")
    assert.deepStrictEqual(ids(Transcript.fromEntries(sessionId, [result("a")])), [])
  })

  it("knows what is open, what runs, and whose turn it is", () => {
    const open = Transcript.fromEntries(sessionId, [user("u"), reply("r", ["a", "b", "c"]), result("b", "Placeholder")])
    assert.deepStrictEqual(Transcript.openCalls(open).map(({ callId }) => String(callId)), ["a", "c"])
    assert.deepStrictEqual(Transcript.runningTasks(open).map(({ callId }) => String(callId)), ["b"])
    assert.isTrue(Transcript.awaitsReply(open))
    const closed = Transcript.closeOpenCalls(open)
    assert.deepStrictEqual(ids(closed), ["u", "r", "a", "b", "c"])
    const [, , a] = closed.entries
    assert.include(a?._tag === "ToolResult" && a.output._tag === "Text" ? a.output.text : "", "it may have run")
    const done = Transcript.fromEntries(sessionId, [...closed.entries, late("b"), reply("r2", [])])
    assert.deepStrictEqual(Transcript.runningTasks(done), [])
    assert.isFalse(Transcript.awaitsReply(done))
    assert.isFalse(Transcript.awaitsReply(Transcript.empty(sessionId)))
  })

  it("calls of the provider are not open, and stand with their results in the reply, under the name the provider knows", () => {
    const transcript = Transcript.fromEntries(sessionId, [user("u"), {
      ...reply("r", []),
      parts: [
        {
          _tag: "ToolCall",
          callId: ToolCallId.make("p"),
          toolName: "AnthropicWebSearch",
          providerName: "web_search",
          providerExecuted: true,
          params: { query: "x" },
          options: {}
        },
        {
          _tag: "ProviderResult",
          callId: ToolCallId.make("p"),
          toolName: "AnthropicWebSearch",
          providerName: "web_search",
          isError: false,
          result: [1],
          options: {}
        },
        {
          _tag: "ToolCall",
          callId: ToolCallId.make("mine"),
          toolName: "AnthropicBash",
          providerName: "bash",
          providerExecuted: false,
          params: {},
          options: {}
        }
      ]
    }])
    assert.deepStrictEqual(Transcript.openCalls(transcript).map(({ toolName }) => toolName), ["AnthropicBash"])
    const parts = renderPrompt(transcript).content.flatMap(({ content }) => typeof content === "string" ? [] : content)
    assert.deepStrictEqual(
      parts.map((part) => "name" in part ? [part.type, part.name] : [part.type]),
      [["text"], ["tool-call", "AnthropicWebSearch"], ["tool-result", "AnthropicWebSearch"], ["tool-call", "bash"], [
        "tool-result",
        "bash"
      ]]
    )
  })

  it("files are bytes, or URLs", () => {
    const transcript = Transcript.fromEntries(sessionId, [{
      _tag: "UserMessage",
      messageId: "u",
      content: [
        { _tag: "File", mediaType: "image/png", data: "AAEC", fileName: "a.png" },
        { _tag: "File", mediaType: "image/png", data: "https://example.com/a.png" }
      ]
    }])
    const [message] = renderPrompt(transcript).content
    assert.deepStrictEqual(
      message?.role === "user" ? message.content.map((part) => part.type === "file" ? part.data : undefined) : [],
      [new Uint8Array([0, 1, 2]), new URL("https://example.com/a.png")]
    )
  })
})

describe("codecs", () => {
  it("keep apart the late results of several tasks of one call", () => {
    const other = { ...late("a", "other"), taskId: TaskId.make("sub/task") }
    const log = [user("u"), reply("r", ["a"]), result("a", "Placeholder"), reply("r2", []), other, late("a")]
    const transcript = Transcript.fromEntries(sessionId, log)
    assert.deepStrictEqual(ids(transcript), ["u", "r", "a", "r2", "late a", "late a"])
    for (const [name, codec] of codecs) {
      const prompt = renderPrompt(transcript, { codec })
      assert.deepStrictEqual(validatePrompt(prompt), [], name)
      const replaced = prompt.content.some((message) =>
        message.role === "tool" && message.content[0]?.id === "a" && message.content[0].result === "late"
      )
      assert.strictEqual(replaced, name === "ReplacePlaceholder")
    }
    assert.deepStrictEqual(Transcript.runningTasks(Transcript.fromEntries(sessionId, log.slice(0, 5))).length, 1)
  })

  it("show no more of a late result than a note may have", () => {
    const log = [user("u"), reply("r", ["a"]), result("a", "Placeholder"), late("a", "x".repeat(5000))]
    for (const [name, codec] of codecs) {
      const prompt = renderPrompt(Transcript.fromEntries(sessionId, log), { codec, maxNoteBytes: 100 })
      assert.isBelow(JSON.stringify(prompt).split("x").length, 200, name)
      assert.include(JSON.stringify(prompt), "bytes cut", name)
    }
  })

  it("a late result before anything was said is a note by every codec", () => {
    for (const [name, codec] of codecs) {
      const prompt = renderPrompt(Transcript.fromEntries(sessionId, [late("x")]), { codec })
      assert.deepStrictEqual(validatePrompt(prompt), [], name)
      assert.lengthOf(prompt.content, 1)
    }
  })

  it("what a tool gives stands in the note and nowhere outside its boundary, whatever it is", () => {
    // all but halves of surrogate pairs; the unit "binary" of fast-check is the same, and takes a second to list them
    const unit = fc.oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
      .map((code) => String.fromCodePoint(code))
    fc.assert(fc.property(fc.string({ unit }), fc.string(), (output, toolName) => {
      const entry = { ...late("x", output, "0123456789abcdef"), toolName }
      const [message] = renderPrompt(Transcript.fromEntries(sessionId, [entry])).content
      const [part] = message?.role === "user" ? message.content : []
      const note = part?.type === "text" ? part.text : ""
      const rows = note.split("\n")
      assert.match(rows[0]!, /^<task-result task="task-x" tool="[^"<>&\n]*" status="ok" boundary="0123456789abcdef">$/)
      assert.isTrue(note.endsWith(`\n${output}\n</task-result boundary="0123456789abcdef">`))
    }))
  })
})

describe("validatePrompt", () => {
  const make = (...messages: ReadonlyArray<Prompt.MessageEncoded>) => Prompt.make(messages)
  const call = (id: string): Prompt.AssistantMessageEncoded => ({
    role: "assistant",
    content: [{ type: "tool-call", id, name: "t", params: {} }]
  })
  const answer = (...answers: ReadonlyArray<string>): Prompt.ToolMessageEncoded => ({
    role: "tool",
    content: answers.map((id) => ({
      type: "tool-result" as const,
      id,
      name: "t",
      result: 1,
      isFailure: false,
      providerExecuted: false
    }))
  })
  const hi: Prompt.MessageEncoded = { role: "user", content: "hi" }

  it("takes what providers take", () => {
    assert.deepStrictEqual(validatePrompt(make({ role: "system", content: "s" }, hi, call("a"), answer("a"), hi)), [])
  })

  const refused: ReadonlyArray<readonly [string, Prompt.Prompt, RegExp]> = [
    ["an unanswered call", make(hi, call("a"), hi), /calls \[a\], answered by \[\]/],
    ["a call answered twice", make(hi, call("a"), answer("a", "a")), /answered by \[a,a\]/],
    ["an answer too late", make(hi, call("a"), hi, answer("a")), /does not follow/],
    ["an answer to nothing", make(hi, answer("a")), /does not follow/],
    ["an answer to another call", make(hi, call("a"), answer("b")), /answered by \[b\]/],
    ["an id twice", make(hi, call("a"), answer("a"), call("a"), answer("a")), /repeats the call id a/],
    ["an empty id", make(hi, call(""), answer("")), /without an id/],
    ["a blank text", make({ role: "user", content: " " }), /blank text/],
    ["an empty message", make({ role: "user", content: [] }), /is empty/],
    ["a late system message", make(hi, { role: "system", content: "s" }, hi), /has begun/],
    ["the model beginning", make({ role: "assistant", content: "x" }, hi), /begins the conversation/],
    ["the model speaking last", make(hi, { role: "assistant", content: "x" }), /last message/],
    ["nothing", make(), /last message/]
  ]
  for (const [name, prompt, problem] of refused) {
    it(`refuses ${name}`, () => assert.match(validatePrompt(prompt).join("\n"), problem))
  }
})

describe("what no provider takes", () => {
  const half = "\ud83d"
  const calling = (toolName: string, params: unknown): TranscriptEntry.AssistantMessage => ({
    _tag: "AssistantMessage",
    replyId: "r",
    turnId: TurnId.make("t"),
    end: "tool-calls",
    parts: [{
      _tag: "ToolCall",
      callId: ToolCallId.make("c"),
      toolName,
      providerExecuted: false,
      params,
      options: {}
    }]
  })
  const rendered = (...entries: ReadonlyArray<TranscriptEntry>) => {
    const prompt = renderPrompt(Transcript.fromEntries(sessionId, entries), { system: `s${half}` })
    assert.deepStrictEqual(validatePrompt(prompt), [])
    return JSON.stringify(prompt.content)
  }

  it("half a character, wherever a user, a model or a tool puts one", () => {
    const output = ToolOutput.Structured({ value: { [`k${half}`]: [`v${half}`, "\u{1f600}"] } })
    const sent = rendered(
      user("u", `said${half}`),
      calling("tool", { path: `p${half}` }),
      { ...result("c"), output },
      late("c", `late${half}`)
    )
    assert.notInclude(sent, "\\ud83d")
    for (const word of ["s", "said", "p", "k", "v", "late"]) assert.include(sent, `${word}\ufffd`)
    assert.include(sent, "\u{1f600}")
  })

  it("the name of a tool that the model made up", () => {
    for (const name of ["multi_tool_use.parallel", "", "x".repeat(300), "a b", "\u{1f600}"]) {
      rendered(user("u"), calling(name, {}), result("c"))
    }
    assert.include(rendered(user("u"), calling("multi_tool_use.parallel", {}), result("c")), "multi_tool_use_parallel")
  })

  it("an input that is no object", () => {
    for (const params of [null, "text", 3, ["a"]]) rendered(user("u"), calling("tool", params), result("c"))
  })

  it("ids of made-up calls that are too long, and they stay apart", () => {
    const long = "i".repeat(64)
    const entries = [user("u"), { ...late(long), boundary: "b1" }, { ...late(`${long}2`), boundary: "b2" }]
    const prompt = renderPrompt(Transcript.fromEntries(sessionId, entries), { codec: LateResultCodec.SyntheticPair })
    assert.deepStrictEqual(validatePrompt(prompt), [])
  })
})
