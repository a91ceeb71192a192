/**
 * Transactions that hold the rows of tasks for which they have acknowledged something. A runner that writes such a row waits for their
 * end, with all of its groups: in them nothing may wait for a runner.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Context from "effect/Context"
import * as Option from "effect/Option"

/** The connection of the transaction that a caller with this context is in. */
export const transactionOf = (context: Context.Context<never>): Connection | undefined =>
  Option.getOrUndefined(Context.getOption(context, SqlClient.TransactionConnection))?.[0]

export class LockingTransactions {
  private readonly connections = new WeakSet<Connection>()

  add(transaction: Connection): void {
    this.connections.add(transaction)
  }

  /** Throws where a caller with this context is in one. */
  check(context: Context.Context<never>): void {
    const transaction = transactionOf(context)
    if (transaction !== undefined && this.connections.has(transaction)) throw callInside
  }
}

const callInside = new TypeError(
  "A method of a client that waits for a runner was called inside withTransaction, after an acknowledgement: the runner would wait for " +
    "the end of the transaction, which waits for the runner"
)
