/**
 * Replies of Anthropic's `/v1/messages`, as its client can read them.
 *
 * - https://docs.claude.com/en/docs/build-with-claude/streaming: the events, and that there may be new ones
 * - https://docs.claude.com/en/api/handling-stop-reasons: the reasons why a reply stops
 */
import * as Predicate from "effect/Predicate"
import { type Carrier, carry, carryPiece, carryText } from "./CarriedCall.js"
import type { Json, Protocol } from "./Protocol.js"

/** Those that the client knows; it fails for any other. */
const events: ReadonlySet<unknown> = new Set([
  "ping",
  "error",
  "message_start",
  "message_delta",
  "message_stop",
  "content_block_start",
  "content_block_delta",
  "content_block_stop"
])

const errors: ReadonlySet<unknown> = new Set([
  "invalid_request_error",
  "authentication_error",
  "permission_error",
  "not_found_error",
  "request_too_large",
  "rate_limit_error",
  "api_error",
  "overloaded_error"
])

/** Those of a status that its client knows: it takes any other body for a reply that it cannot read. */
const refusals: ReadonlySet<unknown> = new Set([
  "invalid_request_error",
  "authentication_error",
  "billing_error",
  "permission_error",
  "not_found_error",
  "rate_limit_error",
  "timeout_error",
  "api_error",
  "overloaded_error"
])

/** `getProviderDefinedToolName` of its client: a call of such a name becomes one of a tool that the provider brings along. */
const renamed: ReadonlySet<string> = new Set([
  "bash",
  "code_execution",
  "computer",
  "str_replace_based_edit_tool",
  "str_replace_editor",
  "web_search"
])

/** Whether the client gives calls of a tool of this name another name, though a program may have such a tool. */
export const isRenamed = (toolName: string): boolean => renamed.has(toolName)

// the client does not know it; to a reader it is the same
const stopReason = (reason: unknown): unknown => reason === "model_context_window_exceeded" ? "max_tokens" : reason

/** A call whose arguments come piece by piece. */
interface OpenCall {
  readonly after: string
  readonly input: unknown
  hasPieces: boolean
}

const piece = (index: unknown, partial_json: string): Json => ({
  type: "content_block_delta",
  index,
  delta: { type: "input_json_delta", partial_json }
})

const makeEvents = (carrier: Carrier) => {
  const open = new Map<unknown, OpenCall>()

  const begin = (event: Json, block: Json): ReadonlyArray<Json> => {
    const name = String(block["name"])
    const unknown = carrier.isKnown(name) ? undefined : name
    const { after, before } = carryText(unknown)
    open.set(event["index"], { after, input: block["input"], hasPieces: false })
    return [
      {
        ...event,
        content_block: { ...block, input: {}, ...(unknown === undefined ? {} : { name: carrier.toolName }) }
      },
      piece(event["index"], before)
    ]
  }

  const goOn = (event: Json, delta: Json, call: OpenCall): ReadonlyArray<Json> => {
    const json = delta["partial_json"]
    if (typeof json !== "string" || json === "") return [event]
    call.hasPieces = true
    return [piece(event["index"], carryPiece(json))]
  }

  const end = (event: Json, call: OpenCall): ReadonlyArray<Json> => {
    open.delete(event["index"])
    const whole = Predicate.isRecord(call.input) && Object.keys(call.input).length > 0 ? JSON.stringify(call.input) : ""
    return [
      ...(call.hasPieces ? [] : [piece(event["index"], carryPiece(whole))]),
      piece(event["index"], call.after),
      event
    ]
  }

  return (event: Json): ReadonlyArray<Json> => {
    const { content_block, delta, error, index, type } = event
    if (!events.has(type)) return []
    const call = open.get(index)
    if (type === "content_block_start" && Predicate.isRecord(content_block) && content_block["type"] === "tool_use") {
      return begin(event, content_block)
    }
    if (type === "content_block_delta" && call !== undefined && Predicate.isRecord(delta)) {
      return goOn(event, delta, call)
    }
    if (type === "content_block_stop" && call !== undefined) return end(event, call)
    if (type === "message_delta" && Predicate.isRecord(delta)) {
      return [{ ...event, delta: { ...delta, stop_reason: stopReason(delta["stop_reason"]) } }]
    }
    if (type === "error" && Predicate.isRecord(error) && !errors.has(error["type"])) {
      return [{ ...event, error: { ...error, type: "api_error" } }]
    }
    return [event]
  }
}

const block = (carrier: Carrier, given: unknown): unknown => {
  if (!Predicate.isRecord(given) || given["type"] !== "tool_use") return given
  const name = String(given["name"])
  const value = given["input"]
  return carrier.isKnown(name)
    ? { ...given, input: carry({ value }) }
    : { ...given, name: carrier.toolName, input: carry({ value, name }) }
}

export const anthropic: Protocol = {
  path: "/messages",
  whole: (carrier, reply) => {
    const { content, stop_reason } = reply
    return {
      ...reply,
      stop_reason: stopReason(stop_reason),
      ...(Array.isArray(content) ? { content: content.map((given: unknown) => block(carrier, given)) } : {})
    }
  },
  refused: (sent) => {
    const error = Predicate.isRecord(sent["error"]) ? sent["error"] : {}
    const { code, message, type } = error
    const said = typeof message === "string" ? message : JSON.stringify(sent)
    return refusals.has(type) && said === message
      ? { ...sent, type: "error" }
      // what it was called says more than its status does
      : { type: "error", error: { ...error, code: code ?? type, type: "api_error", message: said } }
  },
  events: makeEvents
}
