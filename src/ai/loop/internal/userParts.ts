/** What a user says, as a message has it. */
import type { UserPart } from "../../transcript/TranscriptEntry.js"
import type { UserInput } from "../AgentSession.js"

export const userParts = (input: UserInput): ReadonlyArray<UserPart> =>
  typeof input === "string" ? [{ _tag: "Text", text: input }] : input
