/**
 * Collects what steps change, writes it in groups, one after the other, and lets out what follows from the steps of a group once it
 * is written. A group takes all that has come together while the one before was written.
 *
 * | the writer is | a step changes | what leaves the step             | deliveries         | a reply                       |
 * | ------------- | -------------- | -------------------------------- | ------------------ | ----------------------------- |
 * | Open          | its group      | after the group                  | those written      | after the group               |
 * | Closed        | memory         | at once                          | those written      | at once                       |
 * | Gone          | memory         | at once, but no event            | none               | dies, or interrupts its caller|
 *
 * It is Closed once a manager was shut down and everything is written, and Gone once the journal is lost, or is to be kept as it
 * is for the next process.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { JournalError } from "../../errors.js"
import type { Session } from "../../machine/state/Session.js"
import type { TableJournal } from "../../machine/state/TableJournal.js"
import type { SettledTask, TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Brings, Undelivered } from "../../machine/state/Undelivered.js"
import type { TaskId } from "../../model/ids.js"
import type { Metadata } from "../../model/json.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { JournalGroup, JournalRow, OpenJournal, OutputChunk } from "../../services/Journal.js"
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
}

/** What was held back until a group is written. */
export interface Held {
  /** Lets it out. */
  readonly letOut: () => void
  /** The journal is gone: tools end and waiters go on, but nothing is told. */
  readonly letGo: () => void
}

interface Group extends JournalGroup {
  readonly tasks: ReadonlyArray<TaskRecord>
  readonly acknowledged: ReadonlyArray<Sent>
  readonly held: Held
}

/** Somebody who waits for a write. */
interface Waiting {
  readonly written: () => void
  /** The journal is gone: it will not be written. */
  readonly gone: () => void
}

/** What the writer asks of its manager. */
export interface WriterOwner {
  /** Takes what is held back by now. */
  readonly takeHeld: () => Held
  /** Deliveries of these tasks may leave from now on. */
  readonly arrived: (tasks: Iterable<TaskRecord>) => void
  /** Every task is cancelled. */
  readonly stop: () => void
  /** The journal is lost: as `stop`, and nobody waits any longer. */
  readonly lost: () => void
}

const nothing: Held = { letOut: () => {}, letGo: () => {} }
/** The last chunk of output is written again as it grows, until it has so many bytes; no chunk has more than the second. */
const fullChunk = 8_192
const largestChunk = 65_536

const firstRetryMillis = 20
const longestRetryMillis = 500

/** What names a delivery to those who have it: a task may ask more than once. */
export interface DeliveredRef {
  readonly brings: Brings
  readonly taskId: TaskId
  readonly asking: string | undefined
}

const keyOf = ({ asking = "", brings, taskId }: DeliveredRef): string => `${brings} ${asking} ${taskId}`

export class JournalWriter implements TableJournal {
  readonly journal: OpenJournal
  lastWritten: number
  /** Whether memory may know less than what is written. */
  hasForgotten: boolean
  owner: WriterOwner = { takeHeld: () => nothing, arrived: () => {}, stop: () => {}, lost: () => {} }
  /** Groups and rows that were written, and when the last group was, in epoch milliseconds. */
  readonly counts = { groups: 0, rows: 0, lastWriteAt: 0 }
  private readonly table: TaskTable
  private readonly clock: Clock.Clock
  private mode: "Open" | "Closed" | "Gone" = "Open"
  private error: JournalError | undefined = undefined
  private writtenSeq: number
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
  private isHolding = false
  private waiters: Array<Waiting> = []
  private inFlight: Group | undefined = undefined
  private inFlightWaiters: Array<Waiting> = []
  private readonly lossWaiters = new Set<() => void>()
  private signal: (() => void) | undefined = undefined
  private renewedAt: number
  private isRenewalDue = false
  private isOverdue = false
  private oldestUnwrittenAt: number | undefined = undefined

  constructor(journal: OpenJournal, table: TaskTable, clock: Clock.Clock) {
    this.journal = journal
    this.table = table
    this.clock = clock
    this.lastWritten = journal.lastDelivery
    this.hasForgotten = journal.lastNumber > 0
    this.writtenSeq = journal.seq
    this.renewedAt = this.now()
  }

  /** On a clock that is never set back. */
  private now(): number {
    return Number(this.clock.unsafeCurrentTimeNanos() / 1_000_000n)
  }

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
      request: this.isRestoring ? undefined : requestText(task.request)
    }
    this.entries.set(task, entry)
    return entry
  }

  private soil(entry: Entry): void {
    if (!this.isRestoring) this.dirty.add(entry)
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
    const sent: Sent = { entry, brings, delivery, key: keyOf({ brings, taskId: task.snapshot.id, asking }) }
    entry.sent[brings] = sent
    if (brings === "detached" && "value" in delivery && delivery.value._tag === "Detached") {
      entry.detached = delivery.value.snapshot
    }
    this.deliveries.set(delivery, sent)
    this.byKey.set(sent.key, sent)
    this.soil(entry)
  }

  wrote(task: TaskRecord): void {
    if (!this.journal.keepsOutput || this.mode !== "Open") return
    const entry = this.entryOf(task)
    entry.output ??= { last: 0, from: 0 }
    this.writing.add(entry)
  }

  outputEnds(task: TaskRecord, output: OutputRing): void {
    const entry = this.entries.get(task)
    if (entry?.output === undefined || this.mode !== "Open") return
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
    if (this.mode === "Open") this.nowAcknowledged.push(sent)
    else this.leaveAcknowledged([sent])
    entry.sent[brings] = undefined
    this.soil(entry)
  }

  forgotten(kept: SettledTask): void {
    this.hasForgotten = true
    const entry = this.kept.get(kept)
    this.kept.delete(kept)
    if (typeof entry === "number") this.removed.push(entry)
    else if (entry !== undefined) this.dirty.add(entry)
  }

  /** Rows that are owed to nobody are too old. What settled up to `through` and is delivered later goes when it is. */
  remove(numbers: ReadonlyArray<number>, through: number): void {
    this.removedThrough = Math.max(this.removedThrough, through)
    if (this.mode !== "Open" || numbers.length === 0) return
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

  // ---- what steps ask ----

  get isClosed(): boolean {
    return this.mode === "Closed"
  }

  get isGone(): boolean {
    return this.mode === "Gone"
  }

  /** What becomes of whoever still asks something when the journal is gone. */
  get farewell(): Effect.Effect<never> {
    return this.error === undefined ? Effect.interrupt : Effect.die(this.error)
  }

  /** What is done with what leaves a step. */
  afterStep(): "LetOut" | "Hold" | "LetGo" {
    if (this.mode !== "Open") return this.mode === "Gone" ? "LetGo" : "LetOut"
    if (this.isWritten) return "LetOut"
    this.isHolding = true
    this.oldestUnwrittenAt ??= this.now()
    this.wake()
    return "Hold"
  }

  private get isWritten(): boolean {
    return this.mode !== "Open" || !this.hasNews && this.inFlight === undefined
  }

  private get hasNews(): boolean {
    return this.isHolding || this.dirty.size > 0 || this.removed.length > 0 || this.closedSessions.length > 0 ||
      this.writing.size > 0 || this.output.length > 0 ||
      this.table.seq !== this.newestSeq
  }

  /** The number of the last event that is written or about to be. */
  private get newestSeq(): number {
    return this.inFlight?.seq ?? this.writtenSeq
  }

  private wake(): void {
    const { signal } = this
    this.signal = undefined
    signal?.()
  }

  /** Returns once everything that has happened by now is written. */
  readonly synced: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isGone) return this.farewell
    if (this.isWritten) return Effect.void
    return Effect.async<void>((resume) => {
      // the fiber may have stepped back since
      if (this.isGone) resume(this.farewell)
      else if (this.isWritten) resume(Effect.void)
      else this.wait({ written: () => resume(Effect.void), gone: () => resume(this.farewell) })
    })
  })

  private wait(waiting: Waiting): void {
    if (this.hasNews) {
      this.waiters.push(waiting)
      this.wake()
    } else this.inFlightWaiters.push(waiting)
  }

  /** Whether everything that has happened by now is written; if not, `run` is called once it is, and never if the journal is lost. */
  whenWritten(run: () => void): boolean {
    if (this.isGone) return false
    if (this.isWritten) return true
    this.wait({ written: run, gone: () => {} })
    return false
  }

  /** Milliseconds since the oldest change that is not written. */
  get lag(): number {
    return this.oldestUnwrittenAt === undefined ? 0 : this.now() - this.oldestUnwrittenAt
  }

  /** Those of these deliveries whose acknowledgement is not written: for a transaction of their reader, which does it. */
  inTransaction(updates: ReadonlyArray<DeliveredRef>): ReadonlyArray<Sent> {
    return updates.flatMap((update) => this.byKey.get(keyOf(update)) ?? [])
  }

  private leaveAcknowledged(acknowledged: ReadonlyArray<Sent>): void {
    for (const sent of acknowledged) if (this.byKey.get(sent.key) === sent) this.byKey.delete(sent.key)
  }

  // ---- writing ----

  private leaveIfDelivered(entry: Entry): boolean {
    const { sent, settled, task } = entry
    if (settled === undefined || sent.result !== undefined || sent.detached !== undefined) return false
    this.entries.delete(task)
    if (this.kept.has(settled)) this.kept.set(settled, task.order)
    return true
  }

  private rowOf(entry: Entry): JournalRow | undefined {
    const { sent, settled, task } = entry
    const { snapshot } = task
    const isKept = settled !== undefined &&
      (this.journal.keepsSettled || this.table.tasks.get(snapshot.id) === settled)
    if (settled !== undefined && !isKept) this.kept.delete(settled)
    const isDelivered = this.leaveIfDelivered(entry)
    if (isDelivered && (!isKept || entry.seq <= this.removedThrough)) return undefined
    const isClosed = task.session.closed
    // what is written already may have left, and its reader may acknowledge it in a transaction before this group is written
    const place = (one: Sent | undefined): JournalRow["result"] =>
      one === undefined || isClosed ? null : one.delivery.order <= this.lastWritten ? "AsStored" : one.delivery.order
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

  private cut(): Group {
    for (const entry of this.writing) {
      if (entry.output !== undefined && entry.task.output !== undefined) {
        this.collectOutput(entry, entry.output, entry.task.output)
      }
    }
    const { closedSessions, dirty, nowAcknowledged, output, outputForgotten, removed, table } = this
    this.writing = new Set()
    this.output = []
    this.outputForgotten = []
    this.dirty = new Set()
    this.nowAcknowledged = []
    this.removed = []
    this.closedSessions = []
    this.inFlightWaiters = this.waiters
    this.waiters = []
    this.isHolding = false
    const rows: Array<JournalRow> = []
    for (const entry of dirty) {
      const row = this.rowOf(entry)
      if (row === undefined) removed.push(entry.task.order)
      else rows.push(row)
    }
    return {
      closedSessions,
      rows,
      output,
      outputForgotten,
      removed,
      seq: table.seq,
      lastTaskNumber: table.lastTaskNumber,
      lastDelivery: table.lastDelivery,
      tasks: Array.from(dirty, ({ task }) => task),
      acknowledged: nowAcknowledged,
      held: this.owner.takeHeld()
    }
  }

  private get leaseEnd(): number {
    return this.renewedAt + this.journal.leaseMillis
  }

  private persist(group: Group): Effect.Effect<void, Cause.Cause<JournalError>> {
    const isEmpty = group.rows.length === 0 && group.removed.length === 0 && group.closedSessions.length === 0 &&
      group.output.length === 0 &&
      group.seq === this.writtenSeq && !this.isRenewalDue
    if (isEmpty) return Effect.void
    let begunAt = 0
    return Effect.retry(
      Effect.sandbox(Effect.suspend(() => {
        begunAt = this.now()
        return this.journal.write(group)
      })),
      {
        schedule: Schedule.union(Schedule.exponential(firstRetryMillis), Schedule.spaced(longestRetryMillis)),
        while: (cause) =>
          this.mode === "Open" && !isFenced(cause) && !Cause.isInterruptedOnly(cause) && this.now() < this.leaseEnd
      }
    ).pipe(Effect.zipLeft(Effect.sync(() => {
      this.renewedAt = begunAt
      this.isRenewalDue = false
      this.counts.groups++
      this.counts.rows += group.rows.length
      this.counts.lastWriteAt = this.clock.unsafeCurrentTimeMillis()
    })))
  }

  private readonly writeGroup: Effect.Effect<void> = Effect.suspend(() => {
    if (this.mode !== "Open") return Effect.void
    const group = this.cut()
    this.inFlight = group
    const begunAt = this.now()
    return Effect.matchEffect(this.persist(group), {
      onSuccess: () => Effect.sync(() => this.groupWritten(group, begunAt)),
      onFailure: (cause) => Effect.sync(() => this.lose(this.errorOf(cause)))
    })
  })

  private groupWritten(group: Group, begunAt: number): void {
    // it was lost while the write took too long
    if (this.mode !== "Open") return
    const waiters = this.inFlightWaiters.splice(0)
    this.inFlight = undefined
    this.writtenSeq = group.seq
    this.lastWritten = group.lastDelivery
    this.leaveAcknowledged(group.acknowledged)
    this.oldestUnwrittenAt = this.hasNews ? begunAt : undefined
    this.owner.arrived(group.tasks)
    group.held.letOut()
    for (const { written } of waiters) written()
  }

  private errorOf(cause: Cause.Cause<JournalError>): JournalError {
    return Option.getOrElse(
      Cause.failureOption(cause),
      () => unavailable(this.journal.name, "could not be written", Cause.squash(cause))
    )
  }

  private lose(error: JournalError): void {
    if (this.mode !== "Open") return
    this.error = error
    this.leave(this.owner.lost)
    for (const wake of this.lossWaiters) wake()
  }

  /** `stop` comes first: what was to be launched must find itself cancelled. */
  private leave(stop: () => void): void {
    this.mode = "Gone"
    this.oldestUnwrittenAt = undefined
    const { inFlight } = this
    this.inFlight = undefined
    stop()
    inFlight?.held.letGo()
    const waiters = [...this.inFlightWaiters.splice(0), ...this.waiters.splice(0)]
    for (const { gone } of waiters) gone()
    this.wake()
  }

  /** Nothing is written any more, and rows stay as they are: the tasks go on in the next process. */
  keep(): void {
    if (this.mode === "Open") this.leave(this.owner.stop)
  }

  /** The manager was shut down, and everything is written. */
  close(): void {
    if (this.mode === "Open") this.mode = "Closed"
    this.wake()
  }

  /** Returns the error once the journal is lost. */
  readonly lost: Effect.Effect<JournalError> = Effect.async((resume) => {
    const wake = () => {
      if (this.error !== undefined) resume(Effect.succeed(this.error))
    }
    wake()
    this.lossWaiters.add(wake)
    return Effect.sync(() => void this.lossWaiters.delete(wake))
  })

  /** Whether the writer has something to do, or nothing any more. */
  private get isDue(): boolean {
    return this.hasNews || this.isRenewalDue || this.mode !== "Open"
  }

  /** Writes one group after the other. */
  readonly run: Effect.Effect<void> = Effect.whileLoop({
    while: () => this.mode === "Open",
    body: () =>
      Effect.zipRight(
        this.isDue ? Effect.void : Effect.async<void>((resume) => {
          // the fiber may have stepped back since
          if (this.isDue) resume(Effect.void)
          else this.signal = () => resume(Effect.void)
        }),
        // whoever is ready now comes into the same group
        Effect.zipRight(Effect.yieldNow(), this.writeGroup)
      ),
    step: () => {}
  })

  /** Renews the lease where no group does, and ends a manager whose write does not end. */
  readonly beat: Effect.Effect<void> = Effect.suspend(() => {
    const pause = Math.max(1, Math.floor(this.journal.leaseMillis / 3))
    return Effect.whileLoop({
      while: () => this.mode === "Open",
      body: () =>
        Effect.zipRight(
          Effect.sleep(pause),
          Effect.sync(() => {
            const isLate = this.inFlight !== undefined && this.now() >= this.leaseEnd
            // a process that was stopped for a while gets time to end its write
            if (isLate && this.isOverdue) this.lose(unavailable(this.journal.name, "did not answer", undefined))
            this.isOverdue = isLate
            if (this.now() - this.renewedAt < pause) return
            this.isRenewalDue = true
            this.wake()
          })
        ),
      step: () => {}
    })
  })
}

const isFenced = (cause: Cause.Cause<JournalError>): boolean =>
  Option.exists(Cause.failureOption(cause), ({ reason }) => reason === "Fenced")

const unavailable = (journal: string, detail: string, cause: unknown): JournalError =>
  new JournalError({ journal, reason: "Unavailable", detail, cause })
