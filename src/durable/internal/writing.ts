/**
 * Groups of journals, written to the database. What is written in one transaction may be of several journals, each of which is fenced
 * by its own epoch: a journal that was taken over has nothing of it written, and holds up no other one.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { JournalError } from "../../errors.js"
import type { JournalGroup } from "../../services/Journal.js"
import { dialectOf, endsIdleBeside } from "./dialect.js"
import { forgetOutput, writeOutput } from "./outputRows.js"
import { rowsWriter } from "./rowWrites.js"
import { isOpen, serverMillis } from "./schema.js"
import type { Tables } from "./tables.js"
import { transactionsOf } from "./transactions.js"

/** A group of a journal. */
export interface Writing {
  readonly tables: Tables
  readonly epoch: number
  readonly leaseMillis: number
  readonly group: JournalGroup
}

/** Writes a group in one transaction and renews the lease of its journal, as `OpenJournal.write` says. */
export interface WriteGroup {
  (writing: Writing): Effect.Effect<void, JournalError>
}

/** Writes groups of journals, each of another one, in a transaction; gives those that are still held by their epoch. */
export interface WriteGroups {
  (writings: ReadonlyArray<Writing>): Effect.Effect<ReadonlyArray<Writing>, SqlError | JournalError>
}

export const groupsWriter = (client: SqlClient.SqlClient): WriteGroups => {
  const sql = client.withoutTransforms()
  const dialect = dialectOf(sql)
  const inTransaction = transactionsOf(sql)
  const place = (index: number): string => dialect === "pg" ? `$${index}` : "?"

  const writeRows = rowsWriter(sql)

  const leaseUntil = (leaseMillis: number) =>
    dialect === "pg"
      ? Effect.succeed(leaseMillis)
      : Effect.map(Clock.currentTimeMillis, (at) => at + leaseMillis)
  const fence = (idleMillis: number): string =>
    `update etm_managers set lease_until = ${dialect === "pg" ? `${serverMillis} + $1` : "?"},
    seq = ${place(2)}, last_task = ${place(3)}, last_delivery = ${place(4)}${
      dialect === "pg" ? ` from (select true) as held${endsIdleBeside(dialect, idleMillis)}` : ""
    } where name = ${place(5)} and epoch = ${place(6)} returning epoch`
  /** Of several journals at once. */
  const fences = (idleMillis: number): string =>
    `update etm_managers set lease_until = ${dialect === "pg" ? `${serverMillis} + ` : ""}held.lease,
    seq = held.seq, last_task = held.last_task, last_delivery = held.last_delivery from ${
      dialect === "pg"
        ? `json_to_recordset(cast($1 as json))
        as held(name text, epoch bigint, lease bigint, seq bigint, last_task bigint, last_delivery bigint)`
        : `(select value ->> 'name' as name, value ->> 'epoch' as epoch, value ->> 'lease' as lease, value ->> 'seq' as seq,
        value ->> 'last_task' as last_task, value ->> 'last_delivery' as last_delivery from json_each(?)) as held`
    }${endsIdleBeside(dialect, idleMillis)}
    where etm_managers.name = held.name and etm_managers.epoch = held.epoch returning etm_managers.name as name`

  const holders = (writings: ReadonlyArray<Writing>): Effect.Effect<string> =>
    Effect.map(
      Effect.forEach(writings, ({ epoch, group, leaseMillis, tables: { name } }) => {
        const { lastDelivery: last_delivery, lastTaskNumber: last_task, seq } = group
        return Effect.map(
          leaseUntil(leaseMillis),
          (lease) => ({ name, epoch, lease, seq, last_task, last_delivery })
        )
      }),
      (all) => JSON.stringify(all)
    )
  /** Renews the leases of those that are held by their epoch, and gives those. */
  const held = (writings: ReadonlyArray<Writing>): Effect.Effect<ReadonlyArray<Writing>, SqlError> =>
    Effect.gen(function*() {
      const [only] = writings
      const longest = writings.reduce((most, { leaseMillis }) => Math.max(most, leaseMillis), 0)
      if (writings.length === 1 && only !== undefined) {
        const { epoch, group: { lastDelivery, lastTaskNumber, seq }, leaseMillis, tables: { name } } = only
        const params = [yield* leaseUntil(leaseMillis), seq, lastTaskNumber, lastDelivery, name, epoch]
        return (yield* sql.unsafe(fence(leaseMillis), params)).length === 0 ? [] : writings
      }
      const found = yield* sql.unsafe<{ readonly name: string }>(fences(longest), [yield* holders(writings)])
      const names = new Set(found.map(({ name }) => name))
      return writings.filter(({ tables }) => names.has(tables.name))
    })

  const nothingOwed = "update etm_tasks set result = null, approval = null, detached = null"
  const close = `${nothingOwed} where manager = ${place(1)} and session_id = ${place(2)} and ${isOpen}`
  /** Of several journals at once. */
  const deliver = nothingOwed + (
    dialect === "pg"
      ? ` from json_to_recordset(cast($1 as json)) as given(manager text, number bigint)
        where etm_tasks.manager = given.manager and etm_tasks.number = given.number`
      : " where (manager, number) in (select value ->> 'manager', value ->> 'number' from json_each(?))"
  )

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

  return (writings) =>
    inTransaction(Effect.gen(function*() {
      const written = yield* held(writings)
      for (const { group: { closedSessions }, tables: { name } } of written) {
        for (const sessionId of closedSessions) yield* sql.unsafe(close, [name, sessionId])
      }
      const delivered = written.flatMap(({ group, tables: { name: manager } }) =>
        group.delivered.map((number) => ({ manager, number }))
      )
      if (delivered.length > 0) yield* sql.unsafe(deliver, [JSON.stringify(delivered)])
      yield* writeRows(written)
      for (const writing of written) yield* writeRest(writing)
      return written
    }))
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
