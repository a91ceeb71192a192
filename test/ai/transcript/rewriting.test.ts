/** What may take the place of a transcript, and what stands in it for what a provider has refused. */
import { assert, describe, it } from "@effect/vitest"
import { SessionId, TaskId, ToolCallId, TurnId } from "effect-task-manager"
import { Transcript, type TranscriptEntry } from "effect-task-manager/ai"
import { compactionProblems, rewriteProblems } from "../../../src/ai/transcript/internal/rewriting.js"
import { withoutLatestFiles, withoutLatestLength } from "../../../src/ai/transcript/internal/standIns.js"

const sessionId = SessionId.make("session-1")
const callId = ToolCallId.make("call-1")
const taskId = TaskId.make("task-1")

let made = 0

const asks = (...content: TranscriptEntry.UserMessage["content"]): TranscriptEntry => ({
  _tag: "UserMessage",
  messageId: `message-${++made}`,
  content: [{ _tag: "Text", text: "Look." }, ...content]
})

const says = (...parts: TranscriptEntry.AssistantMessage["parts"]): TranscriptEntry => ({
  _tag: "AssistantMessage",
  replyId: `reply-${++made}`,
  turnId: TurnId.make("turn-1"),
  parts: [{ _tag: "Text", text: "Yes.", options: {} }, ...parts],
  end: parts.length > 0 ? "tool-calls" : "stop"
})

const call = says({
  _tag: "ToolCall",
  callId,
  toolName: "later",
  providerExecuted: false,
  params: {},
  options: {}
})

const placeholder: TranscriptEntry = {
  _tag: "ToolResult",
  callId,
  toolName: "later",
  outcome: "Placeholder",
  taskId,
  isError: false,
  output: { _tag: "Text", text: "It runs in the background." }
}

const late: TranscriptEntry = {
  _tag: "LateResult",
  callId,
  toolName: "later",
  taskId,
  isError: false,
  output: { _tag: "Text", text: "Done." },
  boundary: "b1"
}

const of = (...entries: ReadonlyArray<TranscriptEntry>): Transcript => Transcript.fromEntries(sessionId, entries)

describe("what takes the place of a transcript", () => {
  it("keeps no placeholder whose result it takes out: it does not come again", () => {
    const before = of(asks(), call, placeholder, late)
    assert.deepStrictEqual(rewriteProblems(before, of(asks(), call, placeholder)), [
      "the result of the call call-1 is missing, and its placeholder promises it"
    ])
    assert.deepStrictEqual(rewriteProblems(before, of(asks(), late)), [])
    // one that has not come is awaited before and after
    assert.deepStrictEqual(rewriteProblems(of(asks(), call, placeholder), of(asks(), call, placeholder)), [])
  })

  it("leaves something to answer, where the model is about to be asked", () => {
    const nothing = ["nothing is left that the model could answer"]
    assert.deepStrictEqual(compactionProblems(of(says(), asks()), of()), nothing)
    assert.deepStrictEqual(compactionProblems(of(asks(), says(), asks()), of(asks(), says())), nothing)
    assert.deepStrictEqual(compactionProblems(of(asks(), says(), asks()), of(asks())), [])
    // a reply that the provider has paused is the last word before and after
    assert.deepStrictEqual(compactionProblems(of(asks(), says()), of(asks(), says())), [])
    // between turns a host may take back all
    assert.deepStrictEqual(rewriteProblems(of(asks()), of()), [])
  })
})

describe("what a provider has refused", () => {
  const file = { _tag: "File", mediaType: "image/png", data: "https://files.test/1.png" } as const
  const refused = "[attachment refused by the provider: image/png]"

  it("is what came last, or else what the provider before has taken", () => {
    const other = { ...file, mediaType: "image/gif" }
    const both = [asks(file), says(), asks(other)]
    const once = withoutLatestFiles(both)
    assert.strictEqual(once?.[0], both[0])
    assert.notInclude(JSON.stringify(once), "image/gif\",")
    const twice = withoutLatestFiles(once ?? [])
    assert.include(JSON.stringify(twice?.[0]), refused)
    assert.isUndefined(withoutLatestFiles(twice ?? []))
  })

  it("is cut where it is too long, also if the model before had more room", () => {
    const long = asks({ _tag: "Text", text: "x".repeat(1_000) })
    const cut = withoutLatestLength([long, says(), asks()], 100)
    assert.include(JSON.stringify(cut?.[0]), "too long for the model")
    assert.isUndefined(withoutLatestLength([asks(), says(), asks()], 100))
  })

  it("is cut once, and to the limit with the word about that", () => {
    const long = asks({ _tag: "Text", text: `first ${"x".repeat(1_000)} last` })
    for (const limit of [0, 40, 120, 500]) {
      const [cut, ...none] = withoutLatestLength([long], limit) ?? []
      assert.lengthOf(none, 0)
      const said = cut?._tag === "UserMessage" ? cut.content[1] : undefined
      const text = said?._tag === "Text" ? said.text : ""
      assert.isAtMost(new TextEncoder().encode(text).length, Math.max(limit, 120))
      assert.match(text, /first.*last$/s)
      assert.isUndefined(withoutLatestLength(cut === undefined ? [] : [cut], limit), `limit ${limit}`)
    }
  })
})
