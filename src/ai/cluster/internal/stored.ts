/** What a cluster asks of the stored conversations, beside what a `TranscriptStore` does. Each statement is found by an index. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { dialectOf } from "../../../durable/internal/dialect.js"
import { isOpen, openTasks } from "../../../durable/internal/schema.js"
import type { SessionId } from "../../../model/ids.js"
import { readableIds } from "../../durable/internal/readableIds.js"

interface Row {
  readonly session_id: unknown
}

/** Where a parameter stands: `?` or `$1`. */
type Place = (index: number) => string
type Dialect = ReturnType<typeof dialectOf>

/** The statement for the open sessions of a journal that go on by themselves. */
const awakeQuery = (place: Place): string =>
  `select session_id from etm_sessions where manager = ${place(1)} and opened_as is not null and is_resting = 0`

/** The statement for the open sessions of a journal that have a live task, or are owed a result. */
const owedQuery = (place: Place, dialect: Dialect): string =>
  `select session_id from etm_sessions where manager = ${place(1)} and opened_as is not null and session_id in (
    select session_id from ${openTasks(dialect)} where manager = ${place(2)} and ${isOpen})`

/** The statement that finds a session, if it is open. */
const openSessionQuery = (place: Place): string =>
  `select session_id from etm_sessions where manager = ${place(1)} and session_id = ${place(2)}
    and opened_as is not null`

/** The statement that finds a task of a session which is live, or of which somebody is owed something. */
const openTaskQuery = (place: Place): string =>
  `select session_id from etm_tasks where manager = ${place(1)} and session_id = ${place(2)} and ${isOpen} limit 1`

/** The statement for the open sessions of a journal, the longest open first. */
const openSessionsQuery = (place: Place): string =>
  `select session_id from etm_sessions where manager = ${place(1)} and opened_as is not null order by opened_as`

export interface StoredSessions {
  /** The sessions that go on by themselves, or are owed something. */
  readonly toReopen: Effect.Effect<ReadonlyArray<SessionId>, SqlError>
  readonly isOpen: (sessionId: SessionId) => Effect.Effect<boolean, SqlError>
  /** Whether a task of the session is live, or somebody is owed something of one. */
  readonly hasOpenTasks: (sessionId: SessionId) => Effect.Effect<boolean, SqlError>
  readonly listOpen: Effect.Effect<ReadonlyArray<SessionId>, SqlError>
}

export const storedSessions = (journal: string): Effect.Effect<StoredSessions, never, SqlClient.SqlClient> =>
  Effect.map(SqlClient.SqlClient, (client) => {
    const sql = client.withoutTransforms()
    const dialect = dialectOf(sql)
    const place: Place = (index) => dialect === "pg" ? `$${index}` : "?"
    const find = (query: (place: Place, dialect: Dialect) => string, ...more: ReadonlyArray<string>) =>
      Effect.flatMap(sql.unsafe<Row>(query(place, dialect), [journal, ...more]), readableIds)
    return {
      toReopen: Effect.zipWith(
        find(awakeQuery),
        find(owedQuery, journal),
        (awake, owed) => [...new Set([...awake, ...owed])]
      ),
      isOpen: (sessionId) => Effect.map(find(openSessionQuery, sessionId), (found) => found.length > 0),
      hasOpenTasks: (sessionId) => Effect.map(find(openTaskQuery, sessionId), (found) => found.length > 0),
      listOpen: find(openSessionsQuery)
    }
  })
