/** The ids of sessions, as they stand in rows. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isStorable } from "../../../durable/internal/checks.js"
import { SessionId } from "../../../model/ids.js"

const isId = Schema.is(SessionId)

/** Leaves out rows whose id somebody has damaged, with a warning: no session can be opened under one, and they hold up no other. */
export const readableIds = (
  rows: ReadonlyArray<{ readonly session_id?: unknown }>
): Effect.Effect<ReadonlyArray<SessionId>> => {
  const ids = rows.flatMap(({ session_id }) => isId(session_id) && isStorable(session_id) ? [session_id] : [])
  return ids.length === rows.length ? Effect.succeed(ids) : Effect.as(
    Effect.annotateLogs(Effect.logWarning("Stored sessions have ids that cannot be read, and are left out"), {
      package: "effect-task-manager",
      sessions: rows.length - ids.length
    }),
    ids
  )
}
