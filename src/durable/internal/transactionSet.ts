/** The transaction that a caller is in, and those that hold rows for which a write of a manager has to wait. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Context from "effect/Context"
import * as Option from "effect/Option"

/** The connection of the transaction that a caller with this context is in. */
export const transactionOf = (context: Context.Context<never>): Connection | undefined =>
  Option.getOrUndefined(Context.getOption(context, SqlClient.TransactionConnection))?.[0]

export class TransactionSet {
  private readonly connections = new WeakSet<Connection>()

  add(transaction: Connection): void {
    this.connections.add(transaction)
  }

  /** Whether a caller with this context is in one of them. */
  holds(context: Context.Context<never>): boolean {
    const transaction = transactionOf(context)
    return transaction !== undefined && this.connections.has(transaction)
  }
}
