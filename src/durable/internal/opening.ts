/** What a manager begins with: every task that is live or owed to somebody, and the newest that have settled. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { JournalError } from "../../errors.js"
import { settledMemory } from "../../machine/history.js"
import { settledStatusesOf } from "../../machine/queries.js"
import type { StoredTask } from "../../machine/restore.js"
import { readOutput } from "./outputRows.js"
import { nameOfRow, readTask } from "./rows.js"
import type { SettledRows } from "./settledRows.js"
import type { SqlJournal } from "./SqlJournal.js"
import type { Row, Tables } from "./tables.js"

/** How many settled tasks are looked at before it is asked whether they are enough. */
const atOnce = 64

interface Opening {
  readonly store: SqlJournal
  readonly settled: SettledRows
  readonly onDamaged: "fail" | "setAside"
  /** How many settled tasks memory keeps, and how many bytes of them. */
  readonly historyLimit: number
  readonly historyBytes: number
  /** How many bytes of the output of one task memory keeps. */
  readonly outputBuffer: number
}

/** Writes down why a row cannot be read, so that it is passed over from now on; it stays as it is otherwise. */
const setAside = ({ epoch, tables: { name, place, sql } }: SqlJournal, row: Row, error: JournalError) =>
  Effect.zipRight(
    sql.unsafe(
      `update etm_tasks set damaged = ${place(1)} where manager = ${place(2)} and number = ${place(3)}
        and exists (select 1 from etm_managers where name = ${place(4)} and epoch = ${place(5)})`,
      [error.detail, name, row["number"], name, epoch]
    ),
    warn("A row of a task is damaged: it is set aside, and stays in the database.", error)
  )

/** What the error names is the id and the number of the row, and which part of it cannot be read. */
const warn = (what: string, error: JournalError): Effect.Effect<void> => Effect.logWarning(`${what} ${error.message}`)

interface Damaged {
  readonly row: Row
  readonly error: JournalError
}

/** Reads rows. Those that are damaged are left out and added to `damaged`, or fail all, as it was decided. */
const readRows = (
  { onDamaged, store }: Opening,
  rows: ReadonlyArray<Row>,
  damaged: Array<Damaged>
): Effect.Effect<ReadonlyArray<StoredTask>, JournalError> =>
  Effect.gen(function*() {
    const tasks: Array<StoredTask> = []
    const live = new Set<string>()
    for (const row of rows) {
      const read = yield* Effect.either(readTask(store.tables, row))
      if (Either.isRight(read)) {
        const { settled, snapshot: { id } } = read.right
        if (settled !== undefined || !live.has(id)) {
          tasks.push(read.right)
          if (settled === undefined) live.add(id)
          continue
        }
      }
      const error = Either.isLeft(read)
        ? read.left
        : store.tables.fail("Damaged", `has two live tasks of one id (${nameOfRow(row)})`)
      if (onDamaged === "fail" || error.reason !== "Damaged") return yield* error
      damaged.push({ row, error })
    }
    return tasks
  })

/** The newest settled tasks, as many as memory keeps, without those that are known already. */
const newestSettled = (
  opening: Opening,
  known: ReadonlySet<number>,
  damaged: Array<Damaged>
): Effect.Effect<ReadonlyArray<StoredTask>, JournalError | SqlError> =>
  Effect.gen(function*() {
    const { historyBytes, historyLimit, settled } = opening
    const tasks: Array<StoredTask> = []
    if (historyLimit === 0) return tasks
    const numbers = (yield* settled.page({
      before: Number.MAX_SAFE_INTEGER,
      limit: historyLimit,
      sessionId: undefined,
      statuses: settledStatusesOf({})
    })).map(({ number }) => number).filter((number) => !known.has(number))
    let bytes = 0
    for (let at = 0; at < numbers.length && bytes < historyBytes; at += atOnce) {
      const rows = yield* settled.read(numbers.slice(at, at + atOnce), Effect.succeed)
      for (const task of yield* readRows(opening, rows.filter((row) => row["damaged"] === null), damaged)) {
        tasks.push(task)
        if (task.result !== undefined) bytes += settledMemory(task.snapshot, task.result)
      }
    }
    return tasks
  })

/** Every task that the manager is to know. */
export const readTasks = (opening: Opening): Effect.Effect<ReadonlyArray<StoredTask>, JournalError | SqlError> =>
  Effect.gen(function*() {
    const { outputBuffer, store } = opening
    const damaged: Array<Damaged> = []
    const read = yield* readRows(opening, store.rows, damaged)
    const open: Array<StoredTask> = []
    for (const task of read) {
      const isWriting = store.keepsOutput && task.settled === undefined
      open.push(isWriting ? { ...task, output: yield* readOutput(store.tables, task.order, outputBuffer) } : task)
    }
    const settled = yield* newestSettled(opening, new Set(store.rows.map((row) => Number(row["number"]))), damaged)
    const tasks = [...open, ...settled]
    // decided once everything is read: where none of several can be decoded, they are not damaged: the key is wrong
    const [first] = damaged
    if (first !== undefined && tasks.length === 0 && damaged.length > 1 && store.tables.isEncoded) {
      return yield* first.error
    }
    for (const { error, row } of damaged) yield* setAside(store, row, error)
    return tasks
  })

/** Reads a row for the host, who loses nothing by one that is damaged: it is told of once. */
export const makeReadOrWarn = (tables: Tables): (row: Row) => Effect.Effect<Option.Option<StoredTask>> => {
  const told = new Set<unknown>()
  return (row) =>
    Effect.matchEffect(readTask(tables, row), {
      onSuccess: (task) => Effect.succeed(Option.some(task)),
      onFailure: (error) => {
        const isTold = told.has(row["number"]) || row["damaged"] !== null
        told.add(row["number"])
        return Effect.as(
          isTold ? Effect.void : warn("A row of a task cannot be read, and is left out.", error),
          Option.none()
        )
      }
    })
}
