/**
 * Where a manager writes its tasks down, so that they outlive its process. By default nowhere.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { JournalError } from "../errors.js"

/**
 * The place of a delivery in a row: its number until its reader has it, then null. `AsStored`: its number is stored already, and
 * its reader may have acknowledged it in a transaction of its own: what the database says stays.
 *
 * @since 0.1.0
 * @category models
 */
export type StoredDelivery = number | null | "AsStored"

/**
 * The latest state of one task. A later row of the same `number` replaces it.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalRow {
  /** In which order the task was started, among all of its journal. */
  readonly number: number
  readonly taskId: string
  readonly sessionId: string
  readonly turnId: string
  readonly status: string
  /** The number of its terminal event; null while it is live. */
  readonly settled: number | null
  readonly result: StoredDelivery
  readonly approval: StoredDelivery
  readonly detached: StoredDelivery
  /** The call as JSON; null where it is stored already. */
  readonly request: string | null
  /** Everything else as JSON, in the form of `version`. */
  readonly doc: string
  readonly version: number
}

/**
 * A piece of what a task has written, from byte `start` on; a later one with the same start replaces it.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputChunk {
  /** That of the row of the task. */
  readonly number: number
  readonly start: number
  /** How many bytes of UTF-8 the text has. */
  readonly bytes: number
  readonly text: string
}

/** Numbers of which none is used twice. */
interface JournalCounters {
  /** Of the last event. */
  readonly seq: number
  /** Of the last task id that the manager made. */
  readonly lastTaskNumber: number
  /** Of the last delivery. */
  readonly lastDelivery: number
}

/**
 * What is written together, in this order: sessions that were closed lose their deliveries, and so do rows that owe nothing any more,
 * rows are replaced, output is added and the oldest of it goes, rows go with their output.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalGroup extends JournalCounters {
  /** Counts the groups since the journal was opened, from 1. A group that is written again has the same. */
  readonly number: number
  readonly closedSessions: ReadonlyArray<string>
  /** The numbers of rows whose only change is that all their deliveries were taken: none of them is in `rows`. */
  readonly delivered: ReadonlyArray<number>
  readonly rows: ReadonlyArray<JournalRow>
  readonly output: ReadonlyArray<OutputChunk>
  /** Of these tasks no output is kept that ends before a byte. */
  readonly outputForgotten: ReadonlyArray<{ readonly number: number; readonly before: number }>
  readonly removed: ReadonlyArray<number>
}

/**
 * How a manager works while its database does: at most half of the calls that a large group releases go on before the next group is sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalOverlap {
  /** A group of fewer tasks releases all of them at once. */
  readonly fewestTasks: number
  /** Calls `run` in the next turn of the event loop, before which a group that is given to `write` now is sent. */
  readonly nextTurn: (run: () => void) => void
}

/**
 * A delivery, as the row of its task names it until its reader has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoredDeliveryRef {
  /** That of the row. */
  readonly number: number
  readonly brings: "result" | "approval" | "detached"
  /** That of the delivery. */
  readonly order: number
}

/**
 * A journal that this manager alone may write to, until another one takes it over.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenJournal extends JournalCounters {
  readonly name: string
  /** The highest number that a row has, also one that was not read: those of new tasks come after it. */
  readonly lastNumber: number
  /** How often the journal was opened. */
  readonly epoch: number
  /** How long a manager that cannot write still counts as the owner. */
  readonly leaseMillis: number
  /** Whether live tasks stay as they are when the manager is shut down, and go on after the next start. */
  readonly keepsTasks: boolean
  /** Whether settled tasks stay when the manager forgets them, until they are removed by their numbers. */
  readonly keepsSettled: boolean
  /** Whether what tools write is written down. */
  readonly keepsOutput: boolean
  /** Undefined where this process does nothing else while a group is written, or writes the groups of several journals together. */
  readonly overlap: JournalOverlap | undefined
  /**
   * Writes a group in one transaction and renews the lease. Fails with `Fenced` if another manager has taken over; after any
   * other failure the same group may be written again, and counts once: its first try may have been written already, or may still
   * arrive.
   */
  readonly write: (group: JournalGroup) => Effect.Effect<void, JournalError>
  /** The numbers of those deliveries that no row names any more. It waits for a transaction that is about to take one out of its row. */
  readonly unowed: (deliveries: ReadonlyArray<StoredDeliveryRef>) => Effect.Effect<ReadonlyArray<number>, JournalError>
}

/**
 * The journal of the manager that is built; undefined for a manager in memory.
 *
 * @since 0.1.0
 * @category services
 */
export class Journal extends Context.Reference<Journal>()("effect-task-manager/Journal", {
  defaultValue: (): OpenJournal | undefined => undefined
}) {}
