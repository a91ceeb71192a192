/**
 * What steps have changed and no group has written: which rows, which output, which deliveries. The writer cuts a group of it.
 */
import { isQueued } from "../../machine/delivery.js"
import type { Session } from "../../machine/state/Session.js"
import type { TableJournal } from "../../machine/state/TableJournal.js"
import type { SettledTask, TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Brings, Undelivered } from "../../machine/state/Undelivered.js"
import type { TaskId } from "../../model/ids.js"
import type { Metadata } from "../../model/json.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { JournalRow, OpenJournal, OutputChunk, StoredDeliveryRef } from "../../services/Journal.js"
import type { OutputRing } from "../../shared/OutputRing.js"
import { docText, requestText, rowVersion } from "./taskRows.js"

/** A task that may be written again: it is live, or something of it is undelivered. */
interface Entry {
  readonly task: TaskRecord
  /** What is undelivered, by its number. */
  readonly sent: { [Kind in Brings]?: Sent | undefined }
  /** What is kept of it once it has settled, and the number of its terminal event. */
  settled: SettledTask | undefined
  seq: number
  itemMetadata: Metadata | undefined
  /** The snapshot of the notice that it was detached. */
  detached: TaskSnapshot | undefined
  /** How far its output is written. */
  output: WrittenOutput | undefined
  /** Its call, which is written once; undefined when it is. */
  request: string | undefined
  /** Whether more of it has changed since its row was written than what is undelivered. */
  isChanged: boolean
}

/** The chunk that grows begins at `last`; what ended before `from` is not kept. */
interface WrittenOutput {
  last: number
  from: number
}

/** A delivery that is written and not acknowledged. */
export interface Sent {
  readonly entry: Entry
  readonly brings: Brings
  readonly delivery: Undelivered
  readonly key: string
  /**
   * Its reader has acknowledged it in a transaction of its own, which may have been rolled back. `Unsure`: it was put back, and the database
   * did not say whether that was committed.
   */
  acknowledged: "Not" | "Asked" | "Unsure"
}

/** As its row names it. */
export const storedRefOf = ({ brings, delivery: { order }, entry }: Sent): StoredDeliveryRef => ({
  number: entry.task.order,
  brings,
  order
})

/** The last chunk of output is written again as it grows, until it has so many bytes; no chunk has more than the second. */
const fullChunk = 8_192
const largestChunk = 65_536

/** What names a delivery to those who have it: a task may ask more than once. */
export interface DeliveredRef {
  readonly brings: Brings
  readonly taskId: TaskId
  readonly asking: string | undefined
}

/** Names a delivery among those of a manager. */
export const keyOf = ({ asking = "", brings, taskId }: DeliveredRef): string => `${brings} ${asking} ${taskId}`

/** What is written of steps in one group. */
export interface Changes {
  readonly delivered: ReadonlyArray<number>
  readonly rows: ReadonlyArray<JournalRow>
  readonly removed: ReadonlyArray<number>
  readonly closedSessions: ReadonlyArray<string>
  readonly output: ReadonlyArray<OutputChunk>
  readonly outputForgotten: ReadonlyArray<{ readonly number: number; readonly before: number }>
  readonly tasks: ReadonlyArray<TaskRecord>
  readonly acknowledged: ReadonlyArray<Sent>
}

/** The writer, as far as it collects what is to be written. */
export abstract class Unwritten implements TableJournal {
  readonly journal: OpenJournal
  lastWritten: number
  /** The newest delivery that is stored; those after `lastWritten` have not been let out. */
  protected lastStored: number
  /** Whether memory may know less than what is written. */
  hasForgotten: boolean
  protected readonly table: TaskTable
  /** Rows that are there already are not written again for being read. */
  private isRestoring = true
  private readonly entries = new Map<TaskRecord, Entry>()
  /** What is to be written again or removed when the settled task is forgotten: the latter by its number. */
  private readonly kept = new Map<SettledTask, Entry | number>()
  private readonly deliveries = new Map<Undelivered, Sent>()
  /** Also what is acknowledged until that is written: a reader that has it may acknowledge it in a transaction of its own. */
  private readonly byKey = new Map<string, Sent>()
  private nowAcknowledged: Array<Sent> = []
  private dirty = new Set<Entry>()
  private removed: Array<number> = []
  /** Whose tools have written since the last group, and what is written down of it. */
  private writing = new Set<Entry>()
  private output: Array<OutputChunk> = []
  private outputForgotten: Array<{ readonly number: number; readonly before: number }> = []
  private closedSessions: Array<string> = []
  /** Everything that settled up to this event and is owed to nobody has been removed. */
  private removedThrough = 0

  constructor(journal: OpenJournal, table: TaskTable) {
    this.journal = journal
    this.table = table
    this.lastWritten = journal.lastDelivery
    this.lastStored = journal.lastDelivery
    this.hasForgotten = journal.lastNumber > 0
  }

  /** Whether anything is still written. */
  protected abstract get isOpen(): boolean

  /** There is something to write. */
  protected abstract wake(): void

  // ---- what transitions tell ----

  private entryOf(task: TaskRecord): Entry {
    const known = this.entries.get(task)
    if (known !== undefined) return known
    const entry: Entry = {
      task,
      sent: {},
      settled: undefined,
      seq: 0,
      itemMetadata: undefined,
      detached: undefined,
      output: task.output === undefined ? undefined : { last: task.output.end, from: task.output.start },
      // now: what a caller changes in its call later must not be written
      request: this.isRestoring ? undefined : requestText(task.request),
      isChanged: false
    }
    this.entries.set(task, entry)
    return entry
  }

  private soil(entry: Entry): void {
    if (this.isRestoring) return
    entry.isChanged = true
    this.dirty.add(entry)
  }

  changed(task: TaskRecord): void {
    this.soil(this.entryOf(task))
  }

  settled(task: TaskRecord, kept: SettledTask, seq: number, metadata: Metadata | undefined): void {
    const entry = this.entryOf(task)
    entry.settled = kept
    entry.seq = seq
    entry.itemMetadata = metadata
    if (!this.journal.keepsSettled) this.kept.set(kept, entry)
    this.soil(entry)
  }

  sent(task: TaskRecord, brings: Brings, delivery: Undelivered): void {
    const entry = this.entryOf(task)
    const asking = brings === "approval" ? task.asked?.approval.asking : undefined
    const key = keyOf({ brings, taskId: task.snapshot.id, asking })
    const sent: Sent = { entry, brings, delivery, key, acknowledged: "Not" }
    entry.sent[brings] = sent
    if (brings === "detached" && "value" in delivery && delivery.value._tag === "Detached") {
      entry.detached = delivery.value.snapshot
    }
    this.deliveries.set(delivery, sent)
    this.byKey.set(sent.key, sent)
    this.soil(entry)
  }

  wrote(task: TaskRecord): void {
    if (!this.journal.keepsOutput || !this.isOpen) return
    const entry = this.entryOf(task)
    entry.output ??= { last: 0, from: 0 }
    this.writing.add(entry)
  }

  outputEnds(task: TaskRecord, output: OutputRing): void {
    const entry = this.entries.get(task)
    if (entry?.output === undefined || !this.isOpen) return
    output.close()
    this.collectOutput(entry, entry.output, output)
    this.writing.delete(entry)
  }

  /** Puts what is not written of an output into the next group. */
  private collectOutput({ task: { order: number } }: Entry, written: WrittenOutput, ring: OutputRing): void {
    for (let start = written.last;;) {
      // what came and went between two groups is skipped
      const piece = ring.read({ start, maxBytes: largestChunk })
      const bytes = piece.end - piece.start
      if (bytes === 0) break
      this.output.push({ number, start: piece.start, bytes, text: piece.text })
      written.last = bytes < fullChunk ? piece.start : piece.end
      if (piece.end === piece.total) break
      start = piece.end
    }
    if (ring.start - written.from < fullChunk) return
    written.from = ring.start
    this.outputForgotten.push({ number, before: ring.start })
  }

  acknowledged(delivery: Undelivered): void {
    const sent = this.deliveries.get(delivery)
    if (sent === undefined) return
    const { brings, entry } = sent
    this.deliveries.delete(delivery)
    if (this.isOpen) this.nowAcknowledged.push(sent)
    else this.leaveAcknowledged([sent])
    entry.sent[brings] = undefined
    if (!this.isRestoring) this.dirty.add(entry)
  }

  forgotten(kept: SettledTask): void {
    this.hasForgotten = true
    const entry = this.kept.get(kept)
    this.kept.delete(kept)
    if (typeof entry === "number") this.removed.push(entry)
    else if (entry !== undefined) {
      entry.isChanged = true
      this.dirty.add(entry)
    }
  }

  /** Rows that are owed to nobody are too old. What settled up to `through` and is delivered later goes when it is. */
  remove(numbers: ReadonlyArray<number>, through: number): void {
    this.removedThrough = Math.max(this.removedThrough, through)
    if (!this.isOpen || numbers.length === 0) return
    for (const number of numbers) this.removed.push(number)
    this.wake()
  }

  /** What of these tasks nobody has taken. */
  undeliveredOf(rows: ReadonlyArray<{ readonly number: number; readonly id: TaskId }>): ReadonlyArray<Sent> {
    return rows.flatMap(({ id, number }) =>
      (["result", "detached"] as const).flatMap((brings) => {
        const sent = this.byKey.get(keyOf({ brings, taskId: id, asking: undefined }))
        // another task may have the id by now
        return sent?.entry.task.order === number ? [sent] : []
      })
    )
  }

  closed(session: Session): void {
    // a session of which nothing is written has no rows that could be meant
    if (session.live === 0 && session.undelivered.count === 0 && session.inHand === 0) return
    this.closedSessions.push(session.id)
    for (const turn of session.turns.values()) for (const task of turn.tasks) this.changed(task)
  }

  /** Everything that was read is in the table. From here on changes are written. */
  restored(): void {
    this.isRestoring = false
    for (const entry of this.entries.values()) if (!this.dirty.has(entry)) this.leaveIfDelivered(entry)
  }

  /**
   * Those of these deliveries that a reader has and whose acknowledgement is not written: for a transaction of their reader, which
   * does it.
   */
  inTransaction(updates: ReadonlyArray<DeliveredRef>): ReadonlyArray<Sent> {
    return updates.flatMap((update) => {
      const sent = this.byKey.get(keyOf(update))
      return sent === undefined || isQueued(sent.delivery) ? [] : [sent]
    })
  }

  /** Their reader acknowledges them in a transaction of its own. Gives what rows name, and which of it may be acknowledged already. */
  beginAcknowledging(updates: ReadonlyArray<DeliveredRef>): {
    readonly all: ReadonlyArray<StoredDeliveryRef>
    readonly unsure: ReadonlyArray<StoredDeliveryRef>
  } {
    const inHand = this.inTransaction(updates)
    const unsure = inHand.filter(({ acknowledged }) => acknowledged === "Unsure").map(storedRefOf)
    for (const sent of inHand) if (sent.acknowledged === "Not") sent.acknowledged = "Asked"
    return { all: inHand.map(storedRefOf), unsure }
  }

  /** Those that their readers have acknowledged in transactions of their own. */
  acknowledgedByReaders(deliveries: ReadonlyArray<Undelivered>): ReadonlyArray<Sent> {
    return deliveries.flatMap((delivery) => {
      const sent = this.deliveries.get(delivery)
      return sent === undefined || sent.acknowledged === "Not" ? [] : [sent]
    })
  }

  protected leaveAcknowledged(acknowledged: ReadonlyArray<Sent>): void {
    for (const sent of acknowledged) if (this.byKey.get(sent.key) === sent) this.byKey.delete(sent.key)
  }

  private leaveIfDelivered(entry: Entry): boolean {
    const { sent, settled, task } = entry
    if (settled === undefined || sent.result !== undefined || sent.detached !== undefined) return false
    this.entries.delete(task)
    if (this.kept.has(settled)) this.kept.set(settled, task.order)
    return true
  }

  private rowOf(entry: Entry): JournalRow | "Delivered" | "Removed" {
    const { sent, settled, task } = entry
    const { snapshot } = task
    const isKept = settled !== undefined &&
      (this.journal.keepsSettled || this.table.tasks.get(snapshot.id) === settled)
    if (settled !== undefined && !isKept) this.kept.delete(settled)
    const isDelivered = this.leaveIfDelivered(entry)
    if (isDelivered && (!isKept || entry.seq <= this.removedThrough)) return "Removed"
    if (isDelivered && !entry.isChanged) return "Delivered"
    entry.isChanged = false
    const isClosed = task.session.closed
    // what is stored may have left, or will: its reader may acknowledge it in a transaction before this group is written
    const place = (one: Sent | undefined): JournalRow["result"] =>
      one === undefined || isClosed ? null : one.delivery.order <= this.lastStored ? "AsStored" : one.delivery.order
    const { request } = entry
    entry.request = undefined
    return {
      number: task.order,
      taskId: snapshot.id,
      sessionId: snapshot.sessionId,
      turnId: snapshot.turnId,
      status: snapshot.status,
      settled: settled === undefined ? null : entry.seq,
      result: place(sent.result),
      approval: place(sent.approval),
      detached: place(sent.detached),
      request: request ?? null,
      doc: docText(task, settled, {
        itemMetadata: sent.result === undefined ? undefined : entry.itemMetadata,
        detached: sent.detached === undefined ? undefined : entry.detached,
        isForgotten: settled !== undefined && !isKept
      }),
      version: rowVersion
    }
  }

  /** Whether there is anything to write. */
  protected get hasChanges(): boolean {
    return this.dirty.size > 0 || this.removed.length > 0 || this.closedSessions.length > 0 || this.writing.size > 0 ||
      this.output.length > 0
  }

  /** Of how many tasks something is to be written. */
  protected get changedTasks(): number {
    return this.dirty.size
  }

  /** Takes what is to be written. */
  protected takeChanges(): Changes {
    for (const entry of this.writing) {
      if (entry.output !== undefined && entry.task.output !== undefined) {
        this.collectOutput(entry, entry.output, entry.task.output)
      }
    }
    const { closedSessions, dirty, nowAcknowledged, output, outputForgotten, removed } = this
    this.writing = new Set()
    this.output = []
    this.outputForgotten = []
    this.dirty = new Set()
    this.nowAcknowledged = []
    this.removed = []
    this.closedSessions = []
    const rows: Array<JournalRow> = []
    const delivered: Array<number> = []
    for (const entry of dirty) {
      const row = this.rowOf(entry)
      if (row === "Removed") removed.push(entry.task.order)
      else if (row === "Delivered") delivered.push(entry.task.order)
      else rows.push(row)
    }
    return {
      delivered,
      rows,
      removed,
      closedSessions,
      output,
      outputForgotten,
      tasks: Array.from(dirty, ({ task }) => task),
      acknowledged: nowAcknowledged
    }
  }
}
