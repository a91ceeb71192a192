/** Whole lifecycles of one contender against another, cell by cell. */
import { Effect } from "effect"
import type { Contender } from "./contenders/Contender.js"
import { contenderIn, contenderOf } from "./contenders/index.js"
import { otherContendersFile } from "./files.js"
import type { Job } from "./jobs.js"
import { alternate } from "./measuring.js"
import { type Spread, spread } from "./stats.js"
import { type Cell, cellName, cells, makeBatches } from "./work.js"

type LifecycleJob = Extract<Job, { _tag: "Lifecycle" }>

export interface CellResult {
  readonly cell: string
  readonly calls: number
  /** Microseconds of CPU time per call. */
  readonly base: Spread
  readonly contender: Spread
  /** Contender / base, round by round. */
  readonly ratio: Spread
  /** The same by the clock on the wall. */
  readonly wallRatio: Spread
}

const callsOf = ({ inFlight }: Cell, quick: boolean): number =>
  inFlight === "all" ? (quick ? 20_000 : 100_000) : quick ? 8_000 : 16_000

const measureCell = (
  base: Contender,
  contender: Contender,
  cell: Cell,
  { quick, rounds = quick ? 5 : 9 }: LifecycleJob
): Effect.Effect<CellResult> =>
  Effect.scoped(Effect.gen(function*() {
    const calls = callsOf(cell, quick)
    const batches = makeBatches(calls, cell.inFlight === "all" ? calls : cell.inFlight)
    const prepared = yield* base.make(batches, cell.body)
    const contending = yield* contender.make(batches, cell.body)
    // the compiler needs tens of thousands of calls: with fewer, the larger code looks twice as slow as it is
    const warmups = Math.max(2, Math.ceil(40_000 / calls))
    const times = yield* alternate({ rounds, warmups }, prepared.run, contending.run)
    return {
      cell: cellName(cell),
      calls,
      base: spread(times.map((round) => round.base.cpu * 1_000 / calls)),
      contender: spread(times.map((round) => round.contender.cpu * 1_000 / calls)),
      ratio: spread(times.map((round) => round.contender.cpu / round.base.cpu)),
      wallRatio: spread(times.map((round) => round.contender.wall / round.base.wall))
    }
  }))

/** The same contender of the library in another checkout. */
const otherContenderOf = (name: string): Effect.Effect<Contender> =>
  Effect.map(
    Effect.promise((): Promise<Record<string, Contender>> =>
      import(new URL(otherContendersFile, import.meta.url).href)
    ),
    (others) => contenderIn(Object.values(others), name)
  )

/** Every cell that means something for both. */
export const measureLifecycle = (
  job: LifecycleJob,
  isWanted: (cell: string) => boolean = () => true
): Effect.Effect<ReadonlyArray<CellResult>> =>
  Effect.gen(function*() {
    const contender = contenderOf(job.contender)
    const base = job.base._tag === "Other" ? yield* otherContenderOf(contender.name) : contenderOf(job.base.name)
    const wanted = cells.filter((cell) =>
      [base, contender].every(({ isMeasured }) => isMeasured?.(cell) ?? true) &&
      (job.cell === undefined || job.cell === cellName(cell)) && isWanted(cellName(cell))
    )
    return yield* Effect.forEach(wanted, (cell) => measureCell(base, contender, cell, job))
  })
