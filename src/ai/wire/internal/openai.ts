/**
 * Replies of OpenAI's `/v1/responses`, as its client can read them: it takes a response that failed for one that has ended.
 *
 * - https://platform.openai.com/docs/api-reference/responses-streaming: the events
 * - https://github.com/zed-industries/zed/issues/57024: an error whose fields are in an object `error`
 */
import * as Predicate from "effect/Predicate"
import { type Carrier, carry } from "./CarriedCall.js"
import type { Json, Protocol } from "./Protocol.js"

const item = (carrier: Carrier, given: Json): Json => {
  const name = String(given["name"])
  const { arguments: sent } = given
  const text = typeof sent === "string" ? sent : sent === undefined || sent === null ? "" : JSON.stringify(sent)
  return carrier.isKnown(name)
    ? { ...given, arguments: JSON.stringify(carry({ text })) }
    : { ...given, name: carrier.toolName, arguments: JSON.stringify(carry({ text, name })) }
}

const isCall = (given: unknown): given is Json => Predicate.isRecord(given) && given["type"] === "function_call"

const errorOf = (response: unknown): Json => {
  const error = Predicate.isRecord(response) ? response["error"] : undefined
  return Predicate.isRecord(error) ? error : {}
}

/** As an event that the client reads. */
const errorEvent = ({ sequence_number }: Json, { code, message, type }: Json): Json => ({
  type: "error",
  sequence_number: typeof sequence_number === "number" ? sequence_number : 0,
  code: typeof code === "string" ? code : typeof type === "string" ? type : null,
  message: typeof message === "string" ? message : "",
  param: null
})

/** The client takes a response that is incomplete for a reason it does not know, or for none, for one that has ended. */
const withReason = (response: Json): Json => {
  const { incomplete_details: details, status } = response
  const reason = Predicate.isRecord(details) ? details["reason"] : undefined
  return status !== "incomplete" || reason === "content_filter"
    ? response
    : { ...response, incomplete_details: { reason: "max_output_tokens" } }
}

/** What a response is that will not go on and has not ended. */
const unfinished: ReadonlySet<unknown> = new Set(["failed", "cancelled", "in_progress", "queued"])

export const openAi: Protocol = {
  path: "/responses",
  whole: (carrier, sent) => {
    const reply = withReason(sent)
    const { output } = reply
    return Array.isArray(output)
      ? { ...reply, output: output.map((given: unknown) => isCall(given) ? item(carrier, given) : given) }
      : reply
  },
  failed: (reply) => unfinished.has(reply["status"]) ? errorOf(reply) : undefined,
  events: (carrier) => (event) => {
    const { error, item: given, response, type } = event
    switch (type) {
      case "response.output_item.added":
        return [
          isCall(given) && !carrier.isKnown(String(given["name"]))
            ? { ...event, item: { ...given, name: carrier.toolName } }
            : event
        ]
      case "response.output_item.done":
        return [isCall(given) ? { ...event, item: item(carrier, given) } : event]
      case "response.incomplete":
        return [
          Predicate.isRecord(response)
            ? { ...event, response: withReason({ ...response, status: "incomplete" }) }
            : event
        ]
      case "response.failed":
        return [errorEvent(event, errorOf(response))]
      case "error":
        return [Predicate.isRecord(error) ? errorEvent(event, error) : event]
      default:
        return [event]
    }
  }
}
