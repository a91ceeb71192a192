/** One call for each group waits for news of all the readers that a client has there. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { wireSleep } from "./wire.js"

interface PollsOptions {
  /** Whether a client has readers at a group: none, or none that is open yet. */
  readonly readersAt: (group: number) => "None" | "Opening" | "Open"
  /** Waits for news of those that are open. Dies where no runner answers. */
  readonly poll: (group: number) => Effect.Effect<unknown>
  readonly fork: (self: Effect.Effect<void>) => void
}

export class Polls {
  private readonly options: PollsOptions
  private readonly changed: Array<Deferred.Deferred<void> | undefined> = []

  constructor(options: PollsOptions) {
    this.options = options
  }

  /** The call begins again, with all the readers that there are now. */
  restart(group: number): void {
    const changed = this.changed[group]
    this.changed[group] = Deferred.unsafeMake(FiberId.none)
    if (changed === undefined) this.options.fork(this.listen(group))
    else Deferred.unsafeDone(changed, Effect.void)
  }

  private listen(group: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { poll, readersAt } = this.options
      const changed = this.changed[group]
      const readers = readersAt(group)
      if (readers === "None") {
        this.changed[group] = undefined
        return Effect.void
      }
      const changes = changed === undefined ? Effect.never : Deferred.await(changed)
      const news = readers === "Opening"
        ? Effect.never
        // no runner answers: the readers wait on
        : Effect.catchAllDefect(Effect.asVoid(poll(group)), () => wireSleep("1 second"))
      return Effect.zipRight(Effect.raceFirst(news, changes), this.listen(group))
    })
  }
}
