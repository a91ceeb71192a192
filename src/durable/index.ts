/**
 * A task manager whose tasks, results and approvals outlive its process, in SQLite or Postgres.
 *
 * @since 0.1.0
 */
export { JournalError } from "../errors.js"
export * from "./DurableOptions.js"
export * from "./JournalCodec.js"
export * from "./TaskJournal.js"
export * from "./TaskManagerDurable.js"
