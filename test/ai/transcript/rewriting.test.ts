/** What may take the place of a transcript, and what stands in it for what a provider has refused. */
import { assert, describe, it } from "@effect/vitest"
import { SessionId, TaskId, ToolCallId, TurnId } from "effect-task-manager"
import { Transcript, type TranscriptEntry } from "effect-task-manager/ai"
import { compactionProblems, rewriteProblems } from "../../../src/ai/transcript/internal/rewriting.js"
import { withoutAttachments, withoutFiles, withoutLength } from "../../../src/ai/transcript/internal/standIns.js"

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

const by = (provider: string): TranscriptEntry => ({
  _tag: "AssistantMessage",
  replyId: `reply-${++made}`,
  turnId: TurnId.make("turn-1"),
  parts: [{ _tag: "Text", text: "Yes.", options: {} }],
  end: "stop",
  provider
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

  /** Which files are replaced, one refusal after the other. */
  const replaced = (entries: ReadonlyArray<TranscriptEntry>, provider: string | undefined): ReadonlyArray<string> => {
    const made = withoutFiles(entries, provider)
    if (made === undefined) return []
    const which = entries.flatMap((entry, index) => entry === made.entries[index] ? [] : [index])
    return [`${made.isOld ? "old" : "new"}: ${which.join(" ")}`, ...replaced(made.entries, provider)]
  }

  it("is what came last, or else what was taken before", () => {
    const both = [asks(file), says(), asks(file)]
    assert.deepStrictEqual(replaced(both, undefined), ["new: 2", "new: 0"])
    assert.include(JSON.stringify(withoutFiles(both, undefined)?.entries[2]), refused)
    const named = [asks(file), by("anthropic"), asks(file)]
    assert.deepStrictEqual(replaced(named, "anthropic"), ["new: 2", "new: 0"])
  })

  it("is first what another provider has answered, after a change of the provider", () => {
    const before = [asks(file), by("anthropic"), asks(file), by("openai"), asks(file)]
    assert.deepStrictEqual(replaced([...before, asks(file)], "anthropic"), ["old: 2", "new: 4 5", "new: 0"])
    assert.deepStrictEqual(replaced(before, "other"), ["old: 0 2", "new: 4"])
    assert.deepStrictEqual(replaced([...before, by("anthropic"), asks(file)], "anthropic"), ["new: 6", "new: 0 2 4"])
    // it has taken what it answered, also when it has forgotten what it attached
    const bare = withoutAttachments([asks(file), by("anthropic"), asks(file)]) ?? []
    assert.deepStrictEqual(replaced(bare, "anthropic"), ["new: 2", "new: 0"])
    assert.isUndefined(withoutAttachments(bare))
    // the provider of a reply without a name is not known
    assert.deepStrictEqual(replaced([asks(file), says(), asks()], "anthropic"), ["old: 0"])
  })

  it("is cut where it is too long, also if the model before had more room", () => {
    const long = asks({ _tag: "Text", text: "x".repeat(1_000) })
    const cut = withoutLength([long, says(), asks()], undefined, 100)
    assert.include(JSON.stringify(cut?.entries[0]), "too long for the model")
    assert.isUndefined(withoutLength([asks(), says(), asks()], undefined, 100))
    const both = withoutLength([long, by("openai"), long], "anthropic", 100)
    assert.include(JSON.stringify(both?.entries[0]), "too long for the model")
    assert.strictEqual(both?.entries[2], long)
  })

  it("is cut once, and to the limit with the word about that", () => {
    const long = asks({ _tag: "Text", text: `first ${"x".repeat(1_000)} last` })
    for (const limit of [0, 40, 120, 500]) {
      const [cut, ...none] = withoutLength([long], undefined, limit)?.entries ?? []
      assert.lengthOf(none, 0)
      const said = cut?._tag === "UserMessage" ? cut.content[1] : undefined
      const text = said?._tag === "Text" ? said.text : ""
      assert.isAtMost(new TextEncoder().encode(text).length, Math.max(limit, 120))
      assert.match(text, /first.*last$/s)
      assert.isUndefined(withoutLength(cut === undefined ? [] : [cut], undefined, limit), `limit ${limit}`)
    }
  })
})
