/**
 * Groups of journals in one statement of Postgres, which is its own transaction: the server answers once and not five times, and nothing
 * is locked while it waits for the next statement of a process that may have been stopped. It sees the rows that were there when it
 * began; every row that it changes was written by an earlier group, of which the journal knows that it is written.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { JournalError } from "../../errors.js"
import { toItsEnd } from "./attempts.js"
import { deliveredOf, takeDelivered } from "./deliveredRows.js"
import { fencesOf, type Named, passedOf, passFences } from "./fences.js"
import type { WriteGroups, Writing } from "./groups.js"
import { givenOf, insertGiven, isOneStatement, textsOf } from "./rowWrites.js"

/** Whether a group changes rows and nothing else. */
const isOfRows = ({ group }: Writing): boolean =>
  group.closedSessions.length === 0 && group.removed.length === 0 && group.output.length === 0 &&
  group.outputForgotten.length === 0

const isOurs = "manager in (select name from ours)"

const statement = `with ours as (${passFences("pg", "$1")}),
  taken as (${takeDelivered("pg", "$2")} and given.${isOurs}),
  written as (${insertGiven("$3", `where ${isOurs}`)})
  select name from ours`

/** `otherwise` writes what one statement cannot: other changes, and more than it takes. */
export const inStatement = (sql: SqlClient.SqlClient, otherwise: WriteGroups): WriteGroups => {
  const passed = passedOf(sql)

  const write = (writings: ReadonlyArray<Writing>): Effect.Effect<ReadonlyArray<Writing>, SqlError | JournalError> =>
    Effect.gen(function*() {
      const texts = yield* textsOf(writings)
      const fences = yield* fencesOf("pg", writings)
      const given = [fences, JSON.stringify(deliveredOf(writings)), givenOf(texts)]
      const { before, now } = yield* toItsEnd(Effect.flatMap(
        sql.unsafe<Named[number]>(statement, given),
        (found) => passed(writings, fences, found)
      ))
      return [...now, ...before]
    })

  return (writings) => {
    const [others, ofRows] = Arr.partition(writings, isOfRows)
    if (ofRows.length === 0 || !isOneStatement(ofRows)) return otherwise(writings)
    return others.length === 0
      ? write(ofRows)
      : Effect.zipWith(write(ofRows), otherwise(others), (these, those) => [...these, ...those])
  }
}
