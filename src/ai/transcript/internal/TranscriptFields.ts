/** What a transcript is made of. */
import { SessionId } from "../../../model/ids.js"
import { list, struct } from "../../../model/schemas.js"
import { TranscriptEntry } from "../TranscriptEntry.js"

export const TranscriptFields = struct({ sessionId: SessionId, entries: list(TranscriptEntry) })

export type TranscriptFields = typeof TranscriptFields.Type
