/** What a manager that writes its tasks down is told. */
import type { Metadata } from "../../model/json.js"
import type { OutputRing } from "../../shared/OutputRing.js"
import type { Session } from "./Session.js"
import type { SettledTask, TaskRecord } from "./TaskRecord.js"
import type { Brings, Undelivered } from "./Undelivered.js"

/** What transitions tell a manager that writes its tasks down, so that it knows what to write. Undefined in memory. */
export interface TableJournal {
  /** The order of the last delivery that is written: what comes after it may not leave yet. */
  readonly lastWritten: number
  readonly changed: (task: TaskRecord) => void
  /** `seq` is the number of its terminal event, `metadata` that of the item, which is more than its result. */
  readonly settled: (task: TaskRecord, kept: SettledTask, seq: number, metadata: Metadata | undefined) => void
  readonly sent: (task: TaskRecord, brings: Brings, delivery: Undelivered) => void
  /** Its tool has written something. */
  readonly wrote: (task: TaskRecord) => void
  /** Nothing more is written, and memory may let go of it. */
  readonly outputEnds: (task: TaskRecord, output: OutputRing) => void
  /** Its reader has it for good, or nobody will: it is not sent again after a restart. */
  readonly acknowledged: (delivery: Undelivered) => void
  /** The host does not see the settled task any more. */
  readonly forgotten: (kept: SettledTask) => void
  readonly closed: (session: Session) => void
}
