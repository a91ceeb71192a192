/** What a seed is about: how often its processes end and how, what the store does to them, and what their program uses. */
import { SimRandom } from "../../../src/testing/simulator/SimRandom.js"

/** One process. All times are virtual milliseconds. */
export interface Life {
  /**
   * `Kill`: dies. `TakeOver`: another process takes the journal while this one lives. `Cancel`, `Keep`: is shut down.
   */
  readonly end: "Kill" | "TakeOver" | "Cancel" | "Keep"
  /** How long after its start. */
  readonly after: number
  /** How long it is stopped at its end, before another process takes over: it goes on afterwards. */
  readonly stoppedFor: number
}

/** What the store does. Each is the probability with which one attempt to write meets it. */
export interface Faults {
  /** The write fails, and nothing of it is made. */
  readonly fails: number
  /** The write is made, and then fails. */
  readonly failsAfterwards: number
  /** The process dies just before the write is made, or just after. */
  readonly diesBefore: number
  readonly diesAfter: number
  /** The write takes longer than a few steps. */
  readonly slow: number
}

/** How long rows stay, and what of the output of tools is kept. */
interface Keeping {
  /** As `retention` of the layer, in milliseconds. */
  readonly settled: number
  readonly undelivered: number
  readonly sweepEvery: number
  readonly output: boolean
  /** Of one task, in bytes. */
  readonly outputBuffer: number
}

interface Features {
  readonly approvals: boolean
  readonly background: boolean
  readonly cancels: boolean
  readonly closings: boolean
  readonly detaching: boolean
  /** Calls with the same tool, which all have the same input, join each other. */
  readonly duplicates: boolean
  readonly interruptedTurns: boolean
  /** Consumers that refuse what they are given. */
  readonly refusals: boolean
  readonly singleResults: boolean
  /** Tools that write. */
  readonly writing: boolean
}

export interface DurablePlan {
  readonly seed: number
  /** Every process but the last one, which takes what is left. */
  readonly lives: ReadonlyArray<Life>
  readonly faults: Faults
  /** From when to when every write fails. */
  readonly outage: { readonly from: number; readonly to: number } | undefined
  readonly sessions: number
  readonly rounds: number
  readonly calls: number
  readonly concurrency: number
  readonly historyLimit: number
  readonly keeping: Keeping
  readonly startsImmediately: boolean
  /** Whether not all that a group lets on goes on at once. */
  readonly overlaps: boolean
  readonly jitterMillis: number
  readonly preemption: number
  readonly features: Features
}

export const tick = 10
export const leaseMillis = 300

/** Rows that go as memory forgets them, output that goes with its process. */
const asInMemory: Keeping = { settled: 0, undelivered: Infinity, sweepEvery: tick, output: false, outputBuffer: 1_000 }

const none: Faults = { fails: 0, failsAfterwards: 0, diesBefore: 0, diesAfter: 0, slow: 0 }

export const planOf = (seed: number): DurablePlan => {
  // dice of its own: the plan does not depend on how it is carried out
  const random = new SimRandom(seed ^ 0x2545f491)
  const some = () => random.chance(0.6)
  const life = (): Life => ({
    end: random.pick(["Kill", "Kill", "Kill", "TakeOver", "TakeOver", "Cancel", "Keep"]),
    after: random.chance(0.15) ? 0 : random.int(12) * tick,
    stoppedFor: random.chance(0.5) ? random.int(2 * leaseMillis) : 0
  })
  const from = random.int(200)
  return {
    seed,
    lives: Array.from({ length: 1 + random.int(3) }, life),
    faults: random.chance(0.2) ? none : {
      fails: random.pick([0, 0.1, 0.4]),
      failsAfterwards: random.pick([0, 0.1, 0.4]),
      diesBefore: random.pick([0, 0, 0.05]),
      diesAfter: random.pick([0, 0, 0.05]),
      slow: random.pick([0, 0.2, 0.6])
    },
    outage: random.chance(0.2) ? { from, to: from + random.pick([50, 200, 1_000]) } : undefined,
    sessions: random.pick([1, 1, 2]),
    rounds: 1 + random.int(3),
    calls: 1 + random.int(3),
    concurrency: random.chance(0.3) ? random.pick([1, 2]) : Infinity,
    historyLimit: random.chance(0.4) ? random.int(3) : 1_000,
    keeping: random.chance(0.3) ? asInMemory : {
      settled: random.pick([0, 0, 3 * tick, 10 * tick, 40 * tick, Infinity]),
      undelivered: random.pick([Infinity, Infinity, 4 * tick, 15 * tick]),
      sweepEvery: random.pick([1, 2, 5]) * tick,
      output: random.chance(0.7),
      outputBuffer: random.pick([40, 1_000, 12_000, 100_000])
    },
    startsImmediately: random.chance(0.7),
    // dice of its own, so that the rest of a seed stays what it was
    overlaps: new SimRandom(seed ^ 0x1b873593).chance(0.5),
    jitterMillis: random.chance(0.25) ? 5 : 0,
    preemption: random.pick([0.02, 0.05, 0.15]),
    features: {
      approvals: some(),
      background: some(),
      cancels: random.chance(0.4),
      closings: random.chance(0.2),
      detaching: some(),
      // dice of its own, so that the other features of a seed stay what they were
      duplicates: new SimRandom(seed ^ 0x5bd1e995).chance(0.4),
      interruptedTurns: random.chance(0.3),
      refusals: random.chance(0.3),
      singleResults: random.chance(0.3),
      writing: some()
    }
  }
}
