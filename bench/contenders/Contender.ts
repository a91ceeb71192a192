/** What is measured against the floor, and what it leaves out of the lifecycle. */
import type { Effect, Scope } from "effect"
import type { Batch, Body, Cell } from "../work.js"

export interface Contender {
  readonly name: string
  readonly title: string
  /** What it does not do of: routing, events, one cancel per task, delivery. Empty for a whole lifecycle. */
  readonly lacks: string
  /** Cells that mean nothing for it are left out. */
  readonly isMeasured?: (cell: Cell) => boolean
  /** Sets the contender up; the effect it gives does the work once, and can be run again. */
  readonly make: (batches: ReadonlyArray<Batch>, body: Body) => Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
}
