/**
 * Groups of journals in one statement of Postgres, which is its own transaction: the server answers once and not five times, and nothing
 * is locked while it waits for the next message of a process that may have been stopped. It finds rows that were there when it began;
 * it changes none but those of earlier groups, which were written by then.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { deliveredOf, takeDelivered } from "./deliveredRows.js"
import { fencesOf, passedOf, passFences } from "./fences.js"
import { chunksOf, givenOf, insertGiven, textsOf } from "./rowWrites.js"
import type { WriteGroups, Writing } from "./writing.js"

/** Whether rows are all that changes, as nearly always. No row is changed twice then, which one statement cannot do. */
const isOfRows = ({ group }: Writing): boolean =>
  group.closedSessions.length === 0 && group.removed.length === 0 && group.output.length === 0 &&
  group.outputForgotten.length === 0

const isOurs = "manager in (select name from ours)"

const statement = `with ours as (${passFences("pg", "$1")}),
  taken as (${takeDelivered("pg", "$2")} and given.${isOurs}),
  written as (${insertGiven("$3", `where ${isOurs}`)})
  select name from ours`

/** `otherwise` writes what one statement cannot: other changes, and more rows than it takes. */
export const inStatement = (sql: SqlClient.SqlClient, otherwise: WriteGroups): WriteGroups => {
  const passed = passedOf(sql)
  return (writings) =>
    Effect.gen(function*() {
      if (!writings.every(isOfRows)) return yield* otherwise(writings)
      const [rows = [], ...more] = chunksOf(yield* textsOf(writings))
      if (more.length > 0) return yield* otherwise(writings)
      const found = yield* sql.unsafe<{ readonly name: string }>(statement, [
        yield* fencesOf("pg", writings),
        JSON.stringify(deliveredOf(writings)),
        givenOf(rows)
      ])
      const { before, now } = yield* passed(writings, found)
      return [...now, ...before]
    })
}
