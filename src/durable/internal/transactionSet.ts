/** The transaction that a caller is in, and sets of those in which something is refused, for it would wait for itself. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Context from "effect/Context"
import * as Option from "effect/Option"

/** The connection of the transaction that a caller with this context is in. */
export const transactionOf = (context: Context.Context<never>): Connection | undefined =>
  Option.getOrUndefined(Context.getOption(context, SqlClient.TransactionConnection))?.[0]

export class TransactionSet {
  private readonly connections = new WeakSet<Connection>()

  /** Adds the one that a caller with this context is in. */
  add(context: Context.Context<never>): void {
    const transaction = transactionOf(context)
    if (transaction !== undefined) this.connections.add(transaction)
  }

  /** Whether a caller with this context is in one of them. */
  holds(context: Context.Context<never>): boolean {
    const transaction = transactionOf(context)
    return transaction !== undefined && this.connections.has(transaction)
  }
}

/** What an acknowledgement dies of whose transaction ends after the consumer; `writer` is who writes that the consumer has used it. */
export const transactionAround = (writer: "manager" | "runner"): TypeError =>
  new TypeError(
    `acknowledge was called in a transaction that is around the consumer: the ${writer} would wait for its end, and the consumer for the ` +
      `${writer}. Call withTransaction in what the consumer uses, not around it`
  )
