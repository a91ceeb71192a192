/** What a log may show of a failed model call: loggers print the message of a cause, and some print all of its fields. */
import * as AiError from "@effect/ai/AiError"
import * as Option from "effect/Option"
import { printable } from "../../../shared/text.js"

// a query, a fragment and what stands before the host may be a key
const withoutSecrets = (url: string): string =>
  url.replace(/[?#].*$/su, "").replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/\\]*@/iu, "$1")

const requestOf = (
  { method, url }: typeof AiError.HttpRequestDetails.Type
): typeof AiError.HttpRequestDetails.Type => ({
  method,
  url: withoutSecrets(url),
  urlParams: [],
  hash: Option.none(),
  headers: {}
})

const firstLine = (description: string | undefined): { readonly description?: string } =>
  description === undefined ? {} : { description: printable(description.split("\n", 1)[0] ?? "") }

/** The modules whose descriptions are our own words. */
const ours: ReadonlySet<string> = new Set(["AgentLoop", "TestLanguageModel"])

/**
 * Clients put what they received into the descriptions of errors. Those of `MalformedInput` are written before anything is
 * sent; what was given to the client is on the lines after the first.
 */
const describe = ({ _tag, description, module }: AiError.AiError): { readonly description?: string } =>
  _tag === "MalformedInput" || ours.has(module) ? firstLine(description) : {}

/**
 * The error of the same kind, without headers, query and body of the request, without body and headers of the response,
 * and without what caused it, which has them all.
 */
export const loggable = (error: AiError.AiError): AiError.AiError => {
  const { method, module } = error
  const base = { module, method, ...describe(error) }
  switch (error._tag) {
    case "HttpRequestError":
      return new AiError.HttpRequestError({ ...base, reason: error.reason, request: requestOf(error.request) }, true)
    case "HttpResponseError":
      return new AiError.HttpResponseError({
        ...base,
        reason: error.reason,
        request: requestOf(error.request),
        response: { status: error.response.status, headers: {} }
      }, true)
    case "MalformedInput":
      return new AiError.MalformedInput(base, true)
    case "MalformedOutput":
      return new AiError.MalformedOutput(base, true)
    case "UnknownError":
      return new AiError.UnknownError(base, true)
  }
}
