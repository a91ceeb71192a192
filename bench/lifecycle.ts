/** Whole lifecycles of one contender against another, cell by cell. */
import { Effect } from "effect"
import { contenderOf } from "./contenders/index.js"
import type { Job } from "./jobs.js"
import { alternate } from "./measuring.js"
import { type Spread, spread } from "./stats.js"
import { type Cell, cellName, cells, makeBatches } from "./work.js"

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

const measureCell = (base: string, contender: string, cell: Cell, quick: boolean): Effect.Effect<CellResult> =>
  Effect.scoped(Effect.gen(function*() {
    const calls = callsOf(cell, quick)
    const batches = makeBatches(calls, cell.inFlight === "all" ? calls : cell.inFlight)
    const prepared = yield* contenderOf(base).make(batches, cell.body)
    const contending = yield* contenderOf(contender).make(batches, cell.body)
    // the compiler needs tens of thousands of calls: with fewer, the larger code looks twice as slow as it is
    const warmups = Math.max(2, Math.ceil(40_000 / calls))
    const rounds = yield* alternate({ rounds: quick ? 5 : 9, warmups }, prepared.run, contending.run)
    return {
      cell: cellName(cell),
      calls,
      base: spread(rounds.map((round) => round.base.cpu * 1_000 / calls)),
      contender: spread(rounds.map((round) => round.contender.cpu * 1_000 / calls)),
      ratio: spread(rounds.map((round) => round.contender.cpu / round.base.cpu)),
      wallRatio: spread(rounds.map((round) => round.contender.wall / round.base.wall))
    }
  }))

/** Every cell that means something for both. */
export const measureLifecycle = (
  { base, cell: only, contender, quick }: Extract<Job, { _tag: "Lifecycle" }>,
  isWanted: (cell: string) => boolean = () => true
): Effect.Effect<ReadonlyArray<CellResult>> =>
  Effect.forEach(
    cells.filter((cell) =>
      [base, contender].every((name) => contenderOf(name).isMeasured?.(cell) ?? true) &&
      (only === undefined || only === cellName(cell)) && isWanted(cellName(cell))
    ),
    (cell) => measureCell(base, contender, cell, quick)
  )
