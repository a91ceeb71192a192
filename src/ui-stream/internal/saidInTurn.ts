import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { TurnId } from "../../model/ids.js"

/** What a transcript has of the message that a running turn makes, and the message of the user that stands before it. */
export const saidInTurn = (
  entries: ReadonlyArray<TranscriptEntry>,
  turnId: TurnId
): { readonly userMessageId: string | undefined; readonly said: ReadonlyArray<TranscriptEntry> } => {
  let userMessageId: string | undefined
  let said: Array<TranscriptEntry> = []
  for (const entry of entries) {
    if (entry._tag === "UserMessage") {
      userMessageId = entry.messageId
      said = []
    } else if (said.length > 0 || entry._tag === "AssistantMessage" && entry.turnId === turnId) said.push(entry)
  }
  return { userMessageId, said }
}
