/** The journals of the groups, as a client reads them: a row is what was told. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { isStorable } from "../../durable/internal/checks.js"
import { makeReadOrWarn } from "../../durable/internal/opening.js"
import { isOpen, openTasks } from "../../durable/internal/schema.js"
import { readablePage, type SettledRows, settledRows } from "../../durable/internal/settledRows.js"
import { type Row, type Tables, tablesOf } from "../../durable/internal/tables.js"
import type { JournalCodec } from "../../durable/JournalCodec.js"
import { isMeantBy, settledStatusesOf } from "../../machine/queries.js"
import type { StoredTask } from "../../machine/restore.js"
import type { SessionId, TaskId } from "../../model/ids.js"
import { isSettled, settledStatuses } from "../../model/settled.js"
import type { TaskFilter, TaskSnapshot } from "../../model/Task.js"
import type { TaskHistoryPage, TaskHistoryQuery } from "../../model/TaskHistory.js"
import { checkHistoryQuery } from "../../shared/refusals.js"
import { ClusterError } from "../ClusterError.js"
import { wireSleep } from "./wire.js"

/** How the names of the journals of a cluster begin. */
const prefixOf = (name: string): string => `${name}/`

/** The name of the journal of a group. */
export const journalOf = (name: string, group: number): string => `${prefixOf(name)}${group}`

/** Whether a row is of the cluster whose groups have names that begin so. */
const isOfCluster = (place: string, { dialect }: Tables): string =>
  dialect === "pg" ? `starts_with(manager, ${place})` : `instr(manager, ${place}) = 1`

/** The statement that finds a task by its id alone; the index is made by the layers of a cluster. */
export const byIdQuery = (tables: Tables): string =>
  `select * from etm_tasks where id = ${tables.place(1)} and ${isOfCluster(tables.place(2), tables)}`

/** An id can be used again once its first task is forgotten: what is live comes first, then what settled last. */
export const groupOfIdQuery = (tables: Tables): string =>
  `select manager from etm_tasks where id = ${tables.place(1)} and ${isOfCluster(tables.place(2), tables)}
    order by settled is null desc, settled_at desc limit 8`

/** The statement for live tasks, and those that are owed to somebody. */
export const openQuery = ({ dialect, place }: Tables, ofSession: boolean): string =>
  `select * from ${openTasks(dialect)} where manager = ${place(1)}${
    ofSession ? ` and session_id = ${place(2)}` : ""
  } and ${isOpen}
    and damaged is null`

/** The statement that says whether something of a group is live, in one of two statuses at least. */
export const liveQuery = ({ dialect, place }: Tables): string =>
  `select status, count(*) as count from ${openTasks(dialect)} where manager = ${
    place(1)
  } and ${isOpen} and settled is null group by status`

interface Journal {
  readonly group: number
  readonly tables: Tables
  readonly rows: SettledRows
  readonly read: (row: Row) => Effect.Effect<Option.Option<StoredTask>>
}

export interface Journals {
  readonly find: (id: TaskId) => Effect.Effect<Option.Option<StoredTask & { readonly group: number }>>
  readonly locate: (id: TaskId) => Effect.Effect<number | undefined>
  readonly list: (filter: TaskFilter) => Effect.Effect<ReadonlyArray<TaskSnapshot>>
  readonly history: (query: TaskHistoryQuery) => Effect.Effect<TaskHistoryPage>
  /** The groups that have tasks of a status. */
  readonly groupsWith: (statuses: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<number>>
}

/** Where a task is that nobody knows of. */
export const nowhere: Effect.Effect<number | undefined> = Effect.sync(() => undefined)

export const readJournals = (options: {
  readonly name: string
  readonly groups: number
  readonly groupOf: (sessionId: SessionId) => number
  readonly codec: JournalCodec | undefined
  readonly historyLimit: number
  readonly patienceMillis: number
}): Effect.Effect<Journals, never, SqlClient.SqlClient> =>
  Effect.map(SqlClient.SqlClient, (sql): Journals => {
    const { codec, groupOf, groups, historyLimit, name, patienceMillis } = options
    const journals = Array.from({ length: groups }, (_, group): Journal => {
      const tables = tablesOf(sql, journalOf(name, group), codec)
      return { group, tables, rows: settledRows(tables), read: makeReadOrWarn(tables) }
    })
    const byName = new Map(journals.map((journal) => [journal.tables.name, journal]))
    const [any] = journals
    const prefix = prefixOf(name)
    const ofSession = (sessionId: SessionId | undefined): ReadonlyArray<Journal> =>
      sessionId === undefined ? journals : journals.slice(groupOf(sessionId), groupOf(sessionId) + 1)

    const patiently = <A>(read: Effect.Effect<A, SqlError>): Effect.Effect<A> =>
      read.pipe(
        Effect.retry({
          schedule: Schedule.recurs(Math.ceil(patienceMillis / 100)),
          while: () => Effect.as(wireSleep("100 millis"), true)
        }),
        Effect.catchAll((error) =>
          Effect.die(
            new ClusterError({ reason: "Unavailable", detail: `The database cannot be read: ${error.message}` })
          )
        )
      )

    const find: Journals["find"] = (id) =>
      any === undefined || !isStorable(id) ? Effect.succeedNone : patiently(Effect.gen(function*() {
        const found = yield* sql.withoutTransforms().unsafe<Row>(byIdQuery(any.tables), [id, prefix])
        // an id can be used again once its first task is forgotten
        const newest = found.filter((row) => byName.has(String(row["manager"])))
          .sort((left, right) => Number(right["settled_at"] ?? 0) - Number(left["settled_at"] ?? 0))
        const live = newest.find((row) => row["settled"] === null) ?? newest[0]
        const journal = live === undefined ? undefined : byName.get(String(live["manager"]))
        return live === undefined || journal === undefined
          ? Option.none()
          : Option.map(yield* journal.read(live), (task) => ({ ...task, group: journal.group }))
      }))

    const openTasks = ({ read, tables }: Journal, sessionId: SessionId | undefined) =>
      Effect.gen(function*() {
        const given = sessionId === undefined ? [tables.name] : [tables.name, sessionId]
        const rows = yield* tables.sql.unsafe<Row>(openQuery(tables, sessionId !== undefined), given)
        const tasks: Array<StoredTask> = []
        for (const row of rows) tasks.push(...Option.toArray(yield* read(row)))
        return tasks
      })

    const newestSettled = ({ read, rows }: Journal, filter: TaskFilter) =>
      Effect.gen(function*() {
        const statuses = settledStatusesOf({ status: filter.status })
        if (statuses.length === 0 || historyLimit === 0) return []
        const page = yield* rows.page({
          before: Number.MAX_SAFE_INTEGER,
          limit: historyLimit,
          sessionId: filter.sessionId,
          statuses
        })
        const tasks = yield* rows.read(page.map(({ number }) => number), read)
        return tasks.flatMap(Option.toArray)
      })

    const everyOf = <A>(
      sessionId: SessionId | undefined,
      read: (journal: Journal) => Effect.Effect<A, SqlError>
    ): Effect.Effect<ReadonlyArray<A>> => patiently(Effect.forEach(ofSession(sessionId), read, { concurrency: 4 }))

    return {
      find,
      locate: (id) =>
        any === undefined || !isStorable(id) ? nowhere : Effect.map(
          patiently(any.tables.sql.unsafe<Row>(groupOfIdQuery(any.tables), [id, prefix])),
          (rows) => rows.flatMap((row) => byName.get(String(row["manager"])) ?? [])[0]?.group
        ),
      list: (filter) => {
        if (!isStorable(filter.sessionId)) return Effect.succeed([])
        const isMeant = isMeantBy(filter)
        return Effect.gen(function*() {
          const settled = (yield* everyOf(filter.sessionId, (journal) => newestSettled(journal, filter))).flat()
          const open = (yield* everyOf(filter.sessionId, (journal) => openTasks(journal, filter.sessionId))).flat()
          const live = open.filter(({ snapshot }) => !isSettled(snapshot))
          return [
            ...settled.sort((left, right) =>
              (left.snapshot.settledAt ?? 0) - (right.snapshot.settledAt ?? 0) ||
              (left.settled ?? 0) - (right.settled ?? 0)
            ),
            ...live.sort((left, right) =>
              left.snapshot.createdAt - right.snapshot.createdAt || left.order - right.order
            )
          ].map(({ snapshot }) => snapshot).filter(isMeant)
        })
      },
      history: (query) =>
        Effect.suspend((): Effect.Effect<TaskHistoryPage> => {
          const { before, filter, limit } = checkHistoryQuery(query)
          if (!isStorable(filter?.sessionId)) return Effect.succeed({ tasks: [] })
          const statuses = filter === undefined ? settledStatuses : settledStatusesOf(filter)
          return Effect.gen(function*() {
            const pages = yield* everyOf(filter?.sessionId, ({ group, read, rows }) =>
              Effect.map(
                readablePage(rows, read, {
                  // the first number of this group that is not below
                  before: Math.min(Number.MAX_SAFE_INTEGER, Math.ceil((before - group) / groups)),
                  limit: limit + 1,
                  sessionId: filter?.sessionId,
                  statuses
                }),
                ({ tasks }) => tasks.map(({ settled = 0, snapshot }) => ({ at: settled * groups + group, snapshot }))
              ))
            const newest = pages.flat().sort((left, right) => right.at - left.at)
            const shown = newest.slice(0, limit)
            const next = newest.length > limit ? shown.at(-1)?.at : undefined
            return { tasks: shown.map(({ snapshot }) => snapshot), ...(next === undefined ? undefined : { next }) }
          })
        }),
      groupsWith: (statuses) =>
        Effect.map(
          everyOf(undefined, ({ group, tables }) =>
            Effect.map(
              tables.sql.unsafe<Row>(liveQuery(tables), [tables.name]),
              (rows) => rows.some((row) => statuses.includes(String(row["status"]))) ? [group] : []
            )),
          (found) => found.flat()
        )
    }
  })
