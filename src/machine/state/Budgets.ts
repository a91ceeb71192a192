/** How long a task may take, beside the timeout of its launch. */

/** Times are milliseconds, Infinity for no limit. */
export interface Budgets {
  /** From the moment in which it runs in the background. */
  readonly background: number
  /** Without a progress report and without a word written. */
  readonly idle: number
  /** From a question to its answer. */
  readonly approval: number
  /** What becomes of a task in the foreground whose timeout has passed. */
  readonly onTimeout: "fail" | "detach" | "ask"
}

/** The limit that a task has passed. */
export interface Overrun {
  readonly _tag: "Timeout" | "Background" | "Idle"
  readonly millis: number
}
