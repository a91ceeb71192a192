/** The methods of the agent loop that read results: where a result leaves the manager. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import { TaskNotFound, type WaitTimedOut } from "../../errors.js"
import * as delivery from "../../machine/delivery.js"
import { ensureSession, ensureTurn, releaseSession, releaseTurn } from "../../machine/state/Session.js"
import type { Delivery } from "../../machine/state/Undelivered.js"
import type { SessionId, TaskId, TurnRef } from "../../model/ids.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import { checkCancellation } from "../../services/internal/cancellations.js"
import type { TurnWaitLimit, WaitLimit } from "../../services/TaskManager.js"
import type { TurnCancellation } from "../../services/TurnCancellation.js"
import { used } from "../../shared/mustBeEffect.js"
import { lostRace, untilTaken } from "../../shared/taking.js"
import type { Engine } from "../Engine.js"
import { consume, type Consumed, endDelivered, endFailed } from "./consuming.js"
import { type Deadline, deadlineOf, hasTimedOut, type WaitEnd, waitUntil, waitWithin } from "./parking.js"

const valueOf = <A>(delivered: Delivery<A>): A => delivered.value

/** Waits for an update or the end of the turn. */
export const turnReady = (
  engine: Engine,
  ref: TurnRef,
  deadline?: Deadline,
  orWhen?: (endWait: () => void) => void
): Effect.Effect<WaitEnd> =>
  waitUntil(engine, {
    isReady: (table) => delivery.isTurnReady(table, ref),
    parksAt: (table) => ensureTurn(ensureSession(table, ref.sessionId), ref.turnId),
    onLeave: (table) => releaseTurn(table, ensureTurn(ensureSession(table, ref.sessionId), ref.turnId)),
    orWhen,
    deadline
  })

/**
 * As `turnReady`, and returns when the turn is cancelled. Not `Effect.raceFirst`: that makes its two fibers in one
 * operation and starts them in the next, and a caller that is interrupted between the two waits for them for ever.
 */
const turnReadyOrCancelled = (
  engine: Engine,
  ref: TurnRef,
  deadline: Deadline | undefined,
  cancellation: TurnCancellation
): Effect.Effect<WaitEnd> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.fork(restore(cancellation.cancelled)), (watching) =>
      Effect.flatMap(
        Effect.exit(restore(turnReady(engine, ref, deadline, (endWait) => watching.addObserver(endWait)))),
        (ready) =>
          Effect.flatMap(Fiber.interrupt(watching), (watched) =>
            // a cancellation that fails must not be asked again and again
            watched._tag === "Failure" && !Cause.isInterruptedOnly(watched.cause)
              ? Effect.failCause(watched.cause)
              : ready)
      ))
  )

const takeTurn = (engine: Engine, ref: TurnRef, end: WaitEnd): Effect.Effect<Option.Option<TurnTaskUpdate>> =>
  engine.state.modify((table) => {
    const taken = delivery.takeTurnUpdate(table, ref)
    if (taken === delivery.Drained) return Option.none()
    if (taken !== delivery.NotReady && taken !== delivery.NotWritten) {
      delivery.acknowledge(table, taken)
      return Option.some(taken.value)
    }
    // what still runs waits for the caller's own task
    if (end === "Over" && taken === delivery.NotReady) return Option.none()
    throw lostRace
  })

const waitAndTake = (
  engine: Engine,
  ref: TurnRef,
  cancellation: TurnCancellation | undefined,
  deadline: Deadline | undefined
): Effect.Effect<Option.Option<TurnTaskUpdate>, WaitTimedOut> =>
  untilTaken(() =>
    cancellation === undefined && delivery.isTurnReady(engine.state.table, ref)
      ? takeTurn(engine, ref, "Woken")
      : waitThenTake(engine, ref, cancellation, deadline)
  )

const waitThenTake = (
  engine: Engine,
  ref: TurnRef,
  given: TurnCancellation | undefined,
  deadline: Deadline | undefined
): Effect.Effect<Option.Option<TurnTaskUpdate>, WaitTimedOut> => {
  const taken = (end: WaitEnd) => end === "TimedOut" ? hasTimedOut(deadline) : takeTurn(engine, ref, end)
  if (given === undefined) return Effect.flatMap(turnReady(engine, ref, deadline), taken)
  const cancellation = checkCancellation(given)
  return Effect.flatMap(
    Effect.zip(turnReadyOrCancelled(engine, ref, deadline, cancellation), cancellation.isCancelled),
    ([end, isCancelled]) => isCancelled ? Effect.succeedNone : taken(end)
  )
}

export const waitForTurn = (
  engine: Engine,
  ref: TurnRef,
  options: TurnWaitLimit | undefined
): Effect.Effect<Option.Option<TurnTaskUpdate>, WaitTimedOut> =>
  options?.timeout === undefined
    ? waitAndTake(engine, ref, options?.cancellation, undefined)
    : Effect.flatMap(
      deadlineOf(engine, options.timeout),
      (deadline) => waitAndTake(engine, ref, options.cancellation, deadline)
    )

const waitAndUse = <A, E, R>(
  engine: Engine,
  ref: TurnRef,
  use: (update: TurnTaskUpdate) => Effect.Effect<A, E, R>,
  deadline: Deadline | undefined
): Effect.Effect<Option.Option<A>, E | WaitTimedOut, R> =>
  Effect.uninterruptibleMask((restore) => {
    const next = (end: WaitEnd): Effect.Effect<Option.Option<A>, E | WaitTimedOut, R> => {
      if (end === "TimedOut") return hasTimedOut(deadline)
      const taken = engine.state.unsafeModify((table) => {
        const held = delivery.takeTurnUpdate(table, ref)
        if (held === delivery.NotReady || held === delivery.NotWritten || held === delivery.Drained) return held
        return { held, session: delivery.enterConsumer(table, ref.sessionId, 1) }
      })
      if (taken === delivery.Drained || taken === delivery.NotReady && end === "Over") return Effect.succeedNone
      if (taken === delivery.NotReady || taken === delivery.NotWritten) {
        return Effect.flatMap(restore(turnReady(engine, ref, deadline)), next)
      }
      const { held, session } = taken
      const consumed: Consumed = {
        session,
        taken: [held],
        putBack: (table) => delivery.putBackTurnUpdate(table, session, ref, held)
      }
      return consume(engine, restore, consumed, used("consumeTurnUpdate", use, held.value), Option.some)
    }
    return next("Woken")
  })

export const consumeTurnUpdate = <A, E, R>(
  engine: Engine,
  ref: TurnRef,
  use: (update: TurnTaskUpdate) => Effect.Effect<A, E, R>,
  options?: WaitLimit
): Effect.Effect<Option.Option<A>, E | WaitTimedOut, R> =>
  options?.timeout === undefined
    ? waitAndUse(engine, ref, use, undefined)
    : Effect.flatMap(deadlineOf(engine, options.timeout), (deadline) => waitAndUse(engine, ref, use, deadline))

export const takeResult = (
  engine: Engine,
  taskId: TaskId
): Effect.Effect<Option.Option<TaskResolution.Item>, TaskNotFound> =>
  untilTaken(() =>
    engine.state.table.tasks.has(taskId)
      ? engine.state.modify((table) => {
        const taken = delivery.takeResult(table, taskId)
        if (taken === undefined) throw lostRace
        return taken
      })
      : new TaskNotFound({ taskId })
  )

export const consumeResult = <A, E, R>(
  engine: Engine,
  taskId: TaskId,
  use: (item: TaskResolution.Item) => Effect.Effect<A, E, R>
): Effect.Effect<Option.Option<A>, E | TaskNotFound, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend((): Effect.Effect<Option.Option<A>, E | TaskNotFound, R> => {
      const taken = engine.state.unsafeModify((table) => delivery.consumeResult(table, taskId))
      if (taken === undefined) return new TaskNotFound({ taskId })
      if (Option.isNone(taken)) return Effect.succeedNone
      const { item, session } = taken.value
      const consumed: Consumed = {
        session,
        taken: [taken.value.delivery],
        putBack: (table) => delivery.putBackResult(table, taken.value)
      }
      return consume(engine, restore, consumed, used("consumeResult", use, item), Option.some)
    })
  )

const batchOf = (deliveries: ReadonlyArray<Delivery<TaskResolution>>): PendingLoopUpdates => ({
  resolutions: deliveries.map(valueOf)
})

export const takePendingLoopUpdates = (engine: Engine, sessionId: SessionId): Effect.Effect<PendingLoopUpdates> =>
  engine.state.modify((table) => {
    const taken = delivery.takeLoopUpdates(table, sessionId)
    delivery.acknowledgeAll(table, taken)
    return batchOf(taken)
  })

export const consumePendingLoopUpdates = <A, E, R>(
  engine: Engine,
  sessionId: SessionId,
  use: (updates: PendingLoopUpdates) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const { session, taken } = engine.state.unsafeModify((table) => {
        const deliveries = delivery.takeLoopUpdates(table, sessionId)
        return { taken: deliveries, session: delivery.enterConsumer(table, sessionId, deliveries.length) }
      })
      const consumed: Consumed = {
        session,
        taken,
        putBack: (table) => delivery.putBackLoopUpdates(table, session, taken)
      }
      return consume(engine, restore, consumed, used("consumePendingLoopUpdates", use, batchOf(taken)), identity)
    })
  )

/** As `drainReadyItems`, of one session or of all, for a consumer: unless its `use` succeeds, all is put back. */
export const consumeReadyItems = <A, E, R>(
  engine: Engine,
  sessionId: SessionId | undefined,
  use: (items: ReadonlyArray<TaskResolution.Item>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const taken = engine.state.unsafeModify((table) => delivery.consumeManual(table, sessionId))
      const consumed = taken.map((one): Consumed => ({
        session: one.session,
        taken: [one.delivery],
        putBack: (table) => delivery.putBackManual(table, one)
      }))
      return Effect.onExit(
        restore(used("consumeReadyItems", use, taken.map((one) => one.delivery.item))),
        (exit) =>
          exit._tag === "Success"
            ? engine.state.modify((table) => {
              for (const one of consumed) endDelivered(table, one)
            })
            : endFailed(engine, consumed)
      )
    })
  )

export const waitForLoopUpdate = (
  engine: Engine,
  sessionId: SessionId,
  options?: WaitLimit
): Effect.Effect<void, WaitTimedOut> =>
  Effect.flatMap(deadlineOf(engine, options?.timeout), (deadline) =>
    waitWithin(engine, {
      isReady: (table) => table.closed || delivery.isLoopReady(table, sessionId),
      parksAt: (table) => ensureSession(table, sessionId).waiters,
      onLeave: (table) => releaseSession(table, ensureSession(table, sessionId))
    }, deadline))
