/** The statements that write rows of tasks. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { JournalError } from "../../errors.js"
import type { Brings } from "../../machine/state/Undelivered.js"
import type { JournalGroup, JournalRow, StoredDelivery } from "../../services/Journal.js"
import { dialectOf } from "./dialect.js"
import { serverMillis } from "./schema.js"
import type { Tables } from "./tables.js"

/** The rows of a group, and whose they are. */
interface RowsOf {
  readonly tables: Tables
  readonly group: Pick<JournalGroup, "rows">
}

/** Writes rows of journals, each of another one, within a transaction. */
export interface WriteRows {
  (rows: ReadonlyArray<RowsOf>): Effect.Effect<void, SqlError | JournalError>
}

/** A row with its texts as they are stored. */
export interface TextsOf {
  readonly name: string
  readonly row: JournalRow
  readonly request: string
  readonly doc: string
}

const columnTypes = {
  manager: "text",
  number: "bigint",
  id: "text",
  session_id: "text",
  turn_id: "text",
  status: "text",
  settled: "bigint",
  result: "bigint",
  approval: "bigint",
  detached: "bigint",
  request: "text",
  doc: "text",
  version: "bigint"
}
const columns = Object.keys(columnTypes)

const insertInto = `insert into etm_tasks (${columns.join(", ")}, settled_at)`

const asStored = -1
const kept = (column: Brings): string =>
  `${column} = case excluded.${column} when ${asStored} then etm_tasks.${column} else excluded.${column} end`

const onConflict = `on conflict (manager, number) do update set status = excluded.status, settled = excluded.settled,
  ${kept("result")}, ${kept("approval")}, ${kept("detached")}, doc = excluded.doc, version = excluded.version,
  settled_at = coalesce(etm_tasks.settled_at, excluded.settled_at)`

const stored = (delivery: StoredDelivery): number | null => delivery === "AsStored" ? asStored : delivery

/** The texts of rows, encoded. */
export const textsOf = (rows: ReadonlyArray<RowsOf>): Effect.Effect<ReadonlyArray<TextsOf>, JournalError> =>
  Effect.gen(function*() {
    const all: Array<TextsOf> = []
    for (const { group, tables: { encode, isEncoded, name } } of rows) {
      for (const row of group.rows) {
        const request = row.request ?? ""
        all.push(
          // without a codec there is nothing to wait for, and an effect for each row is not cheap
          isEncoded
            ? {
              name,
              row,
              request: row.request === null ? request : yield* encode(request),
              doc: yield* encode(row.doc)
            }
            : { name, row, request, doc: row.doc }
        )
      }
    }
    return all
  })

/** How many rows one statement of SQLite writes: a few sizes, so that a few statements are prepared. */
const batchSizes = [64, 8, 1] as const

const sqliteWriter = (sql: SqlClient.SqlClient): WriteRows => {
  const places = `(${Array.from({ length: columns.length + 1 }, () => "?").join(", ")})`
  const statements = batchSizes.map((size) => ({
    size,
    text: `${insertInto} values ${Array.from({ length: size }, () => places).join(", ")} ${onConflict}`
  }))
  const paramsOf = (texts: ReadonlyArray<TextsOf>, now: number): ReadonlyArray<string | number | null> => {
    const params: Array<string | number | null> = []
    for (const { doc, name, request, row } of texts) {
      params.push(
        name,
        row.number,
        row.taskId,
        row.sessionId,
        row.turnId,
        row.status,
        row.settled,
        stored(row.result),
        stored(row.approval),
        stored(row.detached),
        request,
        doc,
        row.version,
        row.settled === null ? null : now
      )
    }
    return params
  }
  return (rows) =>
    Effect.gen(function*() {
      const texts = yield* textsOf(rows)
      const now = yield* Clock.currentTimeMillis
      let at = 0
      for (const { size, text } of statements) {
        for (; texts.length - at >= size; at += size) {
          yield* sql.unsafe(text, paramsOf(texts.slice(at, at + size), now))
        }
      }
    })
}

/** A statement of Postgres ends with the row that reaches so many characters: a parameter has a gigabyte at most. */
const charactersAtOnce = 4_000_000

/** Whether one statement of Postgres takes these rows together. */
export const isOneStatement = (rows: ReadonlyArray<Pick<RowsOf, "group">>): boolean => {
  let characters = 0
  for (const { group } of rows) {
    for (const { doc, request } of group.rows) characters += doc.length + (request?.length ?? 0)
  }
  return characters < charactersAtOnce
}

/** Rows, as many together as one statement takes. */
const chunksOf = (texts: ReadonlyArray<TextsOf>): ReadonlyArray<ReadonlyArray<TextsOf>> => {
  const chunks: Array<Array<TextsOf>> = []
  let characters = charactersAtOnce
  for (const one of texts) {
    if (characters >= charactersAtOnce) {
      chunks.push([])
      characters = 0
    }
    chunks.at(-1)?.push(one)
    characters += one.request.length + one.doc.length
  }
  return chunks
}

/**
 * Inserts the rows that stand as JSON at a place, or replaces them. As JSON: a parameter for each value takes the client twice as long.
 * Unlike `VALUES`, the statement is the same for any number of rows. When rows settled is told by the clock of the rows.
 */
export const insertGiven = (place: string, where = ""): string =>
  `${insertInto}
    select ${columns.join(", ")}, case when settled is null then null else ${serverMillis} end
    from json_to_recordset(cast(${place} as json)) as given(${
    Object.entries(columnTypes).map(([column, type]) => `${column} ${type}`).join(", ")
  }) ${where} ${onConflict}`

/** What `insertGiven` is given. */
export const givenOf = (texts: ReadonlyArray<TextsOf>): string => {
  const given = ({ doc, name, request, row }: TextsOf): { readonly [Column in keyof typeof columnTypes]: unknown } => ({
    manager: name,
    number: row.number,
    id: row.taskId,
    session_id: row.sessionId,
    turn_id: row.turnId,
    status: row.status,
    settled: row.settled,
    result: stored(row.result),
    approval: stored(row.approval),
    detached: stored(row.detached),
    request,
    doc,
    version: row.version
  })
  return JSON.stringify(texts.map(given))
}

const postgresWriter = (sql: SqlClient.SqlClient): WriteRows => {
  const text = insertGiven("$1")
  return (rows) =>
    Effect.flatMap(
      textsOf(rows),
      (texts) => Effect.forEach(chunksOf(texts), (chunk) => sql.unsafe(text, [givenOf(chunk)]), { discard: true })
    )
}

export const rowsWriter = (sql: SqlClient.SqlClient): WriteRows =>
  dialectOf(sql) === "pg" ? postgresWriter(sql) : sqliteWriter(sql)
