/** Rows as the database gives them, read into tasks. Nothing in them is trusted. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { JournalError } from "../../errors.js"
import type { StoredTask } from "../../machine/restore.js"
import { storedTask } from "../../runtime/journal/taskRows.js"
import { inputText } from "../../shared/inputText.js"
import type { Row, Tables } from "./tables.js"

// integers that a client may give as text, or as BigInt
export const Integer = Schema.transform(
  Schema.Union(Schema.Number, Schema.String, Schema.BigIntFromSelf),
  Schema.Number,
  { strict: true, decode: Number, encode: (value) => value }
)
export const Count = Integer.pipe(Schema.int(), Schema.nonNegative())

const TaskRow = Schema.Struct({
  number: Count,
  id: Schema.String,
  session_id: Schema.String,
  turn_id: Schema.String,
  status: Schema.String,
  settled: Schema.NullOr(Count),
  result: Schema.NullOr(Count),
  approval: Schema.NullOr(Count),
  detached: Schema.NullOr(Count),
  request: Schema.String,
  doc: Schema.String,
  version: Count
})

/** The columns that a task is read from, and whether it is set aside. */
export const taskColumns = [...Object.keys(TaskRow.fields), "damaged"].join(", ")

/** A row of another table, or what is wrong with it. */
export const decodeRow = <A, I>(
  tables: Tables,
  schema: Schema.Schema<A, I>,
  row: unknown,
  what: string
): Effect.Effect<A, JournalError> =>
  Effect.mapError(Schema.decodeUnknown(schema)(row), () => tables.fail("Damaged", `has a damaged row: ${what}`))

/** How a row is named: by nothing that may be a secret. */
export const nameOfRow = (row: Row): string => `task ${JSON.stringify(row["id"])}, row ${String(row["number"])}`

/** Reads the row of a task. Fails with `Damaged`, or with `Version` for what a later version has written. */
export const readTask = (tables: Tables, found: Row): Effect.Effect<StoredTask, JournalError> =>
  Effect.gen(function*() {
    const what = nameOfRow(found)
    const row = yield* decodeRow(tables, TaskRow, found, what)
    const task = storedTask({
      number: row.number,
      taskId: row.id,
      sessionId: row.session_id,
      turnId: row.turn_id,
      status: row.status,
      settled: row.settled,
      result: row.result,
      approval: row.approval,
      detached: row.detached,
      request: yield* tables.decode(row.request, what),
      doc: yield* tables.decode(row.doc, what),
      version: row.version
    })
    return yield* Either.mapLeft(
      task,
      ({ detail, reason }) => tables.fail(reason, `cannot be read: ${detail} (${what})`)
    )
  })

/** What a task was called with, as JSON text, where its row is there and has it. */
export const inputOfStored = (stored: Option.Option<StoredTask>): string | undefined => {
  const task = Option.getOrUndefined(stored)
  return task === undefined || task.isInputLost ? undefined : inputText(task.request.input)
}
