/**
 * Acknowledges what consumers of a client have in hand, in the transaction of the caller. The row of a task names each delivery that is
 * owed by a number that no other delivery of the journal ever has, also after a takeover. Whoever takes that number out of the row has
 * the delivery, and the lock of the row lets one do so at a time. The runner hears of it later, or from the row:
 *
 * | `use` ends        | the row names the delivery | the runner is told                                           |
 * | ----------------- | -------------------------- | ------------------------------------------------------------ |
 * | well              | is not looked at           | taken                                                        |
 * | with a failure    | yes                        | put back                                                     |
 * | with a failure    | no                         | taken, or put back with the rest and passed over when it comes |
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { endsIdleBeside } from "../../durable/internal/dialect.js"
import { type Row, type Tables, tablesOf } from "../../durable/internal/tables.js"
import { namedColumns, namedIn, namesAll, takeOut, withTaken } from "../../durable/internal/takenDeliveries.js"
import { transactionAround, transactionOf, type TransactionSet } from "../../durable/internal/transactionSet.js"
import { checkUpdates, deliveriesIn } from "../../durable/internal/updates.js"
import type { JournalError } from "../../errors.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import { type DeliveredRef, keyOf } from "../../runtime/journal/Unwritten.js"
import type { ClusterJournal } from "../ClusterJournal.js"
import { type Connection as ToGroups, nothing } from "./Connection.js"
import type { Given } from "./inHand.js"
import { journalOf } from "./journals.js"
import { StillHeld } from "./StillHeld.js"
import { answeredWithin, onWire } from "./wire.js"

type Updates = TurnTaskUpdate | PendingLoopUpdates | TaskResolution

/** One delivery that a consumer has in hand. */
interface Delivery {
  readonly ref: DeliveredRef
  readonly group: number
  /** Its number in the journal; undefined where it is not known which of several it has. */
  readonly order: number | undefined
  /** That in which its consumer was called: it ends after the consumer does. */
  readonly within: Connection | undefined
  isAcknowledged: boolean
}

/** What a consumer has in hand, from `hold` until `end`. */
export interface Held {
  readonly end: (isTaken: boolean) => Effect.Effect<void>
}

export interface Acknowledging {
  readonly acknowledge: ClusterJournal["Type"]["acknowledge"]
  /** `context` is that of whoever called the consumer. */
  readonly hold: (
    context: Context.Context<never>,
    group: number,
    given: Given<unknown>,
    updates: Updates
  ) => Held
  /** What is held for long, before a consumer has it: its group is told so until the result is called. */
  readonly keep: (group: number, token: number) => () => void
}

/** Each task once: what it has of several deliveries is taken by one update. */
const byTask = (deliveries: ReadonlyArray<Delivery>): ReadonlyArray<object> => {
  const rows = new Map<string, Record<string, unknown>>()
  for (const { order, ref: { brings, taskId } } of deliveries) {
    const row = rows.get(taskId) ?? { id: taskId }
    row[brings] = order
    rows.set(taskId, row)
  }
  return [...rows.values()]
}

/**
 * A client that stands still in its transaction, or was cut off, would hold its rows for ever, and runners would lose group after group
 * to them: the server ends its transaction. Below the lease that runners have unless it is said otherwise, so that they lose none.
 */
const idleMillis = 3_000

/** SQLite does not know how few rows have an id, and would read all of the journal. */
const tasksById = (dialect: Tables["dialect"]): string =>
  dialect === "pg" ? "etm_tasks" : "etm_tasks indexed by etm_tasks_id"

/** The statement that takes deliveries out of their rows, and gives a row for each task that still had all of its. */
export const takeText = ({ dialect, place }: Tables): string =>
  `${withTaken(dialect, "id")} update ${tasksById(dialect)} set ${takeOut} from taken${
    endsIdleBeside(dialect, idleMillis)
  }
    where etm_tasks.manager = ${place(2)} and etm_tasks.id = taken.id and ${namesAll}
    returning etm_tasks.number`

/** The statement for what the rows of these tasks still name. */
export const namedText = ({ dialect, place }: Tables): string =>
  `${withTaken(dialect, "id")} select ${namedColumns} from taken
    join ${tasksById(dialect)} on etm_tasks.id = taken.id where etm_tasks.manager = ${place(2)}`

export const acknowledgingWith = (
  name: string,
  locking: TransactionSet,
  { ask, fork, gone, putBack, taken }: Pick<ToGroups, "ask" | "fork" | "taken" | "putBack" | "gone">
): Effect.Effect<Acknowledging, never, SqlClient.SqlClient> =>
  Effect.map(SqlClient.SqlClient, (sql) => {
    const inHand = new Map<string, Delivery>()
    const stillHeld = new StillHeld({
      fork,
      say: (group, held) =>
        ask(group, (client, header) => client.Settle({ header: { ...header, held: held() } }), nothing, {
          isSilent: true
        })
    })
    const tables = (group: number) => tablesOf(sql, journalOf(name, group), undefined)

    const take = (group: number, deliveries: ReadonlyArray<Delivery>) =>
      Effect.withFiberRuntime<void, SqlError | JournalError>(({ currentContext }) => {
        const ofGroup = tables(group)
        const { fail, name, sql } = ofGroup
        const transaction = transactionOf(currentContext)
        if (transaction !== undefined) {
          if (deliveries.some(({ within }) => within === transaction)) return Effect.die(transactionAround("runner"))
          locking.add(currentContext)
        }
        if (deliveries.some(({ order }) => order === undefined)) {
          return Effect.fail(fail("Fenced", "does not know these deliveries any more"))
        }
        for (const delivery of deliveries) delivery.isAcknowledged = true
        const rows = byTask(deliveries)
        return Effect.flatMap(
          sql.unsafe(takeText(ofGroup), [JSON.stringify(rows), name]),
          (found) =>
            found.length === rows.length
              ? Effect.void
              : Effect.fail(fail("Fenced", "has a reader already that has acknowledged this"))
        )
      })

    /** The numbers of deliveries that the rows do not name any more. */
    const goneOf = (group: number, deliveries: ReadonlyArray<Delivery>): Effect.Effect<ReadonlyArray<number>> => {
      const ofGroup = tables(group)
      const asked = deliveries.filter(({ isAcknowledged }) => isAcknowledged)
      const looking = Effect.map(
        ofGroup.sql.unsafe<Row>(namedText(ofGroup), [
          JSON.stringify(byTask(asked)),
          ofGroup.name
        ]),
        (rows) => {
          const named = namedIn(rows)
          return asked.flatMap(({ order }) => order === undefined || named.has(order) ? [] : [order])
        }
      )
      return onWire(Effect.timeoutOption(Effect.disconnect(looking), answeredWithin)).pipe(
        Effect.map(Option.getOrElse((): ReadonlyArray<number> => [])),
        // it comes again, and is found there then
        Effect.orElseSucceed(() => [])
      )
    }

    return {
      keep: (group, token) => stillHeld.add(group, token),
      acknowledge: (updates) =>
        Effect.suspend(() => {
          checkUpdates(updates)
          const groups = new Map<number, Array<Delivery>>()
          for (const ref of deliveriesIn(updates)) {
            const delivery = inHand.get(keyOf(ref))
            if (delivery === undefined) continue
            const ofGroup = groups.get(delivery.group) ?? []
            ofGroup.push(delivery)
            groups.set(delivery.group, ofGroup)
          }
          return Effect.forEach(groups, ([group, deliveries]) => take(group, deliveries), { discard: true })
        }),
      hold: (context, group, given, updates) => {
        const within = transactionOf(context)
        const refs = deliveriesIn(updates)
        const { orders } = given
        const deliveries = refs.map((ref, index): Delivery => ({
          ref,
          group,
          order: orders.length === refs.length ? orders[index] : undefined,
          within,
          isAcknowledged: false
        }))
        for (const delivery of deliveries) inHand.set(keyOf(delivery.ref), delivery)
        const isOver = stillHeld.add(group, given.token)
        const letGo = (): void => {
          isOver()
          for (const delivery of deliveries) {
            const key = keyOf(delivery.ref)
            if (inHand.get(key) === delivery) inHand.delete(key)
          }
        }
        return {
          end: (isTaken) =>
            Effect.suspend(() => {
              letGo()
              if (isTaken) return Effect.sync(() => taken(group, given))
              if (!deliveries.some(({ isAcknowledged }) => isAcknowledged)) {
                return Effect.sync(() => putBack(group, given))
              }
              return Effect.withFiberRuntime(({ currentContext }) =>
                // what a transaction sees that is not over is not what counts
                transactionOf(currentContext) !== undefined
                  ? Effect.sync(() => putBack(group, given))
                  : Effect.map(goneOf(group, deliveries), (orders) => {
                    if (orders.length === deliveries.length) return taken(group, given)
                    gone(group, orders)
                    putBack(group, given)
                  })
              )
            })
        }
      }
    }
  })
