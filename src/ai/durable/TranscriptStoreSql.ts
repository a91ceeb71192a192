/**
 * Conversations in the database of a durable task manager.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { checkCodec, refuseUnstorable } from "../../durable/internal/checks.js"
import { decodeWith, encodeWith } from "../../durable/internal/codecs.js"
import { Count } from "../../durable/internal/rows.js"
import type { JournalCodec } from "../../durable/JournalCodec.js"
import type { TaskJournal } from "../../durable/TaskJournal.js"
import type { JournalError } from "../../errors.js"
import type { SessionId } from "../../model/ids.js"
import { wholeMillisOf } from "../../shared/durations.js"
import { shown } from "../../shared/text.js"
import { TranscriptStoreError } from "../loop/errors.js"
import type { StoredMessage, TranscriptSessions } from "../loop/TranscriptStore.js"
import { TranscriptStore } from "../loop/TranscriptStore.js"
import { Transcript } from "../transcript/Transcript.js"
import { TranscriptEntry, UserPart } from "../transcript/TranscriptEntry.js"
import { type JournalTables, journalTables } from "./internal/JournalTables.js"
import { readableIds } from "./internal/readableIds.js"
import { sweepAgain } from "./internal/sweepAgain.js"

/**
 * How conversations are kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface TranscriptStoreSqlOptions {
  /**
   * Encrypts the entries and the messages that wait, as `codec` of `TaskManagerDurable.layer` does with tasks. Ids of sessions and
   * messages stay readable.
   */
  readonly codec?: JournalCodec | undefined
  /**
   * How long the conversation of a closed session stays, counted from when it was closed; by default for ever, until
   * `sessions.remove`. A number is milliseconds. Open sessions always stay. What is too old is removed every minute at least, by up to
   * 20 sessions in one transaction.
   */
  readonly retention?: Duration.DurationInput | undefined
}

/** The form in which entries and messages are written. */
const version = 1

/** How many rows one statement writes at most. */
const rowsAtOnce = 100

/** How many sessions one transaction removes. */
const sessionsAtOnce = 20

const SessionRow = Schema.Struct({ opened_as: Schema.NullOr(Count), is_resting: Count })
const TextRow = Schema.Struct({ number: Count, text: Schema.String, version: Count })
const MessageRow = Schema.Struct({ message_id: Schema.String, ...TextRow.fields })

const Entry = Schema.parseJson(TranscriptEntry)
const Content = Schema.parseJson(Schema.Array(UserPart))

/** What the store knows of a session that is open in this process. */
interface Known {
  nextEntry: number
  nextMessage: number
  isResting: boolean
}

const unavailable = (what: string) => (error: SqlError | JournalError | TranscriptStoreError): TranscriptStoreError =>
  error._tag === "TranscriptStoreError"
    ? error
    : new TranscriptStoreError({ message: `${what}.`, reason: "Unavailable", cause: error })

interface SqlSessions extends TranscriptSessions {
  /** Removes what was closed so long ago; returns once nothing of it is left. */
  readonly sweep: (millis: number) => Effect.Effect<void, TranscriptStoreError>
}

const make = (
  { name: manager, now, read: reading, sql, together }: JournalTables,
  codec: JournalCodec | undefined
): SqlSessions => {
  // what is about to be opened is not removed meanwhile
  const alone = Effect.unsafeMakeSemaphore(1).withPermits(1)
  const known = new Map<SessionId, Known>()

  const refused = (
    reason: NonNullable<TranscriptStoreError["reason"]>,
    sessionId: string,
    detail: string,
    cause?: unknown
  ) => new TranscriptStoreError({ message: `The transcript of session ${shown(sessionId)} ${detail}.`, reason, cause })

  const checkId = (sessionId: SessionId): Effect.Effect<void> =>
    Effect.sync(() => refuseUnstorable("A TranscriptStoreSql", "sessionId", sessionId))

  const encoded = (text: string): Effect.Effect<string, TranscriptStoreError> =>
    encodeWith(
      codec,
      text,
      (detail, cause) => new TranscriptStoreError({ message: `The codec ${detail}.`, reason: "Unavailable", cause })
    )

  /** A row of one of the tables; its error shows nothing of what stands there. */
  const decodeRow = <A, I>(schema: Schema.Schema<A, I>, row: unknown, sessionId: string, what: string) =>
    Effect.mapError(
      Schema.decodeUnknown(schema)(row),
      () => refused("Damaged", sessionId, `cannot be read: ${what} is damaged`)
    )

  const decoded = <A, I>(schema: Schema.Schema<A, I>, row: typeof TextRow.Type, sessionId: string, what: string) =>
    Effect.gen(function*() {
      if (row.version > version) {
        return yield* refused("Version", sessionId, `is of a later version: ${what} has version ${row.version}`)
      }
      const text = yield* Effect.mapError(
        decodeWith(codec, row.text),
        (cause) => refused("Damaged", sessionId, `cannot be decoded: ${what}`, cause)
      )
      return yield* decodeRow(schema, text, sessionId, what)
    })

  const entriesOf = (sessionId: SessionId) =>
    Effect.gen(function*() {
      const rows = yield* sql`select number, entry as text, version from etm_entries
        where manager = ${manager} and session_id = ${sessionId} order by number`
      return yield* Effect.forEach(rows, (found) => {
        const what = `entry ${String(found["number"])}`
        return Effect.gen(function*() {
          const row = yield* decodeRow(TextRow, found, sessionId, what)
          return { number: row.number, entry: yield* decoded(Entry, row, sessionId, what) }
        })
      })
    })

  const messagesOf = (sessionId: SessionId) =>
    Effect.gen(function*() {
      const rows = yield* sql`select message_id, number, message as text, version from etm_messages
        where manager = ${manager} and session_id = ${sessionId} order by number`
      return yield* Effect.forEach(rows, (found) => {
        const what = `message ${String(found["number"])}`
        return Effect.gen(function*() {
          const row = yield* decodeRow(MessageRow, found, sessionId, what)
          const content = yield* decoded(Content, row, sessionId, what)
          const message: StoredMessage = { messageId: row.message_id, content }
          return { number: row.number, message }
        })
      })
    })

  const sessionOf = (sessionId: SessionId) =>
    Effect.gen(function*() {
      const [found] = yield* sql`select opened_as, is_resting from etm_sessions
        where manager = ${manager} and session_id = ${sessionId}`
      if (found === undefined) return { opened_as: null, is_resting: 0 }
      return yield* decodeRow(SessionRow, found, sessionId, "its row")
    })

  const numberAfter = (all: ReadonlyArray<{ readonly number: number }>): number => (all.at(-1)?.number ?? 0) + 1

  const dropMessages = (sessionId: SessionId) =>
    sql`delete from etm_messages where manager = ${manager} and session_id = ${sessionId}`

  const open: TranscriptSessions["open"] = (sessionId) =>
    Effect.gen(function*() {
      yield* checkId(sessionId)
      // this manager alone writes here: what is read is not changed before it is counted as open
      const row = yield* reading(sessionOf(sessionId))
      const wasOpen = row.opened_as !== null
      const entries = yield* reading(entriesOf(sessionId))
      const messages = wasOpen ? yield* reading(messagesOf(sessionId)) : []
      if (!wasOpen) {
        yield* together(Effect.zipRight(
          sql`insert into etm_sessions (manager, session_id, opened_as, is_resting)
            select ${manager}, ${sessionId}, coalesce(max(opened_as), 0) + 1, 1 from etm_sessions where manager = ${manager}
            on conflict (manager, session_id) do update set opened_as = excluded.opened_as, is_resting = 1, closed_at = null`,
          dropMessages(sessionId)
        ))
      }
      // a conversation that is continued waits for its user
      const isResting = !wasOpen || row.is_resting !== 0
      known.set(sessionId, { nextEntry: numberAfter(entries), nextMessage: numberAfter(messages), isResting })
      return {
        entries: entries.map(({ entry }) => entry),
        messages: messages.map(({ message }) => message),
        wasOpen,
        isResting
      }
    }).pipe(alone, Effect.mapError(unavailable("The transcript could not be read")))

  const knownOf = (sessionId: SessionId): Effect.Effect<Known> =>
    Effect.sync(() => {
      const one = known.get(sessionId)
      if (one === undefined) throw new TypeError(`Session ${shown(sessionId)} is not open in this TranscriptStoreSql`)
      return one
    })

  const setResting = (sessionId: SessionId, isResting: boolean) =>
    sql`update etm_sessions set is_resting = ${isResting ? 1 : 0}
      where manager = ${manager} and session_id = ${sessionId}`

  /** Something goes on in the session, so it does after a restart. */
  const wake = (sessionId: SessionId, { isResting }: Known): Effect.Effect<void, SqlError> =>
    isResting ? Effect.asVoid(setResting(sessionId, false)) : Effect.void

  const commit: TranscriptSessions["commit"] = (sessionId, { entries, taken }) =>
    Effect.gen(function*() {
      const one = yield* knownOf(sessionId)
      // what comes before a rewrite is in it, as far as it still counts
      const first = Math.max(0, entries.map(({ _tag }) => _tag).lastIndexOf("Rewrite"))
      const rows = yield* Effect.forEach(entries.slice(first), (entry, index) =>
        Effect.map(
          Effect.flatMap(
            Effect.mapError(
              Schema.encode(Entry)(entry),
              (cause) => new TranscriptStoreError({ message: "An entry is not JSON.", cause })
            ),
            encoded
          ),
          (text) => ({
            manager,
            session_id: sessionId,
            number: one.nextEntry + first + index,
            entry: text,
            version
          })
        ))
      const batches = Array.from(
        { length: Math.ceil(rows.length / rowsAtOnce) },
        (_, index) => rows.slice(index * rowsAtOnce, (index + 1) * rowsAtOnce)
      )
      const messageIds = entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : [])
      const isRewritten = entries.some(({ _tag }) => _tag === "Rewrite")
      const isHosts = entries.every((entry) => entry._tag === "Rewrite" && entry.reason === "Host")
      yield* together(
        Effect.gen(function*() {
          // a commit of which nobody knows whether it was made is made again, under the same numbers
          for (const batch of batches) {
            yield* sql`insert into etm_entries ${sql.insert(batch)} on conflict (manager, session_id, number)
              do update set entry = excluded.entry, version = excluded.version`
          }
          if (isRewritten) {
            yield* sql`delete from etm_entries where manager = ${manager} and session_id = ${sessionId}
              and number < ${one.nextEntry + first}`
          }
          for (const messageId of messageIds) {
            yield* sql`delete from etm_messages where manager = ${manager} and session_id = ${sessionId}
              and message_id = ${messageId}`
          }
          // the host rewrites between turns
          yield* isHosts ? setResting(sessionId, true) : wake(sessionId, one)
        }),
        taken
      )
      one.nextEntry += entries.length
      one.isResting = isHosts
    }).pipe(Effect.mapError(unavailable("The transcript could not be written")), Effect.uninterruptible)

  const removeAll = (sessionIds: ReadonlyArray<string>) => {
    const these = sql`manager = ${manager} and ${sql.in("session_id", sessionIds)}`
    return Effect.zipRight(sql`delete from etm_entries where ${these}`, sql`delete from etm_sessions where ${these}`)
  }

  const sweep: SqlSessions["sweep"] = (millis) =>
    Effect.gen(function*() {
      const through = (yield* reading(now)) - millis
      const rows = yield* reading(sql`select session_id from etm_sessions where manager = ${manager}
        and closed_at <= ${through} order by closed_at limit ${sessionsAtOnce}`)
      // also one that is not an id any more
      const old = rows.flatMap(({ session_id }) => Predicate.isString(session_id) ? [session_id] : [])
      if (old.length > 0) yield* together(removeAll(old))
      return old.length < sessionsAtOnce
    }).pipe(
      alone,
      Effect.repeat({ until: (isDone) => isDone }),
      Effect.mapError(unavailable("Old transcripts could not be removed")),
      Effect.asVoid
    )

  return {
    sweep,
    listOpen: reading(sql`select session_id from etm_sessions where manager = ${manager} and opened_as is not null
      order by opened_as`).pipe(
      Effect.flatMap(readableIds),
      Effect.mapError(unavailable("The open sessions could not be read"))
    ),
    open,
    commit,
    keepMessage: (sessionId, { content, messageId }) =>
      Effect.gen(function*() {
        const one = yield* knownOf(sessionId)
        const number = one.nextMessage++
        const message = yield* Effect.flatMap(
          Effect.mapError(Schema.encode(Content)(content), (cause) =>
            new TranscriptStoreError({ message: "A message is not JSON.", cause })),
          encoded
        )
        const row = { manager, session_id: sessionId, message_id: messageId, number, message, version }
        yield* together(
          Effect.zipRight(
            sql`insert into etm_messages ${sql.insert(row)} on conflict (manager, session_id, message_id)
              do update set number = excluded.number, message = excluded.message, version = excluded.version`,
            wake(sessionId, one)
          )
        )
        one.isResting = false
      }).pipe(Effect.mapError(unavailable("The message could not be written")), Effect.uninterruptible),
    dropMessage: (sessionId, messageId) =>
      together(sql`delete from etm_messages where manager = ${manager} and session_id = ${sessionId}
        and message_id = ${messageId}`).pipe(
        Effect.mapError(unavailable("The message could not be dropped")),
        Effect.uninterruptible
      ),
    rest: (sessionId) =>
      Effect.gen(function*() {
        const one = yield* knownOf(sessionId)
        if (one.isResting) return
        yield* together(setResting(sessionId, true))
        one.isResting = true
      }).pipe(Effect.mapError(unavailable("The session could not be written")), Effect.uninterruptible),
    close: (sessionId) =>
      reading(now).pipe(
        Effect.flatMap((closedAt) =>
          together(Effect.zipRight(
            sql`update etm_sessions set opened_as = null, is_resting = 0, closed_at = ${closedAt}
              where manager = ${manager} and session_id = ${sessionId}`,
            dropMessages(sessionId)
          ))
        ),
        Effect.map(() => void known.delete(sessionId)),
        Effect.mapError(unavailable("The session could not be written")),
        Effect.uninterruptible
      ),
    read: (sessionId) =>
      Effect.zipRight(checkId(sessionId), reading(entriesOf(sessionId))).pipe(
        Effect.map((all) => Transcript.fromEntries(sessionId, all.map(({ entry }) => entry))),
        Effect.mapError(unavailable("The transcript could not be read"))
      ),
    remove: (sessionId) =>
      Effect.gen(function*() {
        yield* checkId(sessionId)
        const { opened_as } = yield* reading(sessionOf(sessionId))
        if (opened_as !== null) return yield* refused("Open", sessionId, "is not removed: the session is open")
        yield* together(removeAll([sessionId]))
      }).pipe(alone, Effect.mapError(unavailable("The transcript could not be removed")), Effect.uninterruptible)
  }
}

/**
 * Makes transcript stores whose sessions outlive their process: `TranscriptStore.layerSql`, in a module of its own, so that only who
 * uses it needs `@effect/sql`.
 *
 * @example
 * ```ts
 * import type * as SqlClient from "@effect/sql/SqlClient"
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Layer, Schema } from "effect"
 * import { AgentLoop, ToolkitExecutor } from "effect-task-manager/ai"
 * import { TranscriptStoreSql } from "effect-task-manager/ai/durable"
 * import { TaskManagerDurable } from "effect-task-manager/durable"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("greet", { parameters: { name: Schema.String }, success: Schema.String })
 * )
 * const Tools = ToolkitExecutor.layer(toolkit).pipe(
 *   Layer.provide(toolkit.toLayer({ greet: ({ name }) => Effect.succeed(`Hello, ${name}!`) }))
 * )
 *
 * const agentOn = (Sql: Layer.Layer<SqlClient.SqlClient>) =>
 *   AgentLoop.layer(toolkit).pipe(
 *     Layer.provide(TranscriptStoreSql.layer()),
 *     Layer.provide(TaskManagerDurable.layer({ name: "agent", shutdown: "keep" })),
 *     Layer.provide(Tools),
 *     Layer.provide(Sql)
 *   )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const TranscriptStoreSql = {
  /**
   * The store of the manager's journal, in the tables that `TaskManagerDurable` makes. What the loop takes from the manager and what
   * it writes are one transaction, also that the updates were taken: so over any number of crashes each result stands in its
   * transcript once. Dies on a client that is neither of SQLite nor of Postgres, and on options that are wrong.
   */
  layer: (
    options: TranscriptStoreSqlOptions = {}
  ): Layer.Layer<TranscriptStore, never, SqlClient.SqlClient | TaskJournal> =>
    Layer.scoped(
      TranscriptStore,
      Effect.gen(function*() {
        checkCodec("TranscriptStoreSqlOptions.codec", options.codec)
        const retention = wholeMillisOf("TranscriptStoreSqlOptions.retention", options.retention ?? Infinity)
        const sessions = make(yield* journalTables, options.codec)
        yield* sweepAgain(sessions.sweep(retention), retention)
        return {
          append: (sessionId, entry) => sessions.commit(sessionId, { entries: [entry], taken: [] }),
          sessions
        }
      })
    )
}
