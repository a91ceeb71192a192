/**
 * A journal in memory, as SQLite and Postgres are one: a group is written whole or not at all, in a transaction that begins with the
 * check of the epoch. It keeps what was ever written, so that what somebody is told can be held against it.
 */
import * as Effect from "effect/Effect"
import { JournalError } from "../../../src/errors.js"
import type { Brings } from "../../../src/machine/state/Undelivered.js"
import type {
  JournalGroup,
  JournalRow,
  OpenJournal,
  StoredDelivery,
  StoredDeliveryRef
} from "../../../src/services/Journal.js"
import { MemoryOutput } from "./MemoryOutput.js"
import type { DurablePlan } from "./plan.js"

/** What a task was in a row that was written. */
const stateIn = ({ doc, status, taskId }: Pick<JournalRow, "doc" | "status" | "taskId">): string =>
  stateOf(taskId, status, Number(/"launch":(\d+)/.exec(doc)?.[1]))

export const stateOf = (taskId: string, status: string, launch: number): string => `${taskId} ${status} ${launch}`

/** A delivery that was stored and is not any more, when nobody is known to have taken it. */
interface Untaken {
  readonly taskId: string
  readonly brings: Brings
  /** Whether it had waited for longer than it may. */
  readonly isDue: boolean
}

const kinds = ["result", "approval", "detached"] as const

export class MemoryDatabase {
  epoch = 0
  leaseUntil = 0
  seq = 0
  lastTaskNumber = 0
  lastDelivery = 0
  readonly rows = new Map<number, JournalRow>()
  /** The last event of each epoch that is written. */
  readonly seqOf = new Map<number, number>()
  /** Every state of a task that was ever written, and every task. */
  readonly states = new Set<string>()
  readonly tasks = new Set<string>()
  /** Which delivery had which number. */
  readonly deliveries = new Map<number, string>()
  readonly sent = new Set<string>()
  /** When each row settled. */
  readonly settledAt = new Map<number, number>()
  readonly output: MemoryOutput
  /** What went otherwise than by an acknowledgement in a transaction: it was taken, or is dropped. */
  readonly untaken: Array<Untaken> = []
  /** How many rows went for their age. */
  aged = 0
  private readonly keeping: DurablePlan["keeping"]
  private readonly now: () => number
  private readonly violate: (rule: string, message: string) => void

  private lastGroup = 0

  constructor(
    keeping: DurablePlan["keeping"],
    now: () => number,
    violate: (rule: string, message: string) => void
  ) {
    this.keeping = keeping
    this.now = now
    this.violate = violate
    this.output = new MemoryOutput(keeping.outputBuffer, violate)
  }

  /** How long ago a row settled; less than any time for one that is live. */
  age(number: number): number {
    return this.now() - (this.settledAt.get(number) ?? Infinity)
  }

  /** Takes the journal: whoever had it can write no more. */
  take(now: number, leaseMillis: number): number {
    this.leaseUntil = now + leaseMillis
    this.seqOf.set(++this.epoch, this.seq)
    this.lastGroup = 0
    return this.epoch
  }

  /** What every write and every acknowledgement begins with. */
  isOwner(epoch: number): boolean {
    return epoch === this.epoch
  }

  leave(epoch: number): void {
    if (epoch === this.epoch) this.leaseUntil = 0
  }

  fenced(): JournalError {
    return new JournalError({ journal: "memory", reason: "Fenced", detail: "was taken over", cause: undefined })
  }

  /** Makes the write, in no time. */
  commit(epoch: number, group: JournalGroup, leaseUntil: number): void {
    this.leaseUntil = leaseUntil
    // an earlier try of it was written
    if (group.number === this.lastGroup) return
    if (group.number < this.lastGroup) this.violate("numbers", `group ${group.number} is written after a later one`)
    this.lastGroup = group.number
    if (group.seq < this.seq || group.lastTaskNumber < this.lastTaskNumber || group.lastDelivery < this.lastDelivery) {
      this.violate("numbers", "a counter went back")
    }
    this.seq = group.seq
    this.lastTaskNumber = group.lastTaskNumber
    this.lastDelivery = group.lastDelivery
    this.seqOf.set(epoch, group.seq)
    for (const sessionId of group.closedSessions) {
      for (const [number, row] of this.rows) {
        if (row.sessionId === sessionId) {
          this.rows.set(number, { ...row, result: null, approval: null, detached: null })
        }
      }
    }
    for (const number of group.delivered) this.deliver(number)
    for (const row of group.rows) this.put(row)
    if (!this.keeping.output && group.output.length > 0) this.violate("output", "is written and not to be kept")
    this.output.commit(group)
    for (const number of group.removed) this.remove(number)
  }

  private deliver(number: number): void {
    const row = this.rows.get(number)
    if (row === undefined || row.settled === null) {
      return this.violate("rows", `row ${number} is delivered and live, or is not there`)
    }
    this.put({ ...row, result: null, approval: null, detached: null })
  }

  private remove(number: number): void {
    const row = this.rows.get(number)
    if (row === undefined) return
    const { settled } = this.keeping
    if (settled > 0) {
      if (this.age(number) < settled) this.violate("retention", `the row of ${row.taskId} went before its time`)
      this.aged++
    }
    for (const brings of kinds) if (row[brings] !== null) this.leaves(row, brings)
    this.rows.delete(number)
  }

  private leaves({ number, taskId }: JournalRow, brings: Brings): void {
    this.untaken.push({ taskId, brings, isDue: this.age(number) >= this.keeping.undelivered })
  }

  private put(row: JournalRow): void {
    const stored = this.rows.get(row.number)
    if (stored === undefined ? row.request === null : stored.taskId !== row.taskId) {
      this.violate("rows", `${row.taskId} is written without its call, or in the place of another task`)
    }
    const place = (kind: Brings): StoredDelivery => {
      const order = row[kind]
      return order === "AsStored" ? stored?.[kind] ?? null : order
    }
    for (const brings of kinds) {
      if (typeof stored?.[brings] === "number" && row[brings] === null) this.leaves(stored, brings)
    }
    if (row.settled !== null && !this.settledAt.has(row.number)) this.settledAt.set(row.number, this.now())
    this.rows.set(row.number, {
      ...row,
      request: row.request ?? stored?.request ?? null,
      result: place("result"),
      approval: place("approval"),
      detached: place("detached")
    })
    this.tasks.add(row.taskId)
    this.states.add(stateIn(row))
    for (const kind of kinds) {
      const order = row[kind]
      if (typeof order !== "number") continue
      const what = `${kind} ${row.number}`
      if ((this.deliveries.get(order) ?? what) !== what) this.violate("numbers", `delivery ${order} has two meanings`)
      this.deliveries.set(order, what)
      this.sent.add(`${kind} ${row.taskId}`)
    }
  }

  /** Stores what a consumer was given together with the word that it was, in no time; `note` is made in the same moment. */
  acknowledge(
    epoch: number,
    note: () => void,
    deliveries: ReadonlyArray<StoredDeliveryRef>,
    unsure: ReadonlyArray<StoredDeliveryRef>
  ): Effect.Effect<void, JournalError> {
    return Effect.suspend(() => {
      if (!this.isOwner(epoch) || this.unowed(unsure).length > 0) return this.fenced()
      note()
      for (const { brings, number, order } of deliveries) {
        const row = this.rows.get(number)
        if (row?.[brings] === order) this.rows.set(number, { ...row, [brings]: null })
      }
      return Effect.void
    })
  }

  /** The numbers of those that no row names any more. */
  unowed(deliveries: ReadonlyArray<StoredDeliveryRef>): ReadonlyArray<number> {
    return deliveries.flatMap(({ brings, number, order }) => this.rows.get(number)?.[brings] === order ? [] : [order])
  }

  /** How many deliveries nobody has taken. */
  get undelivered(): number {
    let count = 0
    for (const row of this.rows.values()) for (const kind of kinds) if (row[kind] !== null) count++
    return count
  }

  /** The newest row of a task. */
  rowOf(taskId: string): JournalRow | undefined {
    return [...this.rows.values()].reverse().find((row) => row.taskId === taskId)
  }

  /** The journal as it is opened by a process. `write` makes the write when it pleases. */
  open(
    epoch: number,
    options: Pick<OpenJournal, "keepsTasks" | "leaseMillis" | "overlap" | "unowed" | "write">
  ): OpenJournal {
    const { keeping, lastDelivery, lastTaskNumber, rows, seq } = this
    return {
      ...options,
      name: "memory",
      keepsSettled: keeping.settled > 0,
      keepsOutput: keeping.output,
      lastNumber: Math.max(0, ...rows.keys()),
      epoch,
      seq,
      lastTaskNumber,
      lastDelivery
    }
  }
}
