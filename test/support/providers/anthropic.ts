/** The test server of Anthropic: `/v1/messages`. */
import { checkMessages } from "./anthropicRules.js"
import type { JsonObject } from "./json.js"
import { type ProviderServer, startLoopback } from "./loopback.js"
import { argumentsOf, badRequest, pieces, type Refusal, type ReplyBlock, type Sent } from "./script.js"

const apiKey = "sk-ant-loopback"

const errorTypes: { readonly [status: number]: string } = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error"
}

const errorBody = ({ message, status }: Refusal): JsonObject => ({
  type: "error",
  error: { type: errorTypes[status] ?? "api_error", message },
  request_id: "req_loopback"
})

// https://docs.claude.com/en/docs/build-with-claude/streaming#error-events
const overloaded: JsonObject = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }

/** The input of a whole reply is JSON always: what the model wrote, or nothing where that is none. */
const inputOf = (json: string): unknown => {
  try {
    const input: unknown = JSON.parse(json)
    return input
  } catch {
    return {}
  }
}

const sent = (data: JsonObject): Sent => ({ type: "event", name: String(data["type"]), data })

export const startAnthropic = (): Promise<ProviderServer> => {
  const thinking = new Map<string, string>()
  let ids = 0
  const nextId = (prefix: string) => {
    ids += 1
    return `${prefix}_${String(ids).padStart(8, "0")}`
  }

  const searches = new Map<string, string>()

  const foundBlock = (query: string): JsonObject => ({
    type: "web_search_tool_result",
    tool_use_id: searches.get(query),
    content: [{
      type: "web_search_result",
      title: `About ${query}`,
      url: "https://example.com/found",
      encrypted_content: `encrypted-${query}`,
      page_age: null
    }]
  })

  const searchBlocks = (block: Extract<ReplyBlock, { readonly type: "search" }>): ReadonlyArray<JsonObject> => {
    const id = nextId("srvtoolu")
    searches.set(block.query, id)
    const use = { type: "server_tool_use", id, name: "web_search", input: { query: block.query } }
    return block.isAnswered ? [use, foundBlock(block.query)] : [use]
  }

  const contentBlocks = (block: Exclude<ReplyBlock, { readonly type: "hold" }>): ReadonlyArray<JsonObject> =>
    block.type === "search"
      ? searchBlocks(block)
      : block.type === "found"
      ? [foundBlock(block.of)]
      : [contentBlock(block)]

  const contentBlock = (block: Exclude<ReplyBlock, { readonly type: "hold" | "search" | "found" }>): JsonObject => {
    switch (block.type) {
      case "text":
        return { type: "text", text: block.text, citations: null }
      case "reasoning": {
        const signature = nextId("signature")
        thinking.set(signature, block.text)
        return { type: "thinking", thinking: block.text, signature }
      }
      case "call":
      case "rawCall":
        return { type: "tool_use", id: nextId("toolu"), name: block.name, input: inputOf(argumentsOf(block)) }
    }
  }

  const blockEvents = (block: JsonObject, index: number, json: string): ReadonlyArray<JsonObject> => {
    // it comes as a whole
    if (block["type"] === "web_search_tool_result") {
      return [
        { type: "content_block_start", index, content_block: block },
        { type: "content_block_stop", index }
      ]
    }
    const delta = (delta: JsonObject): JsonObject => ({ type: "content_block_delta", index, delta })
    const [empty, deltas]: readonly [JsonObject, ReadonlyArray<JsonObject>] = block["type"] === "text"
      ? [{ ...block, text: "" }, pieces(String(block["text"])).map((text) => ({ type: "text_delta", text }))]
      : block["type"] === "thinking"
      ? [
        { ...block, thinking: "", signature: "" },
        [
          ...pieces(String(block["thinking"])).map((thinking) => ({ type: "thinking_delta", thinking })),
          { type: "signature_delta", signature: block["signature"] }
        ]
      ]
      : [
        { ...block, input: {} },
        // the real stream opens with an empty piece, too
        ["", ...pieces(json)].map((partial_json) => ({
          type: "input_json_delta",
          partial_json
        }))
      ]
    return [
      { type: "content_block_start", index, content_block: empty },
      ...deltas.map(delta),
      { type: "content_block_stop", index }
    ]
  }

  return startLoopback({
    apiKey,
    // github.com/anthropics/claude-code/issues/12186
    tooLong: badRequest("prompt is too long: 208310 tokens > 200000 maximum"),
    checkKey: (headers) => {
      const key = headers["x-api-key"]
      if (key === undefined) return { status: 401, message: "x-api-key header is required" }
      return key === apiKey ? undefined : { status: 401, message: "invalid x-api-key" }
    },
    endpoints: {
      "/v1/messages": {
        errorBody,
        check: (body, headers) =>
          headers["anthropic-version"] === undefined
            ? badRequest("anthropic-version: header is required")
            : checkMessages(body, thinking),
        render: (body, blocks, ending) => {
          const content: Array<JsonObject> = []
          const events: Array<JsonObject | "hold"> = []
          for (const block of blocks) {
            if (block.type === "hold") {
              events.push("hold")
              continue
            }
            for (const made of contentBlocks(block)) {
              const json = block.type === "call" || block.type === "rawCall"
                ? argumentsOf(block)
                : JSON.stringify(made["input"] ?? {})
              events.push(...blockEvents(made, content.length, json))
              content.push(made)
            }
          }
          const stop_reason = ending === "length"
            ? "max_tokens"
            : blocks.some(({ type }) => type === "call" || type === "rawCall")
            ? "tool_use"
            : blocks.some((block) => block.type === "search" && !block.isAnswered)
            ? "pause_turn"
            : "end_turn"
          const started = {
            id: nextId("msg"),
            type: "message",
            role: "assistant",
            model: body["model"],
            content: [],
            stop_reason: null,
            stop_sequence: null,
            container: null,
            context_management: null,
            usage: { input_tokens: 12, output_tokens: 1 }
          }
          const all: ReadonlyArray<JsonObject | "hold"> = [
            { type: "message_start", message: started },
            { type: "ping" },
            ...events
          ]
          const closing: ReadonlyArray<JsonObject> = [
            { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } },
            { type: "message_stop" }
          ]
          return {
            whole: ending === "failed" || ending === "error"
              ? { failure: 529 }
              : { ...started, content, stop_reason, usage: { input_tokens: 12, output_tokens: 7 } },
            events: all.map((event) => event === "hold" ? { type: "hold" } : sent(event)),
            ending: (ending === "failed" || ending === "error" ? [overloaded] : closing).map(sent)
          }
        }
      }
    }
  })
}
