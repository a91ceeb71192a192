/** What a child process is asked to do. */
export type Job =
  | {
    readonly _tag: "Lifecycle"
    /** `Other`: the same contender, of the library in another checkout. */
    readonly base: { readonly _tag: "Contender"; readonly name: string } | { readonly _tag: "Other" }
    readonly contender: string
    /** Measures this cell alone. */
    readonly cell?: string | undefined
    readonly quick: boolean
    /** How many rounds are counted, if not as many as usual. */
    readonly rounds?: number | undefined
  }
  | { readonly _tag: "Target"; readonly name: string; readonly quick: boolean }
  | { readonly _tag: "Soak"; readonly tasks: number; readonly isDurable: boolean }
