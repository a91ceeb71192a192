/** One subscriber that reads every event, in batches, as a stream does. */
import { Effect, type Queue, type Scope } from "effect"

export interface EventReader {
  /** Returns once this many more events were read than at the last call; never if one was lost. */
  readonly hasRead: (events: number) => Effect.Effect<void>
}

const refuse = (message: string): never => {
  console.error(message)
  process.exit(1)
}

/** Whether this event may follow the one before, for contenders whose events are numbered in one order. */
export const gapless = (): (event: { readonly seq: number }) => void => {
  let last = 0
  return ({ seq }) => {
    if (seq !== last + 1) refuse(`events ${last + 1} to ${seq - 1} were dropped: the buffer is too small`)
    last = seq
  }
}

export const readEvents = <Event>(
  events: Queue.Dequeue<Event>,
  check: (event: Event) => void
): Effect.Effect<EventReader, never, Scope.Scope> =>
  Effect.gen(function*() {
    let read = 0
    let awaited = 0
    let reached = () => {}
    const reader = Effect.forever(Effect.map(events.takeBetween(1, 4_096), (batch) => {
      for (const event of batch) check(event)
      read += batch.length
      if (read === awaited) reached()
    }))
    yield* Effect.forkScoped(reader)
    // parked before the clock starts
    yield* Effect.yieldNow()
    return {
      hasRead: (more) =>
        Effect.async<void>((resume) => {
          awaited += more
          reached = () => resume(Effect.void)
          if (read === awaited) reached()
        })
    }
  })
