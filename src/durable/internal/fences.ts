/**
 * The fence of a group: it is written once, and only while its journal is held by its epoch, whose lease is renewed.
 *
 * | the journal is held by | and its last group is | the group      |
 * | ---------------------- | --------------------- | -------------- |
 * | its epoch              | an earlier one        | is written     |
 * | its epoch              | this one, or later    | was written    |
 * | another one            | any                   | is not written |
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Dialect, dialectOf } from "./dialect.js"
import type { Writing } from "./groups.js"
import { serverMillis } from "./schema.js"

const holders: Readonly<Record<Dialect, (place: string) => string>> = {
  pg: (place) =>
    `json_to_recordset(cast(${place} as json))
      as held(name text, epoch bigint, lease bigint, last_group bigint, seq bigint, last_task bigint, last_delivery bigint)`,
  sqlite: (place) =>
    `(select value ->> 'name' as name, value ->> 'epoch' as epoch, value ->> 'lease' as lease,
      value ->> 'last_group' as last_group, value ->> 'seq' as seq, value ->> 'last_task' as last_task,
      value ->> 'last_delivery' as last_delivery from json_each(${place})) as held`
}

const leaseOf = (dialect: Dialect): string => `lease_until = ${dialect === "pg" ? `${serverMillis} + ` : ""}held.lease`

/** Passes the fences that stand as JSON at a place, and gives the names of their journals. */
export const passFences = (dialect: Dialect, place: string): string =>
  `update etm_managers set ${leaseOf(dialect)},
    last_group = held.last_group, seq = held.seq, last_task = held.last_task, last_delivery = held.last_delivery
    from ${holders[dialect](place)}
    where etm_managers.name = held.name and etm_managers.epoch = held.epoch and etm_managers.last_group < held.last_group
    returning etm_managers.name as name`

/** What `passFences` is given. A lease is counted from now on by the clock of the rows, which is the server's or ours. */
export const fencesOf = (dialect: Dialect, writings: ReadonlyArray<Writing>): Effect.Effect<string> =>
  Effect.map(dialect === "pg" ? Effect.succeed(0) : Clock.currentTimeMillis, (now) =>
    JSON.stringify(
      writings.map(({ epoch, group, leaseMillis, tables: { name } }) => ({
        name,
        epoch,
        lease: now + leaseMillis,
        last_group: group.number,
        seq: group.seq,
        last_task: group.lastTaskNumber,
        last_delivery: group.lastDelivery
      }))
    ))

/** Journals by their names. */
export type Named = ReadonlyArray<{ readonly name: string }>

const among = (writings: ReadonlyArray<Writing>, found: Named): ReadonlyArray<Writing> => {
  const names = new Set(found.map(({ name }) => name))
  return writings.filter(({ tables }) => names.has(tables.name))
}

/** Which groups are to be written now, and which of them were before. */
export interface Passed {
  readonly now: ReadonlyArray<Writing>
  readonly before: ReadonlyArray<Writing>
}

/** Reads what `passFences` gave for these fences. A group that it did not name may have been written by an earlier try: its lease goes on. */
export const passedOf = (sql: SqlClient.SqlClient) => {
  const dialect = dialectOf(sql)
  const renewWritten = `update etm_managers set ${leaseOf(dialect)} from ${
    holders[dialect](dialect === "pg" ? "$1" : "?")
  }
    where etm_managers.name = held.name and etm_managers.epoch = held.epoch and etm_managers.last_group >= held.last_group
    returning etm_managers.name as name`
  return (writings: ReadonlyArray<Writing>, fences: string, found: Named): Effect.Effect<Passed, SqlError> =>
    Effect.gen(function*() {
      const now = among(writings, found)
      if (now.length === writings.length) return { now, before: [] }
      const before = among(writings, yield* sql.unsafe<Named[number]>(renewWritten, [fences]))
      return { now, before: before.filter((writing) => !now.includes(writing)) }
    })
}
