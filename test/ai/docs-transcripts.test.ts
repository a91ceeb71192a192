/**
 * docs/transcripts.md shows what providers are sent of one conversation; see docs-codecs.test.ts.
 * `npx vitest run test/ai/docs-transcripts.test.ts -u` writes it anew.
 */
import { assert, it } from "@effect/vitest"
import { SessionId, ToolCallId, TurnId } from "effect-task-manager"
import { renderPrompt, type Transcript, type TranscriptEntry, validatePromptFor } from "effect-task-manager/ai"
import { pageShows, shown } from "../support/promptPages.js"

const call = (callId: string, toolName: string, providerExecuted: boolean, params: unknown) => ({
  _tag: "ToolCall" as const,
  callId: ToolCallId.make(callId),
  toolName,
  ...(providerExecuted ? { providerName: "web_search" } : undefined),
  providerExecuted,
  params,
  options: {}
})

const message = (messageId: string, text: string): TranscriptEntry => ({
  _tag: "UserMessage",
  messageId,
  content: [{ _tag: "Text", text }]
})

const reply = (parts: TranscriptEntry.AssistantMessage["parts"]): TranscriptEntry => ({
  _tag: "AssistantMessage",
  replyId: "turn-1/1",
  turnId: TurnId.make("turn-1"),
  end: "tool-calls",
  provider: "anthropic",
  parts
})

const answer = (callId: string, toolName: string, output: TranscriptEntry.ToolResult["output"]): TranscriptEntry => ({
  _tag: "ToolResult",
  callId: ToolCallId.make(callId),
  toolName,
  outcome: "Result",
  isError: false,
  output
})

const searched = [
  message("message-1", "When is high tide?"),
  reply([
    { _tag: "Reasoning", text: "I look it up.", options: { anthropic: { type: "thinking", signature: "…" } } },
    call("toolu_1", "read_file", false, { path: "harbour.txt" }),
    call("srvtoolu_1", "AnthropicWebSearch", true, { query: "high tide" }),
    {
      _tag: "ProviderResult",
      callId: ToolCallId.make("srvtoolu_1"),
      toolName: "AnthropicWebSearch",
      providerName: "web_search",
      isError: false,
      result: [{ type: "web_search_result", title: "Tides", encrypted_content: "…" }],
      options: {}
    },
    { _tag: "Text", text: "I found the tides, and look for the harbour.", options: {} }
  ]),
  answer("toolu_1", "read_file", { _tag: "Text", text: "Gdynia" })
]

const pictured = [
  message("message-1", "What is on the screen?"),
  reply([call("toolu_2", "screenshot", false, {})]),
  answer("toolu_2", "screenshot", {
    _tag: "Parts",
    parts: [{ _tag: "Media", mediaType: "image/png", data: "iVBORw0KGgo=" }]
  })
]

const rendered = (entries: Transcript["entries"], provider: string): string => {
  const prompt = renderPrompt({ sessionId: SessionId.make("session"), entries }, { provider })
  assert.deepStrictEqual(validatePromptFor(provider)(prompt), [])
  return shown(prompt)
}

it.effect("docs/transcripts.md shows the prompts as they are", () =>
  pageShows(
    "transcripts.md",
    new Map([
      ["anthropic", rendered(searched, "anthropic")],
      ["openai", rendered(searched, "openai")],
      [
        "trimmed",
        rendered(
          pictured.slice(1).map((entry) =>
            entry._tag === "ToolResult"
              ? answer("toolu_2", "screenshot", { _tag: "Text", text: "A login form" })
              : entry
          ),
          "anthropic"
        )
      ],
      ["files", rendered(pictured, "anthropic")]
    ])
  ))
