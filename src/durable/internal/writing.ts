/**
 * Groups of journals, written to the database. What is written in one transaction may be of several journals, each of which is fenced
 * by its own epoch: a journal that was taken over has nothing of it written, and holds up no other one.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { JournalError } from "../../errors.js"
import { dialectOf } from "./dialect.js"
import type { WriteGroup, WriteGroups, Writing } from "./groups.js"
import { inStatement } from "./groupStatement.js"
import { inTransaction } from "./groupTransaction.js"

export const groupsWriter = (client: SqlClient.SqlClient): WriteGroups => {
  const sql = client.withoutTransforms()
  const transaction = inTransaction(sql)
  return dialectOf(sql) === "pg" ? inStatement(sql, transaction) : transaction
}

export const fencedOf = ({ tables }: Writing): JournalError =>
  tables.fail("Fenced", "was taken over by another manager")

export const unwrittenOf = ({ tables }: Writing, error: SqlError | JournalError): JournalError =>
  error._tag === "JournalError" ? error : tables.fail("Unavailable", "could not be written", error)

/** A transaction for each group. */
export const ownWriter = (client: SqlClient.SqlClient): WriteGroup => {
  const writeAll = groupsWriter(client)
  return (writing) =>
    Effect.matchEffect(writeAll([writing]), {
      onFailure: (error) => Effect.fail(unwrittenOf(writing, error)),
      onSuccess: (written) => written.length === 0 ? Effect.fail(fencedOf(writing)) : Effect.void
    })
}
