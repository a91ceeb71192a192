/** A group of a journal on its way to the database, and who writes it. */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { JournalError } from "../../errors.js"
import type { JournalGroup } from "../../services/Journal.js"
import type { Tables } from "./tables.js"

/** A group of a journal. */
export interface Writing {
  readonly tables: Tables
  readonly epoch: number
  readonly leaseMillis: number
  readonly group: JournalGroup
}

/** Writes a group in one transaction and renews the lease of its journal, as `OpenJournal.write` says. */
export interface WriteGroup {
  (writing: Writing): Effect.Effect<void, JournalError>
}

/** Writes groups of journals, each of another one, in a transaction; gives those that are still held by their epoch. */
export interface WriteGroups {
  (writings: ReadonlyArray<Writing>): Effect.Effect<ReadonlyArray<Writing>, SqlError | JournalError>
}
