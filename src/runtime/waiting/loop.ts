/** The methods of the agent loop that read results: where a result leaves the manager. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TaskNotFound } from "../../errors.js"
import * as delivery from "../../machine/delivery.js"
import { type Delivery, ensureSession, ensureTurn, releaseSession, releaseTurn } from "../../machine/TaskTable.js"
import type { SessionId, TaskId, TurnRef } from "../../model/ids.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { TurnCancellation } from "../../services/TurnCancellation.js"
import type { Engine } from "../Engine.js"
import { waitUntil } from "./parking.js"
import { lostRace, untilTaken } from "./taking.js"

const valueOf = <A>(delivered: Delivery<A>): A => delivered.value

/** Waits for an update or the end of the turn. True: the caller is a task that found the turn drained, itself aside. */
export const turnReady = (
  engine: Engine,
  ref: TurnRef,
  orWhen?: (endWait: () => void) => void
): Effect.Effect<boolean> =>
  waitUntil(engine, {
    isReady: (table) => delivery.isTurnReady(table, ref),
    parksAt: (table) => ensureTurn(ensureSession(table, ref.sessionId), ref.turnId),
    onLeave: (table) => releaseTurn(table, ensureTurn(ensureSession(table, ref.sessionId), ref.turnId)),
    ...(orWhen === undefined ? undefined : { orWhen })
  })

/**
 * As `turnReady`, and returns when the turn is cancelled. Not `Effect.raceFirst`: that makes its two fibers in one
 * operation and starts them in the next, and a caller that is interrupted between the two waits for them for ever.
 */
const turnReadyOrCancelled = (
  engine: Engine,
  ref: TurnRef,
  cancellation: TurnCancellation
): Effect.Effect<boolean> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.fork(restore(cancellation.cancelled)), (watching) =>
      Effect.flatMap(
        Effect.exit(restore(turnReady(engine, ref, (endWait) => watching.addObserver(endWait)))),
        (ready) =>
          Effect.flatMap(Fiber.interrupt(watching), (watched) =>
            // a cancellation that fails must not be asked again and again
            watched._tag === "Failure" && !Cause.isInterruptedOnly(watched.cause)
              ? Effect.failCause(watched.cause)
              : ready)
      ))
  )

const takeTurn = (
  engine: Engine,
  ref: TurnRef,
  foundDrained: boolean
): Effect.Effect<Option.Option<TurnTaskUpdate>> =>
  engine.state.modify((table) => {
    const taken = delivery.takeTurnUpdate(table, ref)
    if (taken === delivery.Drained) return Option.none()
    if (taken !== delivery.NotReady) return Option.some(taken.value)
    // the caller's own task is running again, and nothing but the like of it
    if (foundDrained) return Option.none()
    throw lostRace
  })

export const waitForTurn = (
  engine: Engine,
  ref: TurnRef,
  options?: { readonly cancellation?: TurnCancellation | undefined }
): Effect.Effect<Option.Option<TurnTaskUpdate>> => {
  const cancellation = options?.cancellation
  return untilTaken(() => {
    if (cancellation !== undefined) return waitForTurnOrCancelled(engine, ref, cancellation)
    return delivery.isTurnReady(engine.state.table, ref)
      ? takeTurn(engine, ref, false)
      : Effect.flatMap(turnReady(engine, ref), (foundDrained) => takeTurn(engine, ref, foundDrained))
  })
}

const waitForTurnOrCancelled = (
  engine: Engine,
  ref: TurnRef,
  cancellation: TurnCancellation
): Effect.Effect<Option.Option<TurnTaskUpdate>> =>
  Effect.flatMap(
    Effect.zip(turnReadyOrCancelled(engine, ref, cancellation), cancellation.isCancelled),
    ([foundDrained, isCancelled]) => isCancelled ? Effect.succeedNone : takeTurn(engine, ref, foundDrained)
  )

export const consumeTurnUpdate = <A, E, R>(
  engine: Engine,
  ref: TurnRef,
  use: (update: TurnTaskUpdate) => Effect.Effect<A, E, R>
): Effect.Effect<Option.Option<A>, E, R> =>
  Effect.uninterruptibleMask((restore) => {
    const next = (foundDrained: boolean): Effect.Effect<Option.Option<A>, E, R> =>
      Effect.suspend(() => {
        const taken = engine.state.unsafeModify((table) => {
          const held = delivery.takeTurnUpdate(table, ref)
          if (held === delivery.NotReady || held === delivery.Drained) return held
          return { held, session: delivery.enterConsumer(table, ref.sessionId, 1) }
        })
        if (taken === delivery.Drained || taken === delivery.NotReady && foundDrained) return Effect.succeedNone
        if (taken === delivery.NotReady) return Effect.flatMap(restore(turnReady(engine, ref)), next)
        const { held, session } = taken
        return restore(Effect.suspend(() => use(held.value))).pipe(
          Effect.onExit((exit) =>
            engine.state.modify((table) =>
              exit._tag === "Success"
                ? delivery.leaveConsumer(table, session, 1)
                : delivery.putBackTurnUpdate(table, session, ref, held)
            )
          ),
          Effect.asSome
        )
      })
    return next(false)
  })

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
      return restore(Effect.suspend(() => use(taken.value.item))).pipe(
        Effect.onExit((exit) =>
          engine.state.modify((table) =>
            exit._tag === "Success"
              ? delivery.leaveConsumer(table, taken.value.session, 1)
              : delivery.putBackResult(table, taken.value)
          )
        ),
        Effect.asSome
      )
    })
  )

const batchOf = (deliveries: ReadonlyArray<Delivery<TaskResolution>>): PendingLoopUpdates => ({
  resolutions: deliveries.map(valueOf)
})

export const takePendingLoopUpdates = (engine: Engine, sessionId: SessionId): Effect.Effect<PendingLoopUpdates> =>
  engine.state.modify((table) => batchOf(delivery.takeLoopUpdates(table, sessionId)))

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
      return restore(Effect.suspend(() => use(batchOf(taken)))).pipe(
        Effect.onExit((exit) =>
          engine.state.modify((table) =>
            exit._tag === "Success"
              ? delivery.leaveConsumer(table, session, taken.length)
              : delivery.putBackLoopUpdates(table, session, taken)
          )
        )
      )
    })
  )

export const waitForLoopUpdate = (engine: Engine, sessionId: SessionId): Effect.Effect<void> =>
  Effect.asVoid(waitUntil(engine, {
    isReady: (table) => table.closed || table.sessions.get(sessionId)?.updates.isEmpty === false,
    parksAt: (table) => ensureSession(table, sessionId).waiters,
    onLeave: (table) => releaseSession(table, ensureSession(table, sessionId))
  }))
