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
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Undelivered } from "../../machine/state/Undelivered.js"
import type { JournalGroup, OpenJournal } from "../../services/Journal.js"
import { monotonicMillis } from "../../shared/monotonic.js"
import { goingOnAtOnce } from "./goingOn.js"
import { type Changes, type Sent, storedRefOf, Unwritten } from "./Unwritten.js"

/** What was held back until a group is written. */
export interface Held {
  /** Lets it out. */
  readonly letOut: () => void
  /** The journal is gone: tools end and waiters go on, but nothing is told. */
  readonly letGo: () => void
}

interface Group extends JournalGroup, Pick<Changes, "tasks" | "acknowledged"> {
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
const firstRetryMillis = 20
const longestRetryMillis = 500

export class JournalWriter extends Unwritten {
  owner: WriterOwner = { takeHeld: () => nothing, arrived: () => {}, stop: () => {}, lost: () => {} }
  /** Groups and rows that were written, and when the last group was, in epoch milliseconds. */
  readonly counts = { groups: 0, rows: 0, lastWriteAt: 0 }
  private readonly clock: Clock.Clock
  private mode: "Open" | "Closed" | "Gone" = "Open"
  private error: JournalError | undefined = undefined
  private writtenSeq: number
  private cuts = 0
  private isHolding = false
  private waiters: Array<Waiting> = []
  private inFlight: Group | undefined = undefined
  private inFlightWaiters: Array<Waiting> = []
  /** What a written group lets on and what has not gone on yet, in its order. */
  private written: Array<() => void> = []
  private readonly lossWaiters = new Set<() => void>()
  private signal: (() => void) | undefined = undefined
  private renewedAt: number
  private isRenewalDue = false
  private isOverdue = false
  private oldestUnwrittenAt: number | undefined = undefined

  constructor(journal: OpenJournal, table: TaskTable, clock: Clock.Clock) {
    super(journal, table)
    this.clock = clock
    this.writtenSeq = journal.seq
    this.renewedAt = this.now()
  }

  private now(): number {
    return monotonicMillis(this.clock)
  }

  // ---- what steps ask ----

  protected override get isOpen(): boolean {
    return this.mode === "Open"
  }

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
    return this.isHolding || this.hasChanges || this.table.seq !== this.newestSeq
  }

  /** The number of the last event that is written or about to be. */
  private get newestSeq(): number {
    return this.inFlight?.seq ?? this.writtenSeq
  }

  protected override wake(): void {
    const { signal } = this
    this.signal = undefined
    signal?.()
  }

  /** Returns once everything that has happened by now is written. */
  readonly synced: Effect.Effect<void> = Effect.suspend(() => this.afterWrite(Effect.void))

  /** Gives an answer once everything that has happened by now is written. A fiber calls it in the step that goes on with what it gives. */
  afterWrite<A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    if (this.isGone) return this.farewell
    if (this.isWritten) return answer
    return Effect.async<A, E>((resume) => {
      // the fiber may have stepped back since
      if (this.isGone) resume(this.farewell)
      else if (this.isWritten) resume(answer)
      else this.wait({ written: () => resume(answer), gone: () => resume(this.farewell) })
    })
  }

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

  /** Those of which the transaction of their reader was committed. Where the database does not say so, it is found out when they are acknowledged again. */
  committedOf(acknowledged: ReadonlyArray<Sent>): Effect.Effect<ReadonlyArray<Undelivered>> {
    if (this.isGone) return Effect.succeed([])
    return Effect.matchCause(this.journal.unowed(acknowledged.map(storedRefOf)), {
      onSuccess: (orders) => {
        const committed = new Set(orders)
        for (const sent of acknowledged) sent.acknowledged = "Not"
        return acknowledged.flatMap(({ delivery }) => committed.has(delivery.order) ? [delivery] : [])
      },
      onFailure: () => {
        for (const sent of acknowledged) sent.acknowledged = "Unsure"
        return []
      }
    })
  }

  // ---- writing ----

  private cut(): Group {
    this.inFlightWaiters = this.waiters
    this.waiters = []
    this.isHolding = false
    const { lastDelivery, lastTaskNumber, seq } = this.table
    return {
      ...this.takeChanges(),
      number: ++this.cuts,
      seq,
      lastTaskNumber,
      lastDelivery,
      held: this.owner.takeHeld()
    }
  }

  private get leaseEnd(): number {
    return this.renewedAt + this.journal.leaseMillis
  }

  private persist(group: Group): Effect.Effect<void, Cause.Cause<JournalError>> {
    const isEmpty = group.rows.length === 0 && group.delivered.length === 0 && group.removed.length === 0 &&
      group.closedSessions.length === 0 &&
      group.output.length === 0 &&
      group.seq === this.writtenSeq && !this.isRenewalDue
    if (isEmpty) return Effect.void
    let begunAt = 0
    const write = Effect.sandbox(Effect.suspend(() => {
      begunAt = this.now()
      return this.journal.write(group)
    }))
    // a schedule costs something, and most writes need none
    return Effect.catchAll(write, (cause) => this.again(write, cause)).pipe(Effect.zipLeft(Effect.sync(() => {
      this.renewedAt = begunAt
      this.isRenewalDue = false
      this.counts.groups++
      this.counts.rows += group.rows.length + group.delivered.length
      this.counts.lastWriteAt = this.clock.unsafeCurrentTimeMillis()
    })))
  }

  /** Tries a write again that has failed, for as long as the lease is there. */
  private again(
    write: Effect.Effect<void, Cause.Cause<JournalError>>,
    cause: Cause.Cause<JournalError>
  ): Effect.Effect<void, Cause.Cause<JournalError>> {
    const mayBeTried = (failed: Cause.Cause<JournalError>): boolean =>
      this.mode === "Open" && !isFenced(failed) && !Cause.isInterruptedOnly(failed) && this.now() < this.leaseEnd
    if (!mayBeTried(cause)) return Effect.fail(cause)
    const retried = Effect.retry(write, {
      schedule: Schedule.union(Schedule.exponential(2 * firstRetryMillis), Schedule.spaced(longestRetryMillis)),
      while: mayBeTried
    })
    return Effect.zipRight(Effect.sleep(firstRetryMillis), retried)
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
    this.goOn()
    const letOut = () => {
      this.lastWritten = group.lastDelivery
      this.owner.arrived(group.tasks)
      group.held.letOut()
    }
    this.written = [letOut, ...this.inFlightWaiters.splice(0).map(({ written }) => written)]
    this.inFlight = undefined
    this.writtenSeq = group.seq
    this.lastStored = group.lastDelivery
    this.leaveAcknowledged(group.acknowledged)
    this.oldestUnwrittenAt = this.hasNews ? begunAt : undefined
    const { overlap } = this.journal
    this.goOn(goingOnAtOnce(overlap, { tasks: group.tasks.length, ready: this.changedTasks }))
    if (this.written.length > 0) overlap?.nextTurn(() => this.goOn())
  }

  /** Lets on so many of those whose group is written. */
  private goOn(count = Infinity): void {
    for (const run of this.written.splice(0, count)) run()
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
    // these are written
    this.goOn()
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
    this.goOn()
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
