/** Calls that wait for an answer as long as whoever makes them is open. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** The call has no answer, for whoever made it has closed. */
export const Closed = "Closed"

export class OpenCalls {
  private readonly waiting = new Set<() => void>()
  private isEnded = false

  get isClosed(): boolean {
    return this.isEnded
  }

  /** Every call ends, and no other is made. */
  close(): void {
    this.isEnded = true
    for (const end of this.waiting) end()
  }

  /** How the call has ended; not `Effect.raceFirst`, which drops an answer that comes in the step in which this closes. */
  during<A, E>(call: Effect.Effect<A, E>): Effect.Effect<Exit.Exit<A, E> | typeof Closed> {
    return Effect.uninterruptibleMask((restore) =>
      this.isEnded ? Effect.succeed(Closed) : Effect.flatMap(Effect.fork(Effect.interruptible(call)), (fiber) => {
        let end = () => {}
        const answered = Effect.async<Exit.Exit<A, E> | typeof Closed>((resume) => {
          end = () => resume(Effect.succeed(Closed))
          fiber.addObserver((exit) => resume(Effect.succeed(exit)))
          this.waiting.add(end)
          if (this.isEnded) end()
        })
        return Effect.ensuring(
          restore(answered),
          Effect.suspend(() => {
            this.waiting.delete(end)
            return Fiber.interruptFork(fiber)
          })
        )
      })
    )
  }
}
