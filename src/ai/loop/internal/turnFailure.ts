/** The failure of a turn whose request to the model failed. */
import type * as AiError from "@effect/ai/AiError"
import { type ModelFailureReason, TurnFailure } from "../errors.js"
import { failureReason } from "./failureReason.js"
import { loggable } from "./loggable.js"

const messages: Readonly<Record<ModelFailureReason, string>> = {
  RateLimited: "The provider of the language model takes no more requests for now: its rate limit is reached",
  Overloaded: "The provider of the language model is overloaded",
  ServerError: "The provider of the language model failed",
  Timeout: "The language model did not answer in time",
  Network: "The provider of the language model could not be reached, or the connection broke",
  IncompleteReply: "The reply of the language model ended before it was finished",
  Authentication: "The provider of the language model refused the API key, or what it may do",
  QuotaExhausted:
    "The account at the provider of the language model has no credit left, or has reached its spending limit",
  ContextOverflow: "The conversation is too long for the language model",
  InvalidRequest: "The provider of the language model refused the request",
  InvalidReply: "The reply of the language model could not be read",
  Unknown: "The request to the language model failed"
}

/** The failure, with the words of this library alone: what the provider said may hold a key or the conversation. */
export const modelFailed = (error: AiError.AiError): TurnFailure => {
  const reason = failureReason(error)
  const status = error._tag === "HttpResponseError" ? ` (HTTP ${error.response.status})` : ""
  return new TurnFailure({ reason, message: `${messages[reason]}${status}.`, cause: loggable(error) })
}
