/**
 * The ids of a session. Numbers continue where its transcript ends. But a log may hold more than the transcript that it is opened
 * with: what a store wrote and then failed with. So messages and replies also bear the mark of this opening, which no other
 * has: a log that drops what it has already never drops what a user says.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { TurnId } from "../../../model/ids.js"
import { randomToken } from "../../../shared/randomToken.js"
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"

/** The number after the greatest one in ids like `turn-7` and `message-7-1f0c22aa`. */
const numberAfter = (prefix: string, ids: ReadonlyArray<string>): number => {
  let greatest = 0
  for (const id of ids) {
    const [digits = ""] = id.startsWith(prefix) ? id.slice(prefix.length).split("-") : []
    const number = digits === "" ? Number.NaN : Number(digits)
    if (Number.isSafeInteger(number) && number > greatest) greatest = number
  }
  return greatest + 1
}

type Entries = ReadonlyArray<TranscriptEntry>

export interface SessionIds {
  readonly firstTurn: number
  /** A new id with each call. */
  readonly nextMessage: () => string
  readonly nextReply: (turnId: TurnId) => string
}

/** Internal, so that the traces of the simulator stay the same. */
export class OpeningMarks extends Context.Reference<OpeningMarks>()(
  "effect-task-manager/ai/loop/internal/ids/OpeningMarks",
  { defaultValue: () => () => randomToken().slice(0, 8) }
) {}

/** For one opening of a session. `turnIds` are those that the manager knows: a conversation that was shortened does not have them. */
export const makeSessionIds = (entries: Entries, turnIds: ReadonlyArray<TurnId>): Effect.Effect<SessionIds> =>
  Effect.map(OpeningMarks, (newMark) => {
    const mark = newMark()
    let message = numberAfter(
      "message-",
      entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : [])
    )
    let reply = 0
    return {
      firstTurn: numberAfter(
        "turn-",
        [...turnIds, ...entries.flatMap((entry) => entry._tag === "AssistantMessage" ? [entry.turnId] : [])]
      ),
      nextMessage: () => `message-${message++}-${mark}`,
      nextReply: (turnId) => `${turnId}/${++reply}-${mark}`
    }
  })
