/**
 * The acknowledgement of a client of a cluster that is a part of the caller's own transaction.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { JournalError } from "../errors.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../model/TaskResolution.js"

/**
 * The journals of a cluster, for a client. Unlike `TaskJournal` it has no `epoch`, `status` and `lost`: each group has its own,
 * and a client loses none.
 *
 * @example
 * ```ts
 * import * as SqlClient from "@effect/sql/SqlClient"
 * import { Effect } from "effect"
 * import { type PendingLoopUpdates, type SessionId, TaskManager } from "effect-task-manager"
 * import { ClusterJournal } from "effect-task-manager/cluster"
 *
 * // what the updates bring is stored together with the fact that they were taken: both, or neither
 * const takeAll = (sessionId: SessionId, store: (updates: PendingLoopUpdates) => Effect.Effect<void>) =>
 *   Effect.gen(function*() {
 *     const manager = yield* TaskManager
 *     const journal = yield* ClusterJournal
 *     const sql = yield* SqlClient.SqlClient
 *     yield* manager.consumePendingLoopUpdates(sessionId, (updates) =>
 *       sql.withTransaction(Effect.zipRight(store(updates), journal.acknowledge(updates))))
 *   })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class ClusterJournal extends Context.Tag("effect-task-manager/ClusterJournal")<ClusterJournal, {
  /**
   * Acknowledges what `use` of a `consume…` method was given, or what a stream of updates gave last, in the transaction that the calling
   * fiber is in; without one it counts at once. Of all transactions that acknowledge the same delivery only one counts, whichever clients they
   * are from and whichever runner has the group meanwhile. In the others, and where it comes twice in one transaction, it fails with
   * `JournalError` (`Fenced`): then let the transaction fail too. What was acknowledged elsewhere does not come again to this client.
   * Fails with `SqlError` if the database refuses. Updates that no consumer of this client has are ignored. Dies with a `TypeError` in a
   * transaction that is around the consumer; once it was called, calls that ask a runner die in that transaction. From then on Postgres
   * ends the transaction when nothing happens in it for 3 seconds.
   */
  readonly acknowledge: (
    updates: TurnTaskUpdate | PendingLoopUpdates | TaskResolution
  ) => Effect.Effect<void, SqlError | JournalError>
}>() {}
