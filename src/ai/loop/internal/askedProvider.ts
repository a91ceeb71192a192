/** Which provider is asked, as far as its client says. */
import type * as AiError from "@effect/ai/AiError"
import { anthropic, isKnownClient, openAi } from "../../transcript/internal/providers.js"

/** The client that refused a prompt before anything was sent; it writes its name into the error. */
export const refusingClient = (error: AiError.AiError): string | undefined =>
  error._tag !== "MalformedInput"
    ? undefined
    : error.module.startsWith("OpenAi")
    ? openAi
    : error.module.startsWith("Anthropic")
    ? anthropic
    : undefined

/** Who made a reply: a name that the host gave, unless a client attached its own to the reply and knows better. */
export const maker = (named: string | undefined, attached: string | undefined): string | undefined =>
  named === undefined || isKnownClient(named) && isKnownClient(attached) ? attached ?? named : named
