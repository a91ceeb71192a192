/**
 * The concurrent manager whose tasks outlive its process: every task is written to a database before anything about it is published.
 *
 * @since 0.1.0
 */
import type * as Migrator from "@effect/sql/Migrator"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { JournalError } from "../errors.js"
import { TaskManager } from "../services/TaskManager.js"
import type { ToolExecutor } from "../services/ToolExecutor.js"
import type { DurableOptions } from "./DurableOptions.js"
import { makeDurable } from "./internal/makeDurable.js"
import * as schema from "./internal/schema.js"
import { TaskJournal } from "./TaskJournal.js"

/**
 * Makes durable managers. They keep the contract of `TaskManagerLive`, and every task, result, approval and number outlives the
 * process: see docs/durable.md for what is promised and what is not.
 *
 * @example
 * ```ts
 * import type * as SqlClient from "@effect/sql/SqlClient"
 * import { Effect, Layer } from "effect"
 * import { ToolExecutor } from "effect-task-manager"
 * import { TaskManagerDurable } from "effect-task-manager/durable"
 *
 * const Tools = ToolExecutor.fromHandlers({ echo: () => Effect.succeed("done") })
 * const managerOn = (Sql: Layer.Layer<SqlClient.SqlClient>) =>
 *   TaskManagerDurable.layer({ name: "agent" }).pipe(Layer.provide(Tools), Layer.provide(Sql))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerDurable = {
  /**
   * The manager of one journal, on any `SqlClient` of SQLite or Postgres. It creates or updates its tables, takes the journal, and
   * goes on with what an earlier process has left. Tasks that go on run with the layer's `ToolExecutor`. Fails with `JournalError`
   * (`Owned`, `Version`, `Damaged`, and `Unavailable` where another process locks the SQLite file, or the database answers nothing, for
   * a lease), with `MigrationError` where the tables cannot be made, and with `SqlError` where the database refuses. Dies on options that
   * are out of range, and on a client of another database.
   */
  layer: (options: DurableOptions = {}): Layer.Layer<
    TaskManager | TaskJournal,
    JournalError | Migrator.MigrationError | SqlError,
    SqlClient.SqlClient | ToolExecutor
  > =>
    Layer.scopedContext(
      Effect.map(
        makeDurable(options),
        ({ journal, manager }) => Context.make(TaskManager, manager).pipe(Context.add(TaskJournal, journal))
      )
    ),
  /** Creates the tables of the journal or brings them up to date, as the layer does; for deployments that do it in a step of its own. Fails as the layer does where it cannot. */
  migrate: schema.migrate
}
