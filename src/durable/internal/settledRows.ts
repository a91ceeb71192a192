/**
 * Settled tasks in their table. Each query reads an index where it wants to begin, and no further than its page goes; what the
 * tasks say is then read by their numbers, a few at a time, for each may be large.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { StoredTask } from "../../machine/restore.js"
import { type SessionId, TaskId } from "../../model/ids.js"
import { settledStatuses } from "../../model/settled.js"
import { Count, Integer, taskColumns } from "./rows.js"
import { isOpen } from "./schema.js"
import type { Row, Tables } from "./tables.js"

/** Where a page begins, and how long it is. */
export interface PageOf {
  readonly before: number
  readonly limit: number
  readonly sessionId: SessionId | undefined
  readonly statuses: ReadonlyArray<string>
}

/** Which rows that are owed to somebody: those behind a place that settled by some time. */
export interface UntakenOf {
  readonly after: RowPlace
  readonly settledBy: number
  readonly limit: number
}

/** The statement for a page of numbers, newest first, and what it is given. */
export const pageQuery = (
  { name, place }: Tables,
  { before, limit, sessionId, statuses }: PageOf
): { readonly text: string; readonly params: ReadonlyArray<string | number> } => {
  const params: Array<string | number> = []
  const given = (value: string | number): string => place(params.push(value))
  const ofStatus = (status: string): string =>
    `select * from (select settled, number from etm_tasks where manager = ${given(name)} ${
      sessionId === undefined ? "" : `and session_id = ${given(sessionId)} `
    }and status = ${given(status)} and settled < ${given(before)} order by settled desc limit ${given(limit)}) as one`
  const text = `${statuses.map(ofStatus).join(" union all ")} order by settled desc limit ${given(limit)}`
  return { text, params }
}

/** The statement for what settled after an event, oldest first. */
export const sinceQuery = (
  { name, place }: Tables,
  after: number,
  limit: number
): { readonly text: string; readonly params: ReadonlyArray<string | number> } => {
  const params: Array<string | number> = []
  const given = (value: string | number): string => place(params.push(value))
  const ofStatus = (status: string): string =>
    `select * from (select settled, number, settled_at from etm_tasks where manager = ${given(name)}
      and status = ${given(status)} and settled > ${given(after)} order by settled limit ${given(limit)}) as one`
  const text = `${settledStatuses.map(ofStatus).join(" union all ")} order by settled limit ${given(limit)}`
  return { text, params }
}

/** A place among the rows of a manager, which an index has in this order. */
export interface RowPlace {
  readonly sessionId: string
  readonly number: number
}

/** Before every row: no id is empty. */
export const firstPlace: RowPlace = { sessionId: "", number: 0 }

/** The statement for what settled long ago and is owed to somebody, behind a place. It looks at rows that are open, and at no others. */
export const untakenQuery = (
  { name, place }: Tables,
  { after, limit, settledBy }: UntakenOf
): { readonly text: string; readonly params: ReadonlyArray<string | number> } => ({
  // without a time it is of a process of an earlier version that had not ended yet
  text: `select number, id, session_id from etm_tasks where manager = ${place(1)} and ${isOpen} and settled is not null
    and (result is not null or detached is not null) and coalesce(settled_at, 0) <= ${place(2)}
    and (session_id, number) > (${place(3)}, ${place(4)}) order by session_id, number limit ${place(5)}`,
  params: [name, settledBy, after.sessionId, after.number, limit]
})

/** The statement for rows by their numbers. */
export const byNumberQuery = ({ isNumberAt, place }: Tables): string =>
  `select ${taskColumns} from etm_tasks where manager = ${place(1)} and ${isNumberAt(2)}`

/** The statement for the newest settled task of an id. */
export const newestOfIdQuery = ({ place }: Tables): string =>
  `select ${taskColumns} from etm_tasks where manager = ${place(1)} and id = ${place(2)} and settled is not null
    order by number desc limit 1`

/** The statement that says whether a task of an id is there, settled or in its session, whatever its row holds. */
export const isThereQuery = ({ place }: Tables): string =>
  `select 1 as one from etm_tasks where manager = ${place(1)} and id = ${place(2)} and settled is not null
    union all select 1 from etm_tasks where manager = ${place(3)} and id = ${place(4)} and session_id = ${place(5)}
    and ${isOpen} limit 1`

const PageRow = Schema.Struct({ settled: Count, number: Count })
const SinceRow = Schema.Struct({ settled: Count, number: Count, settled_at: Schema.NullOr(Integer) })
const OwedRow = Schema.Struct({ number: Count })
const UntakenRow = Schema.Struct({ number: Count, id: TaskId, session_id: Schema.String })

/** A settled row by its time. */
export interface AgedRow {
  readonly settled: number
  readonly number: number
  readonly settledAt: number
}

/** A row of which something is undelivered, where it stands. */
interface UntakenRow extends RowPlace {
  readonly id: TaskId
}

/** `Stored`: a row as its database gives it. */
export interface SettledRows<Stored = Row> {
  /** The numbers of a page, newest first. */
  readonly page: (page: PageOf) => Effect.Effect<ReadonlyArray<typeof PageRow.Type>, SqlError>
  /** The rows themselves, a few at a time, in that order. What has gone meanwhile is left out. */
  readonly read: <A, E>(
    numbers: ReadonlyArray<number>,
    use: (row: Stored) => Effect.Effect<A, E>
  ) => Effect.Effect<ReadonlyArray<A>, SqlError | E>
  /** The newest settled task of an id. */
  readonly find: (
    id: TaskId,
    read: (row: Stored) => Effect.Effect<Option.Option<StoredTask>>
  ) => Effect.Effect<Option.Option<StoredTask>, SqlError>
  /** Whether there is a task of an id, also one that cannot be read. One that is live is looked for in its session alone. */
  readonly isThere: (id: TaskId, sessionId: SessionId) => Effect.Effect<boolean, SqlError>
  /** What settled after an event, oldest first. */
  readonly since: (after: number, limit: number) => Effect.Effect<ReadonlyArray<AgedRow>, SqlError>
  /** Which of these rows are owed to somebody. */
  readonly owed: (numbers: ReadonlyArray<number>) => Effect.Effect<ReadonlySet<number>, SqlError>
  /** What settled by some time and is owed to somebody, in the order of the places. */
  readonly untaken: (untaken: UntakenOf) => Effect.Effect<ReadonlyArray<UntakenRow>, SqlError>
}

/** A page of tasks: rows that cannot be read are passed over, and others take their places. `next`: where older ones match. */
export const readablePage = <Stored, E>(
  rows: Pick<SettledRows<Stored>, "page" | "read">,
  read: (row: Stored) => Effect.Effect<Option.Option<StoredTask>, E>,
  { before, limit, ...which }: PageOf
): Effect.Effect<{ readonly tasks: ReadonlyArray<StoredTask>; readonly next?: number }, SqlError | E> =>
  Effect.gen(function*() {
    const tasks: Array<StoredTask> = []
    for (let from = before;;) {
      const missing = limit - tasks.length
      const page = yield* rows.page({ ...which, before: from, limit: missing + 1 })
      const shown = page.slice(0, missing)
      tasks.push(...(yield* rows.read(shown.map(({ number }) => number), read)).flatMap(Option.toArray))
      const last = shown.at(-1)
      if (last === undefined || page.length <= missing) return { tasks }
      if (tasks.length >= limit) return { tasks, next: last.settled }
      from = last.settled
    }
  })

/** Results may have a megabyte and more each. */
const rowsAtOnce = 16

export const settledRows = (tables: Tables): SettledRows => {
  const { name, isNumberAt, place, sql } = tables
  // numbers that are none are passed over: the tasks of such rows are found by nobody
  const decodeAll = <A, I>(schema: Schema.Schema<A, I>, rows: ReadonlyArray<Row>): ReadonlyArray<A> =>
    rows.flatMap((row) => Option.toArray(Schema.decodeUnknownOption(schema)(row)))
  const byNumber = byNumberQuery(tables)
  const newestOfId = newestOfIdQuery(tables)
  const isThere = isThereQuery(tables)
  const owedOf = `select number from etm_tasks where manager = ${place(1)} and ${isNumberAt(2)}
    and (result is not null or detached is not null)`
  return {
    page: (page) => {
      if (page.statuses.length === 0) return Effect.succeed([])
      const { params, text } = pageQuery(tables, page)
      return Effect.map(sql.unsafe<Row>(text, params), (rows) => decodeAll(PageRow, rows))
    },
    read: (numbers, use) =>
      Effect.gen(function*() {
        const used = []
        for (let at = 0; at < numbers.length; at += rowsAtOnce) {
          const some = numbers.slice(at, at + rowsAtOnce)
          const rows = yield* sql.unsafe<Row>(byNumber, [name, JSON.stringify(some)])
          const found = new Map(rows.map((row) => [Number(row["number"]), row]))
          for (const number of some) {
            const row = found.get(number)
            if (row !== undefined) used.push(yield* use(row))
          }
        }
        return used
      }),
    find: (id, read) =>
      Effect.flatMap(
        sql.unsafe<Row>(newestOfId, [name, id]),
        ([row]) => row === undefined ? Effect.succeedNone : read(row)
      ),
    isThere: (id, sessionId) =>
      Effect.map(sql.unsafe<Row>(isThere, [name, id, name, id, sessionId]), (rows) => rows.length > 0),
    since: (after, limit) => {
      const { params, text } = sinceQuery(tables, after, limit)
      return Effect.map(
        sql.unsafe<Row>(text, params),
        (rows) =>
          // without a time it is of a process of an earlier version that had not ended yet
          decodeAll(SinceRow, rows).map(({ number, settled, settled_at }) => ({
            settled,
            number,
            settledAt: settled_at ?? 0
          }))
      )
    },
    owed: (numbers) =>
      Effect.map(
        sql.unsafe<Row>(owedOf, [name, JSON.stringify(numbers)]),
        (rows) => new Set(decodeAll(OwedRow, rows).map(({ number }) => number))
      ),
    untaken: (which) => {
      const { params, text } = untakenQuery(tables, which)
      return Effect.map(
        sql.unsafe<Row>(text, params),
        (rows) =>
          decodeAll(UntakenRow, rows).map(({ id, number, session_id }) => ({ id, number, sessionId: session_id }))
      )
    }
  }
}
