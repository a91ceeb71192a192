/** Reads something of the server, and again after a pause for as long as that fails. */
import { failedAgain, pauseAfter, type Reading } from "../model/freshness.js"

export class Reader {
  reading: Reading = { _tag: "Reading" }

  readonly #read: (isOver: () => boolean) => Promise<void>
  readonly #failed: (error: unknown) => string
  readonly #changed: () => void
  /** Counts what was begun: what an earlier one reads does not count any more. */
  #round = 0
  #isBusy = false
  #isStale = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(options: {
    /** `isOver`: what it reads does not count any more. */
    readonly read: (isOver: () => boolean) => Promise<void>
    /** The error in words. It may call `stop`. */
    readonly failed: (error: unknown) => string
    readonly changed: () => void
  }) {
    this.#read = options.read
    this.#failed = options.failed
    this.#changed = options.changed
  }

  /** Begins anew. */
  start(): void {
    this.stop()
    this.reading = { _tag: "Reading" }
    void this.#attempt(this.#round)
  }

  /** What was read is out of date, or a person does not want to wait: reads it now, or as soon as the reading that goes on has ended. */
  again(): void {
    if (this.#isBusy) {
      this.#isStale = true
      return
    }
    clearTimeout(this.#timer)
    void this.#attempt(this.#round)
  }

  /** What goes on does not count any more. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#round++
    this.#isBusy = false
    this.#isStale = false
  }

  async #attempt(round: number): Promise<void> {
    const isOver = (): boolean => round !== this.#round
    this.#isBusy = true
    try {
      await this.#read(isOver)
      if (isOver()) return
      this.reading = { _tag: "Read" }
    } catch (error) {
      if (isOver()) return
      const failed = failedAgain(this.reading, this.#failed(error))
      this.reading = failed
      if (!isOver()) this.#timer = setTimeout(() => this.again(), pauseAfter(failed.attempts))
    }
    if (!isOver()) {
      this.#isBusy = false
      if (this.#isStale) {
        this.#isStale = false
        this.again()
      }
    }
    this.#changed()
  }
}
