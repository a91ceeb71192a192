import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

/** What hosts have asked of a session and wait for, in the order of the commands that tell the session's machine of it. */
export class Waiting<Asked, A, E> {
  private readonly rows: Array<{ readonly asked: Asked; readonly answer: Deferred.Deferred<A, E> }> = []

  /** Joins the row in the current step, and gives what waits for the answer. */
  unsafeJoin(asked: Asked): Effect.Effect<A, E> {
    const answer = Deferred.unsafeMake<A, E>(FiberId.none)
    this.rows.push({ asked, answer })
    return Deferred.await(answer)
  }

  /** Takes who has waited longest from the row in the current step, and gives what answers it with how `work` ends. */
  unsafeAnswerNext<R>(work: (asked: Asked) => Effect.Effect<A, E, R>): Effect.Effect<void, never, R> {
    const next = this.rows.shift()
    if (next === undefined) return Effect.void
    return Effect.flatMap(Effect.exit(work(next.asked)), (exit) => Deferred.done(next.answer, exit))
  }

  /** Answers all who wait. */
  answerAll(answer: Effect.Effect<A, E>): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach(this.rows.splice(0), (waiting) => Deferred.complete(waiting.answer, answer), { discard: true })
    )
  }
}
