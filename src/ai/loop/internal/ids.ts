/** The ids that a transcript has used, so that a session which continues it makes different ones. */
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"

/** The number after the greatest one in ids like `turn-7`. */
const numberAfter = (prefix: string, ids: ReadonlyArray<string>): number => {
  let greatest = 0
  for (const id of ids) {
    const number = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : Number.NaN
    if (Number.isSafeInteger(number) && number > greatest) greatest = number
  }
  return greatest + 1
}

type Entries = ReadonlyArray<TranscriptEntry>

export const nextTurnNumber = (entries: Entries): number =>
  numberAfter("turn-", entries.flatMap((entry) => entry._tag === "AssistantMessage" ? [entry.turnId] : []))

export const nextMessageNumber = (entries: Entries): number =>
  numberAfter("message-", entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : []))
