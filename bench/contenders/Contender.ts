/** What is measured against the floor, and what it leaves out of the lifecycle. */
import type { Effect, Scope } from "effect"
import type { Batch, Body, Cell } from "../work.js"

export interface Prepared {
  /** Does the work once, and can be run again. */
  readonly run: Effect.Effect<void>
}

export interface Contender {
  readonly name: string
  readonly title: string
  /** Which of these it does not do: routing, events, one cancel per task, delivery. Empty for a whole lifecycle. */
  readonly lacks: string
  /** Cells that mean nothing for it are left out. */
  readonly isMeasured?: (cell: Cell) => boolean
  readonly make: (batches: ReadonlyArray<Batch>, body: Body) => Effect.Effect<Prepared, never, Scope.Scope>
}
