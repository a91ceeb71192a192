/** The test server of OpenAI: `/v1/responses` and `/v1/chat/completions`. */
import { checkChat } from "./chatRules.js"
import { type JsonObject, objects, stringAt } from "./json.js"
import { type Endpoint, type ProviderServer, startLoopback } from "./loopback.js"
import { checkResponses } from "./openaiRules.js"
import { argumentsOf, pieces, type Refusal, type ReplyBlock, type Sent } from "./script.js"

const apiKey = "sk-loopback"
const createdAt = 1_750_000_000

const errorBody = ({ code, message, param, status }: Refusal): JsonObject => ({
  error: {
    message,
    type: status === 429 ? "requests" : status >= 500 ? "server_error" : "invalid_request_error",
    param: param ?? null,
    code: code ?? (status === 429 ? "rate_limit_exceeded" : null)
  }
})

const checkKey = ({ authorization }: { readonly authorization?: string | undefined }): Refusal | undefined => {
  if (authorization === undefined) {
    return {
      status: 401,
      message: "You didn't provide an API key. You need to provide your API key in an Authorization header using " +
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    }
  }
  return authorization === `Bearer ${apiKey}`
    ? undefined
    : { status: 401, message: "Incorrect API key provided.", code: "invalid_api_key" }
}

const makeResponses = (nextId: (prefix: string) => string): Endpoint => {
  const items = new Map<string, JsonObject>()
  const following = new Map<string, string>()
  const reasoning = new Map<string, string>()

  const outputItem = (block: Exclude<ReplyBlock, { readonly type: "hold" }>): JsonObject => {
    switch (block.type) {
      case "text":
        return {
          id: nextId("msg"),
          type: "message",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: block.text, annotations: [] }]
        }
      case "reasoning": {
        const id = nextId("rs")
        return {
          id,
          type: "reasoning",
          encrypted_content: `encrypted-${id}`,
          summary: block.text === "" ? [] : [{ type: "summary_text", text: block.text }]
        }
      }
      case "search":
      case "found":
        return {
          id: nextId("ws"),
          type: "web_search_call",
          status: "completed",
          action: { type: "search", query: block.type === "search" ? block.query : block.of }
        }
      case "call":
      case "rawCall":
        return {
          id: nextId("fc"),
          type: "function_call",
          call_id: nextId("call"),
          name: block.name,
          arguments: argumentsOf(block),
          status: "completed"
        }
    }
  }

  /** A stored item remembers what it came with: neither may be sent back without the other. */
  const store = (output: ReadonlyArray<JsonObject>) => {
    let last: string | undefined
    for (const [index, item] of output.entries()) {
      const id = stringAt(item, "id")
      items.set(id, item)
      const next = output[index + 1]
      if (item["type"] === "reasoning") {
        last = id
        if (next !== undefined) following.set(id, stringAt(next, "id"))
      } else if (last !== undefined) reasoning.set(id, last)
    }
  }

  const itemEvents = (item: JsonObject, output_index: number): ReadonlyArray<JsonObject> => {
    const item_id = stringAt(item, "id")
    const done = { type: "response.output_item.done", output_index, item }
    switch (item["type"]) {
      case "message": {
        const [part] = objects(item["content"])
        const whole = stringAt(part ?? {}, "text")
        const at = { item_id, output_index, content_index: 0 }
        const empty = { type: "output_text", text: "", annotations: [] }
        return [
          {
            type: "response.output_item.added",
            output_index,
            item: { ...item, status: "in_progress", content: [] }
          },
          { type: "response.content_part.added", ...at, part: empty },
          ...pieces(whole).map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [] })),
          { type: "response.output_text.done", ...at, text: whole, logprobs: [] },
          { type: "response.content_part.done", ...at, part: { ...empty, text: whole } },
          done
        ]
      }
      case "reasoning": {
        const summaries = objects(item["summary"]).map((part) => stringAt(part, "text"))
        return [
          { type: "response.output_item.added", output_index, item: { ...item, summary: [] } },
          ...summaries.flatMap((text, summary_index) => {
            const at = { item_id, output_index, summary_index }
            return [
              { type: "response.reasoning_summary_part.added", ...at, part: { type: "summary_text", text: "" } },
              ...pieces(text).map((delta) => ({ type: "response.reasoning_summary_text.delta", ...at, delta })),
              { type: "response.reasoning_summary_text.done", ...at, text },
              { type: "response.reasoning_summary_part.done", ...at, part: { type: "summary_text", text } }
            ]
          }),
          done
        ]
      }
      case "web_search_call":
        return [
          { type: "response.output_item.added", output_index, item: { ...item, status: "in_progress" } },
          { type: "response.web_search_call.completed", output_index, item_id },
          done
        ]
      default: {
        const json = stringAt(item, "arguments")
        const at = { item_id, output_index }
        return [
          {
            type: "response.output_item.added",
            output_index,
            item: { ...item, arguments: "", status: "in_progress" }
          },
          ...pieces(json).map((delta) => ({ type: "response.function_call_arguments.delta", ...at, delta })),
          { type: "response.function_call_arguments.done", ...at, arguments: json, name: item["name"] },
          done
        ]
      }
    }
  }

  return {
    check: (body) => checkResponses(body, { items, following, reasoning }),
    errorBody,
    render: (body, blocks, ending) => {
      const output: Array<JsonObject> = []
      const events: Array<JsonObject | "hold"> = []
      for (const block of blocks) {
        if (block.type === "hold") {
          events.push("hold")
          continue
        }
        const item = outputItem(block)
        events.push(...itemEvents(item, output.length))
        output.push(item)
      }
      const cut = output.at(-1)
      if (ending === "length" && cut?.["type"] === "function_call") {
        output.splice(-1, 1, { ...cut, status: "incomplete" })
      }
      store(output)
      const started = {
        id: nextId("resp"),
        object: "response",
        created_at: createdAt,
        status: "in_progress",
        error: null,
        incomplete_details: null,
        instructions: null,
        metadata: {},
        temperature: 1,
        top_p: 1,
        model: body["model"],
        output: [],
        parallel_tool_calls: true,
        tool_choice: "auto",
        tools: [],
        usage: null
      }
      const whole = {
        ...started,
        status: "completed",
        output,
        ...(ending === "length" ? { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } } : {}),
        // https://platform.openai.com/docs/api-reference/responses-streaming/response/failed
        ...(ending === "failed"
          ? { status: "failed", error: { code: "server_error", message: "The model failed to generate a response." } }
          : {}),
        usage: ending === "failed" ? null : {
          input_tokens: 12,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: 19
        }
      }
      const all: ReadonlyArray<JsonObject | "hold"> = [
        { type: "response.created", response: started },
        { type: "response.in_progress", response: started },
        // a heartbeat that is in no schema: a client must not stumble over it
        { type: "keepalive" },
        ...events
      ]
      const sent = (event: JsonObject, sequence_number: number): Sent => ({
        type: "event",
        name: stringAt(event, "type"),
        data: { ...event, sequence_number }
      })
      // https://github.com/zed-industries/zed/issues/57024: the fields of an error come flat and in an object
      const error: JsonObject = blocks.length % 2 === 1
        ? { type: "error", code: "server_error", message: "Overloaded.", param: null }
        : { type: "error", ...errorBody({ status: 500, message: "Overloaded.", code: "server_error" }) }
      return {
        whole: ending === "error" ? { failure: 500 } : whole,
        events: all.map((event, index) => event === "hold" ? { type: "hold" } : sent(event, index)),
        ending: [
          ending === "error" ? sent(error, all.length) : sent({
            type: ending === "length"
              ? "response.incomplete"
              : ending === "failed"
              ? "response.failed"
              : "response.completed",
            response: whole
          }, all.length)
        ]
      }
    }
  }
}

const makeChat = (nextId: (prefix: string) => string): Endpoint => ({
  check: checkChat,
  errorBody,
  render: (body, blocks, how) => {
    const common = { id: nextId("chatcmpl"), created: createdAt, model: body["model"] }
    const usage = { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 }
    const said = blocks.flatMap((block) => block.type === "text" ? [block.text] : []).join("")
    const calls: Array<JsonObject> = []
    const chunk = (delta: JsonObject, finish_reason: string | null = null): Sent => ({
      type: "event",
      name: undefined,
      data: { ...common, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] }
    })
    const events: Array<Sent> = [chunk({ role: "assistant", content: "" })]
    for (const block of blocks) {
      switch (block.type) {
        case "hold":
          events.push(block)
          break
        case "text":
          events.push(...pieces(block.text).map((content) => chunk({ content })))
          break
        case "call":
        case "rawCall": {
          const index = calls.length
          const id = nextId("call")
          const json = argumentsOf(block)
          calls.push({ id, type: "function", function: { name: block.name, arguments: json } })
          const begin = { index, id, type: "function", function: { name: block.name, arguments: "" } }
          events.push(chunk({ tool_calls: [begin] }))
          events.push(
            ...pieces(json).map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] }))
          )
          break
        }
        case "search":
        case "found":
        case "reasoning":
          // this API keeps it to itself
          break
      }
    }
    const finish_reason = how === "length" ? "length" : calls.length > 0 ? "tool_calls" : "stop"
    const ending: Array<Sent> = [
      how === "failed" || how === "error"
        ? { type: "event", name: undefined, data: errorBody({ status: 500, message: "Overloaded." }) }
        : chunk({}, finish_reason)
    ]
    if (objects([body["stream_options"]])[0]?.["include_usage"] === true) {
      ending.push({
        type: "event",
        name: undefined,
        data: { ...common, object: "chat.completion.chunk", choices: [], usage }
      })
    }
    ending.push({ type: "event", name: undefined, data: "[DONE]" })
    const message = {
      role: "assistant",
      content: said === "" && calls.length > 0 ? null : said,
      refusal: null,
      ...(calls.length > 0 ? { tool_calls: calls } : {})
    }
    return {
      whole: { ...common, object: "chat.completion", choices: [{ index: 0, message, finish_reason }], usage },
      events,
      ending
    }
  }
})

export const startOpenAi = (): Promise<ProviderServer> => {
  let ids = 0
  const nextId = (prefix: string) => {
    ids += 1
    return `${prefix}_${String(ids).padStart(8, "0")}`
  }
  return startLoopback({
    apiKey,
    checkKey,
    // github.com/crewAIInc/crewAI-examples/issues/121
    tooLong: {
      status: 400,
      message: "Your input exceeds the context window of this model. Please adjust your input and try again.",
      param: "input",
      code: "context_length_exceeded"
    },
    endpoints: { "/v1/responses": makeResponses(nextId), "/v1/chat/completions": makeChat(nextId) }
  })
}
