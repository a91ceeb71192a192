/** A journal in SQLite or Postgres, over any `SqlClient`. A group is one transaction that begins with the check of the epoch. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { JournalError } from "../../errors.js"
import type { Brings } from "../../machine/state/Undelivered.js"
import type { JournalOverlap, OpenJournal, StoredDeliveryRef } from "../../services/Journal.js"
import { monotonicNow } from "../../shared/monotonic.js"
import type { JournalCodec } from "../JournalCodec.js"
import { attemptMillisOf, toItsEnd, withinAttempt } from "./attempts.js"
import { endsIdleAfter } from "./dialect.js"
import type { WriteGroup } from "./groups.js"
import type { WhenUnlocked } from "./locked.js"
import { enterOwner, hasEnded, leaseOf, leaveOwner } from "./owner.js"
import { Count, decodeRow, Integer } from "./rows.js"
import { isOpen, latestMigration, newestMigration, openTasks } from "./schema.js"
import { type Row, type Tables, tablesOf } from "./tables.js"
import { namedColumns, namedIn, takeOut, withTaken } from "./takenDeliveries.js"
import { transactionsOf } from "./transactions.js"
import { TransactionSet } from "./transactionSet.js"
import { ownWriter } from "./writing.js"

export interface SqlJournalOptions {
  readonly name: string
  readonly onOwned: "wait" | "fail" | "take"
  readonly leaseMillis: number
  readonly keepsTasks: boolean
  readonly keepsSettled: boolean
  readonly keepsOutput: boolean
  readonly codec: JournalCodec | undefined
  /** Writes groups; undefined for transactions of its own. */
  readonly writeGroup?: WriteGroup | undefined
  /** What is done while the file of the database is locked. */
  readonly unlocked: WhenUnlocked
}

declare const setImmediate: (run: () => void) => unknown

/** The server works on one half of many calls while this process works on the other. Fewer would wait for one group more. */
const overlap: JournalOverlap = { fewestTasks: 32, nextTurn: (run) => void setImmediate(run) }

export interface SqlJournal extends OpenJournal {
  readonly tables: Tables
  /** The rows of tasks that are live or owed to somebody, as they are stored. */
  readonly rows: ReadonlyArray<Row>
  /**
   * Acknowledges deliveries in the transaction of the caller, if it is in one. Of those that are `unsure` each must still be owed: what
   * was acknowledged before must not be stored twice.
   */
  readonly acknowledge: (deliveries: {
    readonly all: ReadonlyArray<StoredDeliveryRef>
    readonly unsure: ReadonlyArray<StoredDeliveryRef>
  }) => Effect.Effect<void, SqlError | JournalError>
  /**
   * Whether a caller with this context is in a transaction that a group may wait for: with SQLite there is one connection, and with
   * Postgres the rows of what was acknowledged are locked.
   */
  readonly isInTransaction: (context: Context.Context<never>) => boolean
}

const ManagerRow = Schema.Struct({
  epoch: Count,
  owner: Schema.String,
  lease_until: Integer,
  seq: Count,
  last_task: Count,
  last_delivery: Count
})

type Lease = Pick<typeof ManagerRow.Type, "lease_until" | "owner">

/** Each row once: what it has of several deliveries is taken by one update. */
const byRow = (deliveries: ReadonlyArray<StoredDeliveryRef>): ReadonlyArray<{ readonly number: number }> => {
  const rows = new Map<number, { readonly number: number } & { [Kind in Brings]?: number }>()
  for (const { brings, number, order } of deliveries) {
    const row = rows.get(number) ?? { number }
    row[brings] = order
    rows.set(number, row)
  }
  return [...rows.values()]
}

type Attempt =
  | { readonly _tag: "Owned"; readonly leaseUntil: number; readonly at: number }
  | {
    readonly _tag: "Taken"
    readonly manager: typeof ManagerRow.Type
    readonly rows: ReadonlyArray<Row>
    readonly lastNumber: number
  }

/** What an opening reads first: not one row of those that are settled and owed to nobody. */
export const openRowsQuery = ({ dialect, place }: Tables): string =>
  `select * from ${openTasks(dialect)} where manager = ${place(1)} and ${isOpen} and damaged is null${
    // settled, and in no status that a settled task has: found, so that it is not passed over unseen
    noSettledStatus.map((range, index) =>
      ` union all select * from etm_tasks where manager = ${place(2 + index)} and ${range} and settled is not null
        and result is null and detached is null and damaged is null`
    ).join("")}`

/** What the rows of some deliveries name. On Postgres it waits for a transaction that has changed one of them. */
const owedQuery = ({ dialect, place }: Tables): string =>
  `${withTaken(dialect, "number")} select ${namedColumns} from taken
    join etm_tasks on etm_tasks.manager = ${place(2)} and etm_tasks.number = taken.number${
    dialect === "pg" ? " for share of etm_tasks" : ""
  }`

const noSettledStatus = [
  "status < 'Cancelled'",
  "status > 'Cancelled' and status < 'Completed'",
  "status > 'Completed' and status < 'Failed'",
  "status > 'Failed'"
]

/** Opens the journal, as its only writer from now on, and reads it. */
export const open = (
  options: SqlJournalOptions
): Effect.Effect<SqlJournal, SqlError | JournalError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const { codec, leaseMillis, name } = options
    const tables = tablesOf(yield* SqlClient.SqlClient, name, codec)
    const { dialect, fail, now, place, sql } = tables
    const inTransaction = transactionsOf(sql)(leaseMillis)
    const writeGroup = options.writeGroup ?? ownWriter(sql)

    const owner = yield* Effect.acquireRelease(
      Effect.sync(() => enterOwner(leaseMillis)),
      (entered) => Effect.sync(() => leaveOwner(entered))
    )

    let mayHaveIt = false
    // before it is taken: an opening that is interrupted while the database commits does not know whether it has it
    yield* Effect.addFinalizer(() =>
      !mayHaveIt ? Effect.void : Effect.ignore(Effect.sandbox(withinAttempt(
        attemptMillisOf(leaseMillis),
        toItsEnd(sql.unsafe(
          // no group that still arrives is written, and renews the lease
          `update etm_managers set lease_until = 0, owner = '', last_group = ${Number.MAX_SAFE_INTEGER}
            where name = ${place(1)} and owner = ${place(2)}`,
          [name, owner]
        ))
      )))
    )

    /** The lease of another one, and since when it is the same, as far as is known. */
    let watched = { owner: "", until: 0, since: 0 }

    /**
     * Whether its lease was not renewed for so long that it has gone, whatever the clocks say: the one that it was written by may have been
     * ahead of ours.
     */
    const isSilent = (manager: Lease, at: number): Effect.Effect<boolean> =>
      Effect.map(monotonicNow, (now) => {
        if (manager.owner !== watched.owner || manager.lease_until !== watched.until) {
          watched = { owner: manager.owner, until: manager.lease_until, since: now }
        }
        const ofOwner = leaseOf(manager.owner) ?? leaseMillis
        return now - watched.since >= leaseMillis &&
          (leaseMillis >= ofOwner || manager.lease_until > at + ofOwner)
      })

    /** Whether another one has it, who is waited for. This one has it where it was not told that it was committed. */
    const isOwned = (manager: Lease, at: number): Effect.Effect<boolean> =>
      manager.lease_until <= at || manager.owner === owner || options.onOwned === "take" ||
        dialect === "sqlite" && hasEnded(manager.owner)
        ? Effect.succeed(false)
        : Effect.map(isSilent(manager, at), (silent) => !silent)

    /** Takes the journal, unless somebody has it; then until when, as far as is known. */
    const takeFree: Effect.Effect<Attempt, SqlError | JournalError> = inTransaction(Effect.gen(function*() {
      mayHaveIt = true
      yield* sql.unsafe(
        `insert into etm_managers (name, epoch, owner, lease_until, seq, last_task, last_delivery)
          values (${place(1)}, 0, '', 0, 0, 0, 0) on conflict (name) do nothing returning name`,
        [name]
      )
      const [found] = yield* sql.unsafe(
        `select * from etm_managers where name = ${place(1)}${dialect === "pg" ? " for update" : ""}`,
        [name]
      )
      const manager = yield* decodeRow(tables, ManagerRow, found, "that of the manager")
      const at = yield* now
      if (yield* isOwned(manager, at)) {
        return { _tag: "Owned", leaseUntil: manager.lease_until, at }
      }
      const taken = yield* sql.unsafe(
        `update etm_managers set epoch = epoch + 1, owner = ${place(1)}, lease_until = ${place(2)}, last_group = 0
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
      const rows = yield* sql.unsafe<Row>(openRowsQuery(tables), [
        name,
        ...noSettledStatus.map(() => name)
      ])
      const [last] = yield* sql.unsafe<Row>(`select max(number) as number from etm_tasks where manager = ${place(1)}`, [
        name
      ])
      return {
        _tag: "Taken",
        manager: { ...manager, epoch: manager.epoch + 1 },
        rows,
        lastNumber: Math.ceil(Number(last?.["number"] ?? 0))
      }
    }))

    /** First without a lock: an owner that is there must not wait for those who wait for it. */
    const attempt: Effect.Effect<Attempt, SqlError | JournalError> = Effect.gen(function*() {
      const [found] = yield* toItsEnd(sql.unsafe(`select * from etm_managers where name = ${place(1)}`, [name]))
      if (found !== undefined) {
        const manager = yield* decodeRow(tables, ManagerRow, found, "that of the manager")
        const at = yield* toItsEnd(now)
        if (yield* isOwned(manager, at)) return { _tag: "Owned", leaseUntil: manager.lease_until, at }
      }
      return yield* takeFree
    })

    const isBusy = (error: SqlError | JournalError): boolean => error._tag === "SqlError"
    const take = options.unlocked(withinAttempt(leaseMillis, Effect.retry(attempt, { while: isBusy, times: 3 })))
    let opened = yield* take
    const watchedFrom = yield* monotonicNow
    // one lease: the owner that still has it then renews it, and will go on to
    while (opened._tag === "Owned") {
      const left = watchedFrom + leaseMillis - (yield* monotonicNow)
      if (options.onOwned === "fail" || left <= 0) return yield* fail("Owned", "is open in another manager")
      yield* Effect.sleep(Math.max(1, Math.min(left, opened.leaseUntil - opened.at, longestPauseMillis)))
      opened = yield* take
    }

    const { lastNumber, manager, rows } = opened
    const { epoch } = manager

    const acknowledgeText = `${withTaken(dialect, "number")} update etm_tasks set ${takeOut}
      from taken where etm_tasks.manager = ${place(2)} and etm_tasks.number = taken.number
        and exists (select 1 from etm_managers where name = ${place(3)} and epoch = ${place(4)})`
    /** All of an update in one statement; a delivery that the row does not name any more was acknowledged before. */
    const acknowledgeAll = (deliveries: ReadonlyArray<StoredDeliveryRef>) =>
      sql.unsafe(acknowledgeText, [JSON.stringify(byRow(deliveries)), name, name, epoch])
    const unowed = (deliveries: ReadonlyArray<StoredDeliveryRef>) =>
      Effect.map(sql.unsafe<Row>(owedQuery(tables), [JSON.stringify(byRow(deliveries)), name]), (rows) => {
        const owed = namedIn(rows)
        return deliveries.flatMap(({ order }) => owed.has(order) ? [] : [order])
      })
    // Postgres: a manager that takes over waits until the transaction has ended, and groups do not
    const current = `select epoch${endsIdleAfter(dialect, leaseMillis)} from etm_managers where name = ${
      place(1)
    } and epoch = ${place(2)}${dialect === "pg" ? " for key share" : ""}`
    /** Those in whose transactions a group may have to wait. */
    const locking = new TransactionSet()
    const lock = Effect.withFiberRuntime<void>(({ currentContext }) => {
      locking.add(currentContext)
      return Effect.void
    })
    if (dialect === "sqlite") yield* sql.withTransaction(lock)

    return {
      name,
      lastNumber,
      epoch,
      leaseMillis,
      keepsTasks: options.keepsTasks,
      keepsSettled: options.keepsSettled,
      keepsOutput: options.keepsOutput,
      seq: manager.seq,
      lastTaskNumber: manager.last_task,
      lastDelivery: manager.last_delivery,
      tables,
      rows,
      overlap: dialect === "pg" && options.writeGroup === undefined ? overlap : undefined,
      write: (group) => writeGroup({ tables, epoch, leaseMillis, group }),
      acknowledge: ({ all, unsure }) =>
        Effect.gen(function*() {
          const fenced = Effect.flatMap(
            sql.unsafe(current, [name, epoch]),
            (found) => found.length === 0 ? fail("Fenced", "was taken over by another manager") : Effect.void
          )
          // SQLite: writing first, for a reader cannot become a writer once another process has written
          if (dialect === "pg") yield* Effect.zipRight(lock, fenced)
          if (unsure.length > 0) {
            if (dialect === "sqlite") yield* acknowledgeAll([])
            if ((yield* unowed(unsure)).length > 0) {
              return yield* fail("Fenced", "has a reader already that has acknowledged this")
            }
          }
          if (all.length > 0) yield* acknowledgeAll(all)
          if (dialect === "sqlite") yield* fenced
        }),
      unowed: (deliveries) =>
        Effect.mapError(
          withinAttempt(attemptMillisOf(leaseMillis), toItsEnd(unowed(deliveries))),
          (error) => fail("Unavailable", "could not be read", error)
        ),
      isInTransaction: (context) => locking.holds(context)
    }
  })

const longestPauseMillis = 250
