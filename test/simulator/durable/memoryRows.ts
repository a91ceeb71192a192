/** Settled rows of the database in memory, found as `settledRows` finds them in their table. */
import * as Effect from "effect/Effect"
import { firstPlace, type RowPlace, type SettledRows } from "../../../src/durable/internal/settledRows.js"
import { TaskId } from "../../../src/model/ids.js"
import type { JournalRow } from "../../../src/services/Journal.js"
import type { MemoryDatabase } from "./MemoryDatabase.js"

type SettledRow = JournalRow & { readonly settled: number }

const isSettledRow = (row: JournalRow): row is SettledRow => row.settled !== null

/** Whether a row is owed to somebody. */
export const isOwed = ({ detached, result }: JournalRow): boolean => result !== null || detached !== null

const isBehind = (row: JournalRow, { number, sessionId }: RowPlace): boolean =>
  row.sessionId > sessionId || row.sessionId === sessionId && row.number > number

/** In the order in which they settled. */
const settledIn = (database: MemoryDatabase): ReadonlyArray<SettledRow> =>
  [...database.rows.values()].filter(isSettledRow).sort((one, other) => one.settled - other.settled)

/** What an opening reads: what is live or owed to somebody, and the newest that have settled. */
export const openingRows = (database: MemoryDatabase, historyLimit: number): ReadonlyArray<JournalRow> => {
  const settled = settledIn(database)
  const newest = new Set(settled.slice(Math.max(0, settled.length - historyLimit)).map(({ number }) => number))
  return [...database.rows.values()].filter((row) => row.settled === null || isOwed(row) || newest.has(row.number))
}

/** `pause`: how long an answer takes. */
export const memoryRows = (database: MemoryDatabase, pause: Effect.Effect<void>): SettledRows<JournalRow> => {
  const answer = <A>(read: () => A): Effect.Effect<A> => Effect.map(pause, read)
  const settledAt = (number: number): number => database.settledAt.get(number) ?? 0
  return {
    page: ({ before, limit, sessionId, statuses }) =>
      answer(() =>
        settledIn(database).filter((row) =>
          row.settled < before && statuses.includes(row.status) &&
          (sessionId === undefined || row.sessionId === sessionId)
        ).reverse().slice(0, limit)
      ),
    read: (numbers, use) =>
      Effect.flatMap(
        answer(() => numbers.flatMap((number) => database.rows.get(number) ?? [])),
        (rows) => Effect.forEach(rows, use)
      ),
    find: (id, read) =>
      Effect.flatMap(
        answer(() => [...settledIn(database)].reverse().find((row) => row.taskId === id)),
        (row) => row === undefined ? Effect.succeedNone : read(row)
      ),
    isThere: (id, sessionId) =>
      answer(() =>
        [...database.rows.values()].some((row) =>
          row.taskId === id && (row.settled !== null || row.sessionId === sessionId)
        )
      ),
    since: (after, limit) =>
      answer(() =>
        settledIn(database).filter(({ settled }) => settled > after).slice(0, limit).map(({ number, settled }) => ({
          number,
          settled,
          settledAt: settledAt(number)
        }))
      ),
    owed: (numbers) =>
      answer(() =>
        new Set(numbers.filter((number) => {
          const row = database.rows.get(number)
          return row !== undefined && isOwed(row)
        }))
      ),
    untaken: ({ after = firstPlace, limit, settledBy }) =>
      answer(() =>
        settledIn(database).filter((row) => isOwed(row) && settledAt(row.number) <= settledBy && isBehind(row, after))
          .sort((one, other) => isBehind(one, other) ? 1 : -1).slice(0, limit).map(({ number, sessionId, taskId }) => ({
            number,
            sessionId,
            id: TaskId.make(taskId)
          }))
      )
  }
}
