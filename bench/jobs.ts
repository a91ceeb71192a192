/** What a child process is asked to do. */
export type Job =
  | {
    readonly _tag: "Lifecycle"
    readonly base: string
    readonly contender: string
    /** Measures this cell alone. */
    readonly cell?: string | undefined
    readonly quick: boolean
  }
  | { readonly _tag: "Target"; readonly name: string; readonly quick: boolean }
  | { readonly _tag: "Soak"; readonly tasks: number }
