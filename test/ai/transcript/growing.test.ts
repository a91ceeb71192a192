/** What is kept of a transcript while it grows is what reading it anew would give. */
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc, Schema } from "effect"
import { SessionId, TaskId, ToolCallId, ToolOutput, TurnId } from "effect-task-manager"
import {
  LateResultCodec,
  type RenderOptions,
  renderPrompt,
  Transcript,
  type TranscriptCall,
  type TranscriptEntry
} from "effect-task-manager/ai"

const sessionId = SessionId.make("s")

const anyOf = (prefix: string, count: number) => fc.nat(count - 1).map((number) => `${prefix}${number}`)
const anyCallId = anyOf("call-", 6).map((id) => ToolCallId.make(id))
const anyTaskId = anyOf("task-", 2).map((id) => TaskId.make(id))
// long enough to be cut, blank, and with half a character
const anyText = fc.constantFrom("words", " ", "half \ud800", "long ".repeat(30))
const anyOutput = fc.oneof(
  anyText.map((text) => ToolOutput.Text({ text })),
  anyText.map((text) => ToolOutput.Structured({ value: { text: [text] } }))
)

const anyMessage = fc.record({
  _tag: fc.constant("UserMessage" as const),
  messageId: anyOf("message-", 8),
  content: fc.array(fc.record({ _tag: fc.constant("Text" as const), text: anyText }), { maxLength: 2 })
})

const anyReply = fc.record({
  _tag: fc.constant("AssistantMessage" as const),
  replyId: anyOf("reply-", 8),
  turnId: anyOf("turn-", 3).map((id) => TurnId.make(id)),
  end: fc.constant("stop" as const),
  parts: fc.array(
    fc.oneof(
      fc.record({
        _tag: fc.constantFrom("Text" as const, "Reasoning" as const),
        text: anyText,
        options: fc.constant({})
      }),
      fc.record({
        _tag: fc.constant("ToolCall" as const),
        callId: anyCallId,
        toolName: fc.constant("tool"),
        providerExecuted: fc.integer({ min: 0, max: 5 }).map((dice) => dice === 0),
        params: fc.constant({}),
        options: fc.constant({})
      })
    ),
    { maxLength: 4 }
  )
})

const anyResult = fc.record({
  _tag: fc.constant("ToolResult" as const),
  callId: anyCallId,
  toolName: fc.constant("tool"),
  outcome: fc.constantFrom("Result" as const, "Placeholder" as const),
  taskId: anyTaskId,
  isError: fc.boolean(),
  output: anyOutput
})

const anyLate = fc.record({
  _tag: fc.constant("LateResult" as const),
  callId: anyCallId,
  toolName: fc.constant("tool"),
  taskId: anyTaskId,
  isError: fc.boolean(),
  output: anyOutput,
  boundary: fc.constant("boundary")
})

/** Entries in any order, with ids that come again and again: of messages, replies, calls and tasks. */
const anyLog: fc.Arbitrary<ReadonlyArray<TranscriptEntry>> = fc.array(
  fc.oneof(anyMessage, anyReply, anyResult, anyLate),
  { maxLength: 40 }
)

/** The calls with what belongs to each, by a walk: a result and a late result belong to the latest call of their id before them. */
const walked = ({ entries }: Transcript) => {
  const calls: Array<{ readonly call: TranscriptCall; result?: TranscriptEntry.ToolResult; ended: boolean }> = []
  for (const entry of entries) {
    if (entry._tag === "AssistantMessage") {
      for (const call of Transcript.calls(entry)) calls.push({ call, ended: false })
    }
    if (entry._tag !== "ToolResult" && entry._tag !== "LateResult") continue
    const found = [...calls].reverse().find(({ call }) => call.callId === entry.callId)
    if (found === undefined) continue
    if (entry._tag === "ToolResult") found.result ??= entry
    else if (entry.taskId === found.result?.taskId) found.ended = true
  }
  return calls
}

const callsLeft = (transcript: Transcript): ReadonlyArray<TranscriptCall> =>
  walked(transcript).flatMap(({ call, result }) => result === undefined ? [call] : [])

const tasksLeft = (transcript: Transcript): ReadonlyArray<TranscriptEntry> =>
  walked(transcript).flatMap(({ ended, result }) => result?.outcome === "Placeholder" && !ended ? [result] : [])

const appended = (transcript: Transcript, entry: TranscriptEntry): Transcript =>
  Either.getOrElse(Transcript.append(transcript, entry), () => transcript)

/** The same transcript, of which nothing is known: as it comes back from a store. */
const readAgain = (transcript: Transcript): Transcript => {
  const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(Transcript)(transcript)))
  return Schema.decodeUnknownSync(Transcript)(json)
}

// a store of JSON text keeps no half of a character
const anyStoredLog = anyLog.filter((log) => !JSON.stringify(log).includes("\\ud800"))

describe("a transcript that grows", () => {
  it("knows what runs and what is open after each entry, as if it was read anew", () => {
    fc.assert(fc.property(anyLog, (log) => {
      let transcript = Transcript.empty(sessionId)
      for (const entry of log) {
        transcript = appended(transcript, entry)
        assert.deepStrictEqual(Transcript.openCalls(transcript), callsLeft(transcript))
        assert.deepStrictEqual(Transcript.runningTasks(transcript), tasksLeft(transcript))
      }
      assert.deepStrictEqual(transcript, Transcript.fromEntries(sessionId, log))
    }))
  })

  it("is a value: what is appended to it changes nothing of what it was, in whatever order it is asked", () => {
    fc.assert(fc.property(anyLog, fc.infiniteStream(fc.nat(1_000)), (log, dice) => {
      const made = [Transcript.empty(sessionId)]
      const expected = [Transcript.empty(sessionId)]
      for (const entry of log) {
        const at = dice.next().value % made.length
        const from = made[at]!
        // a copy is as good
        const longer = appended(dice.next().value % 2 === 0 ? from : { ...from }, entry)
        made.push(longer)
        expected.push(appended({ sessionId, entries: [...expected[at]!.entries] }, entry))
        const asked = made[dice.next().value % made.length]!
        assert.deepStrictEqual(Transcript.openCalls(asked), callsLeft(asked))
        assert.deepStrictEqual(Transcript.runningTasks(asked), tasksLeft(asked))
      }
      assert.deepStrictEqual(made, expected)
    }))
  })

  it("that was read back from a store goes on as the original does", () => {
    fc.assert(fc.property(anyStoredLog, fc.nat(40), (log, at) => {
      const original = Transcript.fromEntries(sessionId, log.slice(0, at))
      const read = readAgain(original)
      assert.deepStrictEqual(log.slice(at).reduce(appended, read), log.slice(at).reduce(appended, original))
    }))
  })

  it("is asked what it is made of, also where entries were put together by hand, and where the list is written to", () => {
    fc.assert(fc.property(anyLog, (log) => {
      const entries: Array<TranscriptEntry> = []
      for (const entry of log) {
        entries.push(entry)
        assert.deepStrictEqual(Transcript.openCalls({ sessionId, entries }), callsLeft({ sessionId, entries }))
      }
    }))
  })
})

describe("the prompt of a transcript that grows", () => {
  const anyOptions: fc.Arbitrary<RenderOptions> = fc.record({
    system: fc.constantFrom(undefined, "system"),
    codec: fc.constantFrom(...Object.values(LateResultCodec)),
    maxNoteBytes: fc.constantFrom(undefined, 20, 60)
  })

  it("is that of a transcript which is rendered for the first time, whatever was rendered before and how", () => {
    fc.assert(fc.property(anyLog, fc.array(anyOptions, { minLength: 1, maxLength: 3 }), (log, options) => {
      let transcript = Transcript.empty(sessionId)
      for (const [index, entry] of log.entries()) {
        transcript = appended(transcript, entry)
        const how = options[index % options.length]
        assert.deepStrictEqual(renderPrompt(transcript, how), renderPrompt(structuredClone(transcript), how))
      }
      // in an order that no loop makes, too
      for (const how of options) {
        const reversed = { sessionId, entries: [...transcript.entries].reverse() }
        assert.deepStrictEqual(renderPrompt(reversed, how), renderPrompt(structuredClone(reversed), how))
      }
    }))
  })

  it("makes no message again that it has made before", () => {
    fc.assert(fc.property(anyLog, fc.constantFrom("UserNote", "SyntheticPair"), (log, name) => {
      const options = { codec: LateResultCodec[name as "UserNote" | "SyntheticPair"] }
      const transcript = Transcript.fromEntries(sessionId, log)
      const before = renderPrompt(transcript, options)
      const next: TranscriptEntry = { _tag: "UserMessage", messageId: "next", content: [] }
      const { content } = renderPrompt(appended(transcript, next), options)
      for (const [index, message] of before.content.entries()) assert.strictEqual(content[index], message)
    }))
  })
})
