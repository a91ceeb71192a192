/**
 * How a waiting loop learns that its turn is over. It stops the wait and never the tools: `onTurnInterrupted` does that.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { isAbortSignal } from "../shared/abortSignals.js"
import { refuseUnless } from "../shared/refusals.js"

/**
 * One turn's view of a `CancellationController`, or of an `AbortSignal`. Once cancelled it stays cancelled.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnCancellation {
  /** Whether the turn was cancelled. */
  readonly isCancelled: Effect.Effect<boolean>
  /** Returns once the turn is cancelled; at once if it already was. */
  readonly cancelled: Effect.Effect<void>
}

/**
 * Constructors of `TurnCancellation`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TaskManager, TurnCancellation, type TurnRef } from "effect-task-manager"
 *
 * const waitWith = (turn: TurnRef, signal: AbortSignal) =>
 *   Effect.flatMap(
 *     TaskManager,
 *     (manager) => manager.waitForTurn(turn, { cancellation: TurnCancellation.fromAbortSignal(signal) })
 *   )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const TurnCancellation: {
  /** A cancellation that follows an `AbortSignal` of the host. Throws a `TypeError` for anything but an `AbortSignal`. */
  readonly fromAbortSignal: (signal: AbortSignal) => TurnCancellation
  /** A cancellation that never happens. */
  readonly never: TurnCancellation
} = {
  fromAbortSignal: (signal) => {
    refuseUnless(isAbortSignal(signal), "TurnCancellation.fromAbortSignal", "an AbortSignal", signal)
    return {
      isCancelled: Effect.sync(() => signal.aborted),
      cancelled: Effect.async<void>((resume) => {
        const abort = () => resume(Effect.void)
        if (signal.aborted) {
          abort()
          return
        }
        signal.addEventListener("abort", abort, { once: true })
        return Effect.sync(() => signal.removeEventListener("abort", abort))
      })
    }
  },
  never: { isCancelled: Effect.succeed(false), cancelled: Effect.never }
}

/**
 * The host's side of cancellation. `interrupt` cancels every checkpoint taken so far and none taken later, so that one
 * controller serves all turns of a session.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CancellationController, SessionId, TaskManager, TurnId } from "effect-task-manager"
 *
 * const program = Effect.gen(function*() {
 *   const manager = yield* TaskManager
 *   const controller = yield* CancellationController.make
 *   const turn = { sessionId: SessionId.make("session-1"), turnId: TurnId.make("turn-1") }
 *   const cancellation = yield* controller.checkpoint
 *   yield* Effect.fork(manager.waitForTurn(turn, { cancellation }))
 *   yield* controller.interrupt // the wait gives None; the tools go on until onTurnInterrupted
 *   yield* manager.onTurnInterrupted(turn)
 * })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface CancellationController {
  /** Cancels every checkpoint taken so far. */
  readonly interrupt: Effect.Effect<void>
  /** A cancellation for the turn that begins now. */
  readonly checkpoint: Effect.Effect<TurnCancellation>
}

/**
 * Constructors of `CancellationController`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const CancellationController: {
  /** A controller that has not interrupted anything yet. */
  readonly make: Effect.Effect<CancellationController>
} = {
  make: Effect.sync(() => {
    let current = makeCheckpoint()
    return {
      interrupt: Effect.suspend(() => {
        const previous = current
        current = makeCheckpoint()
        return previous.cancel
      }),
      checkpoint: Effect.sync(() => current.cancellation)
    }
  })
}

const makeCheckpoint = () => {
  const latch = Effect.unsafeMakeLatch()
  let cancelled = false
  const cancellation: TurnCancellation = { isCancelled: Effect.sync(() => cancelled), cancelled: latch.await }
  const cancel = Effect.sync(() => {
    cancelled = true
    latch.unsafeOpen()
  })
  return { cancellation, cancel }
}
