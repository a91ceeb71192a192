/** What the demo tells a process of the agent. */
import { Schema } from "effect"

export const Orders = Schema.Struct({
  database: Schema.Union(
    Schema.TaggedStruct("Sqlite", { filename: Schema.String }),
    Schema.TaggedStruct("Postgres", { url: Schema.String })
  ),
  workshop: Schema.Struct({
    root: Schema.String,
    processes: Schema.String,
    environment: Schema.Record({ key: Schema.String, value: Schema.String })
  }),
  /** A file for what it says, one line for each thing. */
  log: Schema.String
})

export type Orders = typeof Orders.Type

/** The exit code of a process, and of the demo, that has lost its journal. */
export const lostCode = 3

/** Where a process finds its orders: arguments can be read by everybody on the machine, and these may name a database with its password. */
export const ordersVariable = "TASK_MANAGER_DEMO_ORDERS"
