/**
 * Readers that wait for the same thing and leave nothing behind when they are interrupted: waking one that has gone does
 * nothing. So they wait without a finalizer, which halves the cost of a wait; who has gone is swept out now and then.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

interface Reader {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  readonly wake: () => void
}

const sweepFrom = 16

export class ParkedReaders {
  private readers: Array<Reader> = []
  private sweepAt = sweepFrom

  get isEmpty(): boolean {
    return this.readers.length === 0
  }

  wakeAll(): void {
    const readers = this.readers
    this.readers = []
    for (const reader of readers) reader.wake()
  }

  /** Returns once woken, or at once if there is nothing to wait for: looking and parking are one step. */
  parkUnless(isReady: () => boolean): Effect.Effect<void> {
    // one parameter: with none, Effect.async would make an AbortController for every wait
    return Effect.async<void>((resume) => {
      if (isReady()) {
        resume(Effect.void)
        return
      }
      const fiber = Option.getOrUndefined(Fiber.getCurrentFiber())
      if (this.readers.length >= this.sweepAt) this.sweep(fiber)
      this.readers.push({ fiber, wake: () => resume(Effect.void) })
    })
  }

  /** Forgets the readers whose fibers have ended, and an earlier wait of the fiber that parks now. */
  private sweep(parking: Fiber.RuntimeFiber<unknown, unknown> | undefined): void {
    this.readers = this.readers.filter(({ fiber }) => fiber !== parking && fiber?.unsafePoll() === null)
    this.sweepAt = Math.max(sweepFrom, 2 * this.readers.length)
  }
}
