import type { Effect } from "effect"
import type { Spread } from "../stats.js"

/** One row of the table of targets. */
export interface TargetResult {
  readonly what: string
  readonly measured: Spread
  readonly unit: "ratio" | "ms" | "bytes"
  /** Undefined for a row that only informs. */
  readonly target: { readonly comparison: "≤" | "<"; readonly value: number } | undefined
  readonly note?: string | undefined
}

export interface Target {
  readonly name: string
  readonly measure: (quick: boolean) => Effect.Effect<ReadonlyArray<TargetResult>>
}

export const atMost = (value: number): TargetResult["target"] => ({ comparison: "≤", value })

export const below = (value: number): TargetResult["target"] => ({ comparison: "<", value })

export const isMet = ({ measured, target }: TargetResult): boolean | undefined =>
  target === undefined
    ? undefined
    : target.comparison === "<"
    ? measured.median < target.value
    : measured.median <= target.value
