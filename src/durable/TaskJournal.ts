/**
 * The journal of a durable manager, and the acknowledgement that is a part of the caller's own transaction.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { JournalError } from "../errors.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../model/TaskResolution.js"

/**
 * How the writing goes. `groups` and `rows` were written by this process; `lastWriteAt` is in epoch milliseconds, 0 before the
 * first write; `lagMillis` is how long the oldest change has waited to be written, 0 where all is written.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskJournalStatus {
  readonly groups: number
  readonly rows: number
  readonly lastWriteAt: number
  readonly lagMillis: number
}

/**
 * The journal of a durable manager.
 *
 * @example
 * ```ts
 * import * as SqlClient from "@effect/sql/SqlClient"
 * import { Effect } from "effect"
 * import { type PendingLoopUpdates, type SessionId, TaskManager } from "effect-task-manager"
 * import { TaskJournal } from "effect-task-manager/durable"
 *
 * // what the updates bring is stored together with the fact that they were taken: both, or neither
 * const takeAll = (sessionId: SessionId, store: (updates: PendingLoopUpdates) => Effect.Effect<void>) =>
 *   Effect.gen(function*() {
 *     const manager = yield* TaskManager
 *     const journal = yield* TaskJournal
 *     const sql = yield* SqlClient.SqlClient
 *     yield* manager.consumePendingLoopUpdates(sessionId, (updates) =>
 *       sql.withTransaction(Effect.zipRight(store(updates), journal.acknowledge(updates))))
 *   })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TaskJournal extends Context.Tag("effect-task-manager/TaskJournal")<TaskJournal, {
  /**
   * Acknowledges what `use` of a `consume…` method was given, in the transaction that the calling fiber is in. Fails with
   * `JournalError` (`Fenced`) if another manager has taken over, and with `SqlError` if the database refuses: then let the
   * transaction fail too. From then on Postgres ends the transaction when nothing happens in it for a lease. Once the journal is lost
   * it dies with what `lost` gives, and after a shutdown that keeps tasks it interrupts. Without a transaction it counts at once. Updates that no
   * consumer has are ignored.
   */
  readonly acknowledge: (
    updates: TurnTaskUpdate | PendingLoopUpdates | TaskResolution
  ) => Effect.Effect<void, SqlError | JournalError>
  /** Which journal of the database it is, as given to `TaskManagerDurable.layer`. */
  readonly name: string
  /** How long the journal stays this manager's without a renewal of its lease, in milliseconds. */
  readonly leaseMillis: number
  /** How often the journal was opened, this time included. */
  readonly epoch: number
  /** How the writing goes. */
  readonly status: Effect.Effect<TaskJournalStatus>
  /** Returns when the journal is lost: another manager has taken it over, or the database is gone. End the process. */
  readonly lost: Effect.Effect<JournalError>
}>() {}
