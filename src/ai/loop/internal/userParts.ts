/** What a user says, as a message has it. */
import * as Schema from "effect/Schema"
import { refuseUnless } from "../../../shared/refusals.js"
import { wellFormedText } from "../../../shared/wellFormed.js"
import { UserPart } from "../../transcript/TranscriptEntry.js"
import type { UserInput } from "../AgentSession.js"

const isUserPart = Schema.is(UserPart)

const textPart = (text: string): UserPart => ({ _tag: "Text", text: wellFormedText(text) })

const copyOf = (part: UserPart): UserPart =>
  part._tag === "Text" ? textPart(part.text) : {
    _tag: "File",
    mediaType: wellFormedText(part.mediaType),
    data: wellFormedText(part.data),
    ...(part.fileName === undefined ? undefined : { fileName: wellFormedText(part.fileName) })
  }

/**
 * A copy: what the caller does with the parts later does not change the message. U+FFFD is in the place of each half of a character: a
 * wire would make several of it. Throws for what is no input of a user.
 */
export const userParts = (input: UserInput): ReadonlyArray<UserPart> => {
  if (typeof input === "string") return [textPart(input)]
  const isInput = Array.isArray(input) && input.every((part) => isUserPart(part))
  refuseUnless(isInput, "AgentSession", "a text, or a list of UserPart, as a message", input)
  return input.map(copyOf)
}
