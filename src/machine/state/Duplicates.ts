/** What a task has in common with the same calls of its session. */
import type { TaskRecord } from "./TaskRecord.js"
import type { TaskWait, Waiter } from "./Waiter.js"

/** What becomes of a call that is the same as a live one; one that just runs has none. */
export type DuplicatePolicy = "join" | "reject"

/** What a task has whose route says that the same call matters. */
export interface Duplicates {
  readonly policy: DuplicatePolicy
  /** The same for the same calls of a session. */
  readonly key: string
  /** Those that have joined it, oldest first; made for the first of them. */
  joined: Set<TaskRecord> | undefined
  /** What it has joined itself. */
  join: Join | undefined
  /** The first launch that its tool sees: the second one where a limit has held the first. */
  firstLaunch: number
}

/** The wait of a task for the result of the same call. */
interface Join {
  readonly first: TaskRecord
  readonly waiter: Waiter
  readonly wait: TaskWait
}
