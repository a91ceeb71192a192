/** Groups of journals in one transaction, a statement for each kind of change. */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { deliveredOf, oweNothing, takeDelivered } from "./deliveredRows.js"
import { dialectOf } from "./dialect.js"
import { fencesOf, type Named, passedOf, passFences } from "./fences.js"
import type { WriteGroups, Writing } from "./groups.js"
import { forgetOutput, writeOutput } from "./outputRows.js"
import { rowsWriter } from "./rowWrites.js"
import { isOpen } from "./schema.js"
import { transactionsOf } from "./transactions.js"

export const inTransaction = (sql: SqlClient.SqlClient): WriteGroups => {
  const dialect = dialectOf(sql)
  const place = (index: number): string => dialect === "pg" ? `$${index}` : "?"
  const transaction = transactionsOf(sql)
  const passed = passedOf(sql)
  const writeRows = rowsWriter(sql)
  const take = takeDelivered(dialect, place(1))
  const close = `${oweNothing} where manager = ${place(1)} and session_id = ${place(2)} and ${isOpen}`

  const writeRest = ({ group, tables }: Writing) =>
    Effect.gen(function*() {
      if (group.output.length > 0) yield* writeOutput(tables, group.output)
      for (const { before, number } of group.outputForgotten) yield* forgetOutput(tables, number, before)
      if (group.removed.length > 0) {
        const removed = [tables.name, JSON.stringify(group.removed)]
        for (const table of ["etm_tasks", "etm_output"]) {
          yield* sql.unsafe(`delete from ${table} where manager = ${place(1)} and ${tables.isNumberAt(2)}`, removed)
        }
      }
    })

  const pass = passFences(dialect, place(1))
  const longest = (writings: ReadonlyArray<Writing>): number =>
    writings.reduce((most, { leaseMillis }) => Math.max(most, leaseMillis), 0)

  return (writings) =>
    transaction(longest(writings))(Effect.gen(function*() {
      const fences = yield* fencesOf(dialect, writings)
      const { before, now } = yield* passed(writings, fences, yield* sql.unsafe<Named[number]>(pass, [fences]))
      for (const { group: { closedSessions }, tables: { name } } of now) {
        for (const sessionId of closedSessions) yield* sql.unsafe(close, [name, sessionId])
      }
      const delivered = deliveredOf(now)
      if (delivered.length > 0) yield* sql.unsafe(take, [JSON.stringify(delivered)])
      yield* writeRows(now)
      for (const writing of now) yield* writeRest(writing)
      return [...now, ...before]
    }))
}
