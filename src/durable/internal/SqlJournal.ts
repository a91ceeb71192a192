/** A journal in SQLite or Postgres, over any `SqlClient`. A group is one transaction that begins with the check of the epoch. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { JournalError, type JournalErrorReason } from "../../errors.js"
import type { Brings } from "../../machine/TaskTable.js"
import type { JournalGroup, JournalRow, OpenJournal, StoredDelivery } from "../../services/Journal.js"
import { enterOwner, hasEnded, leaveOwner } from "./owner.js"
import { dialectOf, latestMigration, newestMigration } from "./schema.js"

/** Turns the texts of calls and tasks into what is stored, and back. */
interface JournalCodec {
  readonly encode: (text: string) => Effect.Effect<string, unknown>
  readonly decode: (text: string) => Effect.Effect<string, unknown>
}

export interface SqlJournalOptions {
  readonly name: string
  readonly onOwned: "wait" | "fail" | "take"
  readonly leaseMillis: number
  readonly keepsTasks: boolean
  readonly codec: JournalCodec | undefined
}

/** A delivery, as its row names it. */
interface DeliveryRef {
  readonly number: number
  readonly brings: Brings
  readonly order: number
}

export interface SqlJournal extends OpenJournal {
  readonly rows: ReadonlyArray<JournalRow>
  /** Acknowledges deliveries in the transaction of the caller, if it is in one. */
  readonly acknowledge: (deliveries: ReadonlyArray<DeliveryRef>) => Effect.Effect<void, SqlError | JournalError>
  /**
   * Whether the calling fiber is in a transaction that a group may wait for: with SQLite there is one connection, and with Postgres
   * the rows of what was acknowledged are locked.
   */
  readonly isInTransaction: Effect.Effect<boolean>
}

const columns = [
  "manager",
  "number",
  "id",
  "session_id",
  "turn_id",
  "status",
  "settled",
  "result",
  "approval",
  "detached",
  "request",
  "doc",
  "version"
] as const

const asStored = -1
const kept = (column: Brings): string =>
  `${column} = case excluded.${column} when ${asStored} then etm_tasks.${column} else excluded.${column} end`

const onConflict = `on conflict (manager, number) do update set status = excluded.status, settled = excluded.settled,
  ${kept("result")}, ${kept("approval")}, ${kept("detached")}, doc = excluded.doc, version = excluded.version`

/** How many rows one statement writes: a few sizes, so that a few statements are prepared. */
const batchSizes = [64, 8, 1] as const

// integers that a client may give as text, or as BigInt
const Integer = Schema.transform(Schema.Union(Schema.Number, Schema.String, Schema.BigIntFromSelf), Schema.Number, {
  strict: true,
  decode: Number,
  encode: (value) => value
})
const Count = Integer.pipe(Schema.int(), Schema.nonNegative())

const ManagerRow = Schema.Struct({
  epoch: Count,
  owner: Schema.String,
  lease_until: Integer,
  seq: Count,
  last_task: Count,
  last_delivery: Count
})

const TaskRow = Schema.Struct({
  number: Count,
  id: Schema.String,
  session_id: Schema.String,
  turn_id: Schema.String,
  status: Schema.String,
  settled: Schema.NullOr(Count),
  result: Schema.NullOr(Count),
  approval: Schema.NullOr(Count),
  detached: Schema.NullOr(Count),
  request: Schema.String,
  doc: Schema.String,
  version: Count
})

interface Row {
  readonly [column: string]: unknown
}

/** Each row once: what it has of several deliveries is taken by one update. */
const byRow = (deliveries: ReadonlyArray<DeliveryRef>): ReadonlyArray<{ readonly number: number }> => {
  const rows = new Map<number, { readonly number: number } & { [Kind in Brings]?: number }>()
  for (const { brings, number, order } of deliveries) {
    const row = rows.get(number) ?? { number }
    row[brings] = order
    rows.set(number, row)
  }
  return [...rows.values()]
}

const stored = (delivery: StoredDelivery): number | null => delivery === "AsStored" ? asStored : delivery

type Attempt =
  | { readonly _tag: "Owned"; readonly leaseUntil: number; readonly at: number }
  | { readonly _tag: "Taken"; readonly manager: typeof ManagerRow.Type; readonly rows: ReadonlyArray<Row> }

/** Opens the journal, as its only writer from now on, and reads it. */
export const open = (
  options: SqlJournalOptions
): Effect.Effect<SqlJournal, SqlError | JournalError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const dialect = dialectOf(sql)
    const { codec, leaseMillis, name } = options
    const fail = (reason: JournalErrorReason, detail: string, cause?: unknown): JournalError =>
      new JournalError({ journal: name, reason, detail, cause })

    /** `?` or `$1`. */
    const place = (index: number): string => dialect === "pg" ? `$${index}` : "?"
    const places = (count: number, from = 1): string =>
      Array.from({ length: count }, (_, index) => place(from + index)).join(", ")
    // several machines share the clock of their server; a file is of one machine, whose clock a test can replace
    const serverMillis = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
    const now = dialect === "pg"
      ? Effect.map(sql.unsafe<Row>(`select ${serverMillis} as now`), ([row]) => Number(row?.["now"]))
      : Clock.currentTimeMillis
    // Postgres keeps the locks of a process that was stopped or cut off, and whoever takes over would wait for ever: the server ends
    // a transaction in which nothing happens for a lease. The setting ends with the transaction.
    const endsIdle = dialect === "pg"
      ? `, set_config('idle_in_transaction_session_timeout', '${leaseMillis}', true) as timeout`
      : ""

    const insert = batchSizes.map((size) => ({
      size,
      text: `insert into etm_tasks (${columns.join(", ")}) values ${
        Array.from({ length: size }, (_, row) => `(${places(columns.length, row * columns.length + 1)})`).join(", ")
      } ${onConflict}`
    }))
    const fence = `update etm_managers set lease_until = ${dialect === "pg" ? `${serverMillis} + $1` : "?"},
      seq = ${place(2)}, last_task = ${place(3)}, last_delivery = ${place(4)} where name = ${place(5)} and epoch = ${
      place(6)
    }
      returning epoch${endsIdle}`
    const leaseUntil = dialect === "pg"
      ? Effect.succeed(leaseMillis)
      : Effect.map(Clock.currentTimeMillis, (at) => at + leaseMillis)
    const close = `update etm_tasks set result = null, approval = null, detached = null
      where manager = ${place(1)} and session_id = ${place(2)}`
    const remove = dialect === "pg"
      ? "delete from etm_tasks where manager = $1 and number in (select cast(value as bigint) from json_array_elements_text(cast($2 as json)))"
      : "delete from etm_tasks where manager = ? and number in (select value from json_each(?))"

    const encode = (text: string): Effect.Effect<string, JournalError> =>
      codec === undefined
        ? Effect.succeed(text)
        : Effect.mapError(codec.encode(text), (cause) => fail("Unavailable", "has a codec that cannot encode", cause))

    const paramsOf = (row: JournalRow): Effect.Effect<ReadonlyArray<string | number | null>, JournalError> =>
      Effect.map(
        Effect.all([row.request === null ? Effect.succeed("") : encode(row.request), encode(row.doc)]),
        ([request, doc]) => [
          name,
          row.number,
          row.taskId,
          row.sessionId,
          row.turnId,
          row.status,
          row.settled,
          stored(row.result),
          stored(row.approval),
          stored(row.detached),
          request,
          doc,
          row.version
        ]
      )

    const writeRows = (rows: ReadonlyArray<JournalRow>) =>
      Effect.gen(function*() {
        const params = yield* Effect.forEach(rows, paramsOf)
        let at = 0
        for (const { size, text } of insert) {
          for (; params.length - at >= size; at += size) {
            yield* sql.unsafe(text, params.slice(at, at + size).flat())
          }
        }
      })

    const write = (epoch: number) => (group: JournalGroup): Effect.Effect<void, JournalError> =>
      sql.withTransaction(Effect.gen(function*() {
        const { lastDelivery, lastTaskNumber, seq } = group
        const held = yield* sql.unsafe(fence, [yield* leaseUntil, seq, lastTaskNumber, lastDelivery, name, epoch])
        if (held.length === 0) return yield* fail("Fenced", "was taken over by another manager")
        for (const sessionId of group.closedSessions) yield* sql.unsafe(close, [name, sessionId])
        if (group.rows.length > 0) yield* writeRows(group.rows)
        if (group.removed.length > 0) yield* sql.unsafe(remove, [name, JSON.stringify(group.removed)])
      })).pipe(
        Effect.mapError((error) =>
          error._tag === "JournalError" ? error : fail("Unavailable", "could not be written", error)
        ),
        dialect === "sqlite" ? Effect.onError(() => rollBack) : (self) => self
      )

    // a commit that fails leaves the one connection of SQLite in its transaction; without one the statement fails, and that is all
    const rollBack = Effect.ignore(Effect.sandbox(sql.unsafe("rollback")))

    const decodeRow = <A, I>(schema: Schema.Schema<A, I>, row: unknown, what: string) =>
      Effect.mapError(
        Schema.decodeUnknown(schema)(row),
        () => fail("Damaged", `has a damaged row: ${what}`)
      )

    const decode = (text: string, what: string): Effect.Effect<string, JournalError> =>
      codec === undefined
        ? Effect.succeed(text)
        : Effect.mapError(codec.decode(text), (cause) => fail("Damaged", `cannot be decoded: ${what}`, cause))

    const owner = yield* Effect.acquireRelease(Effect.sync(enterOwner), (entered) =>
      Effect.sync(() => leaveOwner(entered)))

    /** Takes the journal, unless somebody has it; then until when, as far as is known. */
    const attempt: Effect.Effect<Attempt, SqlError | JournalError> = sql.withTransaction(Effect.gen(function*() {
      yield* sql.unsafe(
        `insert into etm_managers (name, epoch, owner, lease_until, seq, last_task, last_delivery)
          values (${place(1)}, 0, '', 0, 0, 0, 0) on conflict (name) do nothing`,
        [name]
      )
      const [found] = yield* sql.unsafe(
        `select *${endsIdle} from etm_managers where name = ${place(1)}${dialect === "pg" ? " for update" : ""}`,
        [name]
      )
      const manager = yield* decodeRow(ManagerRow, found, "that of the manager")
      const at = yield* now
      const isFree = manager.lease_until <= at || options.onOwned === "take" ||
        dialect === "sqlite" && hasEnded(manager.owner)
      if (!isFree) {
        return { _tag: "Owned", leaseUntil: manager.lease_until, at }
      }
      const taken = yield* sql.unsafe(
        `update etm_managers set epoch = epoch + 1, owner = ${place(1)}, lease_until = ${place(2)}
          where name = ${place(3)} and epoch = ${place(4)} returning epoch`,
        [owner, at + leaseMillis, name, manager.epoch]
      )
      // another one was faster
      if (taken.length === 0) {
        return { _tag: "Owned", leaseUntil: at + leaseMillis, at }
      }
      if ((yield* newestMigration(sql)) > latestMigration) {
        return yield* fail("Version", "is in a database of a later version")
      }
      const rows = yield* sql.unsafe<Row>(`select * from etm_tasks where manager = ${place(1)} order by number`, [name])
      return { _tag: "Taken", manager: { ...manager, epoch: manager.epoch + 1 }, rows }
    }))

    const isBusy = (error: SqlError | JournalError): boolean =>
      error._tag === "SqlError"
    const startedAt = yield* now
    const take = Effect.retry(attempt, { while: isBusy, times: 3 })
    let opened = yield* take
    // one lease: the owner that still has it then renews it, and will go on to
    while (opened._tag === "Owned") {
      const left = startedAt + leaseMillis - opened.at
      if (options.onOwned === "fail" || left <= 0) return yield* fail("Owned", "is open in another manager")
      yield* Effect.sleep(Math.max(1, Math.min(left, opened.leaseUntil - opened.at, longestPauseMillis)))
      opened = yield* take
    }

    const { manager, rows } = opened
    const { epoch } = manager
    yield* Effect.addFinalizer(() =>
      Effect.ignore(Effect.sandbox(sql.unsafe(
        `update etm_managers set lease_until = 0, owner = '' where name = ${place(1)} and epoch = ${place(2)}`,
        [name, epoch]
      )))
    )

    const journalRows = yield* Effect.forEach(rows, (found) =>
      Effect.gen(function*() {
        const what = `task ${JSON.stringify(found["id"])}, row ${String(found["number"])}`
        const row = yield* decodeRow(TaskRow, found, what)
        return {
          number: row.number,
          taskId: row.id,
          sessionId: row.session_id,
          turnId: row.turn_id,
          status: row.status,
          settled: row.settled,
          result: row.result,
          approval: row.approval,
          detached: row.detached,
          request: yield* decode(row.request, what),
          doc: yield* decode(row.doc, what),
          version: row.version
        }
      }))

    const acknowledgeText = `update etm_tasks set result = nullif(etm_tasks.result, taken.result),
        approval = nullif(etm_tasks.approval, taken.approval), detached = nullif(etm_tasks.detached, taken.detached)
      from ${
      dialect === "pg"
        ? "json_to_recordset(cast($1 as json)) as taken(number bigint, result bigint, approval bigint, detached bigint)"
        : `(select value ->> 'number' as number, value ->> 'result' as result, value ->> 'approval' as approval,
          value ->> 'detached' as detached from json_each(?)) as taken`
    }
      where etm_tasks.manager = ${place(2)} and etm_tasks.number = taken.number
        and exists (select 1 from etm_managers where name = ${place(3)} and epoch = ${place(4)})`
    /** All of an update in one statement; a delivery that the row does not name any more was acknowledged before. */
    const acknowledgeAll = (deliveries: ReadonlyArray<DeliveryRef>) =>
      sql.unsafe(acknowledgeText, [JSON.stringify(byRow(deliveries)), name, name, epoch])
    // Postgres: a manager that takes over waits until the transaction has ended, and groups do not
    const current = `select epoch${endsIdle} from etm_managers where name = ${place(1)} and epoch = ${place(2)}${
      dialect === "pg" ? " for key share" : ""
    }`
    const connectionOf = Effect.map(
      Effect.serviceOption(SqlClient.TransactionConnection),
      Option.map(([connection]) => connection)
    )
    /** Those in whose transactions a group may have to wait. */
    const locking = new WeakSet<Connection>()
    const lock = Effect.map(connectionOf, Option.map((connection) => locking.add(connection)))
    if (dialect === "sqlite") yield* sql.withTransaction(lock)

    return {
      name,
      epoch,
      leaseMillis,
      keepsTasks: options.keepsTasks,
      seq: manager.seq,
      lastTaskNumber: manager.last_task,
      lastDelivery: manager.last_delivery,
      rows: journalRows,
      write: write(epoch),
      acknowledge: (deliveries) =>
        Effect.gen(function*() {
          const fenced = Effect.flatMap(
            sql.unsafe(current, [name, epoch]),
            (found) => found.length === 0 ? fail("Fenced", "was taken over by another manager") : Effect.void
          )
          // SQLite: writing first, for a reader cannot become a writer once another process has written
          if (dialect === "pg") yield* Effect.zipRight(lock, fenced)
          if (deliveries.length > 0) yield* acknowledgeAll(deliveries)
          if (dialect === "sqlite") yield* fenced
        }),
      isInTransaction: Effect.map(
        connectionOf,
        Option.exists((connection) => locking.has(connection))
      )
    }
  })

const longestPauseMillis = 250
