/** The hosts that have interrupted a session and wait for the receipt. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { SessionId, TurnId } from "../../../model/ids.js"
import { liveStatuses } from "../../../model/settled.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { TaskManager } from "../../../services/TaskManager.js"
import { withCause } from "../../../shared/logging.js"

export interface Interrupts {
  /** Joins those who wait, in the current step. */
  readonly unsafeJoin: () => Effect.Effect<InterruptReceipt>
  /** Cancels the foreground of the turns in the manager, for the receipt. */
  readonly stop: (turnIds: Iterable<TurnId>) => Effect.Effect<void>
  /** Answers everybody who waits, and gives what was cancelled. */
  readonly answer: Effect.Effect<ReadonlyArray<TaskSnapshot>>
}

/** A manager that has lost its journal answers nothing any more, and its tools have ended: who waits is let go. */
const unlessLost = <A>(otherwise: A, answer: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.catchAllCause(answer, (cause) =>
    Effect.as(
      Effect.logWarning("The manager did not answer while a session was interrupted").pipe(withCause(cause)),
      otherwise
    ))

export const make = (sessionId: SessionId): Effect.Effect<Interrupts, never, TaskManager> =>
  Effect.map(TaskManager, (manager) => {
    let cancelled: ReadonlyArray<TaskSnapshot> = []
    let waiting: Array<Deferred.Deferred<InterruptReceipt>> = []
    return {
      unsafeJoin: () => {
        const answered = Deferred.unsafeMake<InterruptReceipt>(FiberId.none)
        waiting.push(answered)
        return Deferred.await(answered)
      },
      stop: (turnIds) =>
        Effect.map(
          unlessLost([], Effect.forEach(turnIds, (turnId) => manager.onTurnInterrupted({ sessionId, turnId }))),
          (receipts) => {
            cancelled = receipts.flatMap((receipt) => receipt.cancelled)
          }
        ),
      answer: Effect.suspend(() => {
        const asked = waiting
        const stopped = cancelled
        waiting = []
        cancelled = []
        if (asked.length === 0) return Effect.succeed(stopped)
        return Effect.map(
          unlessLost([], manager.handle.list({ sessionId, kind: "Background", status: liveStatuses })),
          (kept) => {
            for (const one of asked) Deferred.unsafeDone(one, Exit.succeed({ cancelled: stopped, kept }))
            return stopped
          }
        )
      })
    }
  })
