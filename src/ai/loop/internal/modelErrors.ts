/**
 * The failures of a request that the loop itself finds: the client took it for a success, or never ended it. They are
 * `AiError`s, so that a schedule sees them as it sees those of the client.
 */
import * as AiError from "@effect/ai/AiError"
import * as Data from "effect/Data"

/** The cause of a failure that the loop found. */
export class FoundByLoop extends Data.TaggedError("FoundByLoop")<{
  readonly reason: "IncompleteReply" | "Timeout"
}> {}

const found = (method: string, reason: FoundByLoop["reason"], description: string): AiError.AiError =>
  new AiError.UnknownError({ module: "AgentLoop", method, description, cause: new FoundByLoop({ reason }) })

/** The reply ended before the provider said that it was finished. */
export const incompleteReply = (method: string, description: string): AiError.AiError =>
  found(method, "IncompleteReply", description)

/** Nothing came for so long that the connection is taken for dead. */
export const stalled = (method: string, description: string): AiError.AiError => found(method, "Timeout", description)

/** The provider said in the middle of its reply that it broke; `cause` is what it said. */
export const reported = (method: string, cause: unknown): AiError.AiError =>
  new AiError.UnknownError({
    module: "AgentLoop",
    method,
    description: "The provider reported an error in the middle of its reply",
    cause
  })
