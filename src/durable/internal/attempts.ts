/** A limit for one try at the database: a server that is cut off without a word answers nothing, and fails nothing either. */
import { SqlError } from "@effect/sql/SqlError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** What a try fails with that was not answered in time. */
export class UnansweredError extends SqlError {}

/**
 * Runs a statement that is not part of a transaction. It goes on when its caller is interrupted, who does not wait for it: otherwise its
 * connection would go back into the pool before the server has answered, and the next statement would wait behind it. A transaction
 * keeps its connection until it is undone.
 */
export const toItsEnd = <A, E, R>(statement: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.disconnect(Effect.uninterruptible(statement))

/** How long one try may take under a lease: so that there is time for another one. */
export const attemptMillisOf = (leaseMillis: number): number => Math.max(1, Math.floor(leaseMillis / 3))

/**
 * Fails once the statements have not answered for so long, also where nothing else interrupts. They are interrupted then, and not
 * waited for: to undo a transaction takes the connection that does not answer. So whether they were made is not known.
 */
export const withinAttempt = <A, E, R>(
  millis: number,
  statements: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<A, E | SqlError>()
      const asking = yield* Effect.forkDaemon(Effect.interruptible(statements))
      asking.addObserver((exit) => Deferred.unsafeDone(answer, exit))
      const waiting = yield* Effect.sleep(millis).pipe(
        Effect.zipRight(Effect.suspend(() =>
          Deferred.fail(
            answer,
            new UnansweredError({ cause: undefined, message: `The database has not answered for ${millis} ms` })
          )
        )),
        Effect.interruptible,
        Effect.forkDaemon
      )
      const end = yield* Effect.exit(restore(Deferred.await(answer)))
      yield* Fiber.interruptFork(waiting)
      yield* Fiber.interruptFork(asking)
      return yield* end
    })
  )
