/** What kind of failure a request had: the errors of providers, as their documentation and their users show them. */
import { AiError } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Option } from "effect"
import type { ModelFailureReason } from "effect-task-manager/ai"
import { failureReason } from "../../../src/ai/loop/internal/failureReason.js"
import { incompleteReply, reported, stalled } from "../../../src/ai/loop/internal/modelErrors.js"

const request = {
  method: "POST" as const,
  url: "https://example.com/v1/messages",
  urlParams: [],
  hash: Option.none(),
  headers: {}
}
const shared = { module: "Provider", method: "streamText" }

const response = (status: number, body?: unknown, reason: "StatusCode" | "Decode" | "EmptyBody" = "StatusCode") =>
  new AiError.HttpResponseError({
    ...shared,
    reason,
    request,
    response: { status, headers: {} },
    ...(body === undefined ? {} : { body: JSON.stringify(body, null, 2) })
  })

const anthropic = (type: string, message = "…", details?: object) => ({
  type: "error",
  error: { type, message, ...(details === undefined ? {} : { details }) },
  request_id: "req_1"
})
const openAi = (type: string, code: string | null, message = "…") => ({ error: { message, type, param: null, code } })

const cases: ReadonlyArray<readonly [string, AiError.AiError, ModelFailureReason]> = [
  ["401", response(401, anthropic("authentication_error")), "Authentication"],
  ["401 of OpenAI", response(401, openAi("invalid_request_error", "invalid_api_key")), "Authentication"],
  ["403", response(403, anthropic("permission_error")), "Authentication"],
  ["402", response(402), "QuotaExhausted"],
  ["429 without credit", response(429, openAi("insufficient_quota", "insufficient_quota")), "QuotaExhausted"],
  [
    "429 at a spending limit",
    response(429, anthropic("rate_limit_error", "…", { error_code: "enforced_spend_limit_reached" })),
    "QuotaExhausted"
  ],
  [
    "400 without credit",
    response(400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")),
    "QuotaExhausted"
  ],
  ["429", response(429, openAi("requests", "rate_limit_exceeded")), "RateLimited"],
  ["429 of Anthropic", response(429, anthropic("rate_limit_error")), "RateLimited"],
  ["529", response(529, anthropic("overloaded_error", "Overloaded")), "Overloaded"],
  ["503", response(503), "Overloaded"],
  ["500", response(500, openAi("server_error", null)), "ServerError"],
  ["502 of a proxy", response(502, "<html>Bad Gateway</html>"), "ServerError"],
  ["500 whose body speaks of length", response(500, anthropic("api_error", "prompt is too long")), "ServerError"],
  ["504", response(504, anthropic("timeout_error")), "Timeout"],
  ["408", response(408), "Timeout"],
  ["409", response(409), "Timeout"],
  [
    "400: too long for Anthropic",
    response(400, anthropic("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum")),
    "ContextOverflow"
  ],
  [
    "400: no room for the reply",
    response(
      400,
      anthropic(
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens`"
      )
    ),
    "ContextOverflow"
  ],
  [
    "400: too long for OpenAI",
    response(400, openAi("invalid_request_error", "context_length_exceeded")),
    "ContextOverflow"
  ],
  ["413", response(413), "ContextOverflow"],
  [
    "400",
    response(400, anthropic("invalid_request_error", "messages: at least one message is required")),
    "InvalidRequest"
  ],
  ["404", response(404, openAi("invalid_request_error", "model_not_found")), "InvalidRequest"],
  ["422", response(422), "InvalidRequest"],
  ["a body that breaks off", response(200, undefined, "Decode"), "Network"],
  ["an empty body", response(200, undefined, "EmptyBody"), "Network"],
  ["no connection", new AiError.HttpRequestError({ ...shared, reason: "Transport", request }), "Network"],
  ["a wrong address", new AiError.HttpRequestError({ ...shared, reason: "InvalidUrl", request }), "InvalidRequest"],
  ["a request that cannot be sent", new AiError.MalformedInput({ ...shared }), "InvalidRequest"],
  ["a reply that is none", new AiError.MalformedOutput({ ...shared }), "InvalidReply"],
  ["an unknown error", new AiError.UnknownError({ ...shared }), "Unknown"],
  ["a foreign error", new AiError.UnknownError({ ...shared, cause: new Error("no luck") }), "Unknown"],
  [
    "a timeout of the host",
    new AiError.UnknownError({ ...shared, cause: new Cause.TimeoutException("too slow") }),
    "Timeout"
  ],
  [
    "an overload in a stream",
    reported("streamText", { type: "overloaded_error", message: "Overloaded" }),
    "Overloaded"
  ],
  [
    "a rate limit in a stream of OpenAI",
    reported("streamText", { type: "error", code: "rate_limit_exceeded", message: "…", sequence_number: 3 }),
    "RateLimited"
  ],
  ["a nested error in a stream", reported("streamText", openAi("insufficient_quota", null)), "QuotaExhausted"],
  [
    "an invalid request in a stream",
    reported("streamText", { type: "invalid_request_error", message: "…" }),
    "InvalidRequest"
  ],
  ["an error in a stream without a name", reported("streamText", "it broke"), "ServerError"],
  ["a reply that ends too early", incompleteReply("streamText", "…"), "IncompleteReply"],
  ["a stream that stalls", stalled("streamText", "…"), "Timeout"]
]

describe("the reason of a failed request", () => {
  for (const [name, error, reason] of cases) {
    it(`${name}: ${reason}`, () => {
      assert.strictEqual(failureReason(error), reason)
    })
  }

  it("is found where the client shows the body as a text, or in its description alone", () => {
    const body = anthropic("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum")
    assert.strictEqual(failureReason(response(400, JSON.stringify(body))), "ContextOverflow")
    const described = new AiError.HttpResponseError({
      ...shared,
      reason: "StatusCode",
      request,
      response: { status: 429, headers: {} },
      description: JSON.stringify(openAi("insufficient_quota", "insufficient_quota"))
    })
    assert.strictEqual(failureReason(described), "QuotaExhausted")
  })
})
