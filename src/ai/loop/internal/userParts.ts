/** What a user says, as a message has it. */
import * as Schema from "effect/Schema"
import { refuseUnless } from "../../../shared/refusals.js"
import { UserPart } from "../../transcript/TranscriptEntry.js"
import type { UserInput } from "../AgentSession.js"

const isUserPart = Schema.is(UserPart)

/** A copy: what the caller does with the parts later does not change the message. Throws for what is no input of a user. */
export const userParts = (input: UserInput): ReadonlyArray<UserPart> => {
  if (typeof input === "string") return [{ _tag: "Text", text: input }]
  const isInput = Array.isArray(input) && input.every((part) => isUserPart(part))
  refuseUnless(isInput, "AgentSession", "a text, or a list of UserPart, as a message", input)
  return input.map((part) => ({ ...part }))
}
