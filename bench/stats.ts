/** Medians and quartiles: a mean would be moved by one collection of garbage. */
export interface Spread {
  readonly median: number
  readonly q1: number
  readonly q3: number
  readonly min: number
  readonly max: number
  readonly samples: number
}

const quantile = (sorted: ReadonlyArray<number>, at: number): number => {
  const index = (sorted.length - 1) * at
  const low = sorted[Math.floor(index)] ?? NaN
  const high = sorted[Math.ceil(index)] ?? NaN
  return low + (high - low) * (index - Math.floor(index))
}

export const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = [...values].sort((a, b) => a - b)
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    samples: sorted.length
  }
}
