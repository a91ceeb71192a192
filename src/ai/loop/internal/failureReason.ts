/**
 * What kind of failure a request to a model had, in one function.
 *
 * What providers say, and how their own clients read it:
 * - https://docs.claude.com/en/api/errors: statuses and types; an error can also come in a stream, after status 200
 * - https://learn.microsoft.com/en-us/microsoft-cloud/dev/dev-proxy/concepts/anthropic-529-overloaded-error: a 429 with
 *   `error.details.error_code` `enforced_spend_limit_reached` is a spending limit
 * - https://platform.openai.com/docs/guides/error-codes: statuses and codes; a 429 with `insufficient_quota` does not pass
 * - https://github.com/openai/openai-node/blob/master/src/client.ts (`shouldRetry`): 409 is a lock that timed out
 * - https://github.com/crewAIInc/crewAI-examples/issues/121: `context_length_exceeded`
 * - https://github.com/anthropics/claude-code/issues/12186: `prompt is too long` is an `invalid_request_error`
 * - https://github.com/badlogic/pi-mono/blob/main/packages/ai/src/utils/overflow.ts: the words of other providers
 */
import type * as AiError from "@effect/ai/AiError"
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"
import type { ModelFailureReason } from "../errors.js"
import { FoundByLoop } from "./modelErrors.js"

/** What a provider said about its error, as far as it could be found. */
interface Said {
  /** The values of `type`, `code` and `error_code`. */
  readonly codes: ReadonlyArray<string>
  /** Everything it said, to be searched. */
  readonly text: string
}

/** Codes that say more than the status they come with; of two, the one that stands first here says more. */
const preciseCodes: ReadonlyMap<string, ModelFailureReason> = new Map([
  ["context_length_exceeded", "ContextOverflow"],
  ["request_too_large", "ContextOverflow"],
  ["insufficient_quota", "QuotaExhausted"],
  ["billing_error", "QuotaExhausted"],
  ["billing_hard_limit_reached", "QuotaExhausted"],
  ["billing_not_active", "QuotaExhausted"],
  ["credit_balance_exhausted", "QuotaExhausted"],
  ["enforced_spend_limit_reached", "QuotaExhausted"],
  ["organization_spend_limit_exceeded", "QuotaExhausted"],
  ["organization_usage_limit_exceeded", "QuotaExhausted"],
  ["project_spend_limit_exceeded", "QuotaExhausted"],
  ["authentication_error", "Authentication"],
  ["invalid_api_key", "Authentication"],
  ["permission_error", "Authentication"],
  ["rate_limit_error", "RateLimited"],
  ["rate_limit_exceeded", "RateLimited"],
  ["overloaded_error", "Overloaded"],
  ["server_is_overloaded", "Overloaded"],
  ["timeout_error", "Timeout"]
])

/** Codes that count where there is no status: in a stream. */
const generalCodes: ReadonlyMap<string, ModelFailureReason> = new Map([
  ["slow_down", "RateLimited"],
  ["service_unavailable_error", "Overloaded"],
  ["invalid_request_error", "InvalidRequest"],
  ["invalid_prompt", "InvalidRequest"],
  ["not_found_error", "InvalidRequest"],
  ["model_not_found", "InvalidRequest"]
])

const tooLong =
  /prompt is too long|exceed context limit|exceeds the context window|maximum context length|maximum prompt length is|input is too long for|input token count.*exceeds the maximum|reduce the length of the messages|exceeds the available context size|greater than the context length|context window exceeds limit|context length exceeded|request too large for/iu

const noCredit = /credit balance is too low|exceeded your current quota/iu

const firstOf = (
  codes: ReadonlyArray<string>,
  known: ReadonlyMap<string, ModelFailureReason>
): ModelFailureReason | undefined => {
  for (const [code, reason] of known) if (codes.includes(code)) return reason
  return undefined
}

const codeFields = ["code", "error_code", "type"] as const

/** The codes of an error object, and of the ones inside it: `{ error: { type, details: { error_code } } }`. */
const codesOf = (value: unknown, depth = 0): ReadonlyArray<string> => {
  if (!Predicate.isRecord(value) || depth > 3) return []
  const own = codeFields.flatMap((field) => {
    const code = value[field]
    return typeof code === "string" ? [code] : []
  })
  return [...own, ...codesOf(value["error"], depth + 1), ...codesOf(value["details"], depth + 1)]
}

/** JSON, also as the text of a text, which is how a client shows a body that was not declared as JSON. */
const parsed = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "string" ? parsed(value) : value
  } catch {
    return undefined
  }
}

const saidIn = (...texts: ReadonlyArray<string | undefined>): Said => {
  const given = texts.filter((text) => text !== undefined)
  return { codes: given.flatMap((text) => codesOf(parsed(text))), text: given.join("\n") }
}

const saidBy = (value: unknown): Said => {
  if (typeof value === "string") return saidIn(value)
  const message = Predicate.hasProperty(value, "message") ? value.message : undefined
  const inner = Predicate.hasProperty(value, "error") && Predicate.hasProperty(value.error, "message")
    ? value.error.message
    : undefined
  return {
    codes: codesOf(value),
    text: [message, inner].filter((text) => typeof text === "string").join("\n")
  }
}

const preciseReason = ({ codes, text }: Said): ModelFailureReason | undefined =>
  tooLong.test(text)
    ? "ContextOverflow"
    : noCredit.test(text)
    ? "QuotaExhausted"
    : firstOf(codes, preciseCodes)

const reasonOfStatus = (status: number): ModelFailureReason => {
  switch (status) {
    case 401:
    case 403:
      return "Authentication"
    case 402:
      return "QuotaExhausted"
    case 408:
    // a lock that timed out
    case 409:
    case 504:
      return "Timeout"
    case 413:
      return "ContextOverflow"
    case 429:
      return "RateLimited"
    case 503:
    case 529:
      return "Overloaded"
    default:
      return status >= 500 ? "ServerError" : "InvalidRequest"
  }
}

/** Decides what kind of failure it is. */
export const failureReason = (error: AiError.AiError): ModelFailureReason => {
  switch (error._tag) {
    case "HttpRequestError":
      return error.reason === "Transport" ? "Network" : "InvalidRequest"
    case "HttpResponseError": {
      const { status } = error.response
      // a reply that began well and could not be read to its end
      if (status < 300) return "Network"
      const said = saidIn(error.body, error.description)
      // whatever the body of a broken server says, it says nothing of the request
      return (status < 500 ? preciseReason(said) : undefined) ?? reasonOfStatus(status)
    }
    case "MalformedInput":
      return "InvalidRequest"
    case "MalformedOutput":
      return "InvalidReply"
    case "UnknownError": {
      const { cause } = error
      if (cause instanceof FoundByLoop) return cause.reason
      if (Cause.isTimeoutException(cause)) return "Timeout"
      if (cause === undefined) return "Unknown"
      const said = saidBy(cause)
      // an error that a provider reports and does not name is its own
      return preciseReason(said) ?? firstOf(said.codes, generalCodes) ??
        (error.module === "AgentLoop" ? "ServerError" : "Unknown")
    }
  }
}
