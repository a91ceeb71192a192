/** The sums of what tasks use: of a task, its turn, its session, its lane, and of all. */
import type { SessionId, TurnId } from "../../model/ids.js"
import type { Usage } from "../../model/Usage.js"
import type { Lane } from "./lanes.js"

/** Infinity where there is no limit. */
export interface Limit {
  readonly costs: ReadonlyMap<string, number>
  readonly launches: number
  readonly runMillis: number
  readonly onLimit: "fail" | "ask"
}

/** The limits of each task (where its route says nothing), turn and session. */
export interface LedgerLimits {
  readonly task: Limit | undefined
  readonly turn: Limit | undefined
  readonly session: Limit | undefined
}

const times = ["queueMillis", "runMillis", "approvalMillis"] as const
export type Time = (typeof times)[number]
export const amounts = ["launches", ...times, "outputBytes"] as const
export type Amount = (typeof amounts)[number]

/** A sum ends at the largest number: a durable manager writes it down, and JSON has no Infinity. */
export const plus = (left: number, right: number): number => Math.min(left + right, Number.MAX_VALUE)

/** Sums that grow: those of time by themselves, with each task that spends some now. */
export class Sums {
  launches = 0
  queueMillis = 0
  runMillis = 0
  approvalMillis = 0
  outputBytes = 0
  readonly costs = new Map<string, number>()
  /** How many tasks spend each time now, and until when that is in the sums, on the clock of the ledger. */
  readonly spending = { queueMillis: 0, runMillis: 0, approvalMillis: 0 }
  private until = 0
  /** How many calls are accepted whose first launch has not begun. */
  unbegun = 0

  /** The time until now, with that of the tasks that spend it. */
  timeAt(time: Time, now: number): number {
    // a program may bring a clock of its own
    return plus(this[time], this.spending[time] * Math.max(0, now - this.until))
  }

  /** Adds the time until now. To be called before `spending` changes. */
  moveTo(now: number): void {
    for (const time of times) this[time] = this.timeAt(time, now)
    this.until = now
  }

  usageAt(now: number): Usage {
    const { launches, outputBytes } = this
    return {
      launches,
      queueMillis: this.timeAt("queueMillis", now),
      runMillis: this.timeAt("runMillis", now),
      approvalMillis: this.timeAt("approvalMillis", now),
      outputBytes,
      costs: Object.fromEntries(this.costs)
    }
  }

  /** Where no task spends time. */
  get usage(): Usage {
    return this.usageAt(this.until)
  }
}

export interface TurnSums {
  readonly sums: Sums
  /** How many of its tasks are live: then it is not forgotten. */
  live: number
}

export interface SessionSums extends TurnSums {
  /** The one that was not used for longest first. */
  readonly turns: Map<TurnId, TurnSums>
}

export interface Ledger {
  /** When the step is that runs now: milliseconds on a clock that is never set. A limit of time is not to be reached by setting the other one. */
  now: number
  readonly limits: LedgerLimits
  readonly all: Sums
  readonly lanes: Map<Lane, Sums>
  /** The names of all costs that were reported, but for those of models. */
  readonly names: Set<string>
  /** The one that was not used for longest first. */
  readonly sessions: Map<SessionId, SessionSums>
}

export const makeLedger = (limits: LedgerLimits): Ledger => ({
  now: 0,
  limits,
  all: new Sums(),
  lanes: new Map(),
  names: new Set(),
  sessions: new Map()
})

/** What is measured of a live task. */
export interface Meter {
  readonly ledger: Ledger
  readonly own: Sums
  readonly session: SessionSums
  readonly turn: TurnSums
  /** Its own sums and all others that its amounts are added to. */
  readonly targets: ReadonlyArray<Sums>
  /** What its time goes to; undefined once it has settled. */
  spends: Time | undefined
  /** Whether its first launch has begun. */
  hasBegun: boolean
  /** Of its own costs. */
  readonly limit: Limit | undefined
}
