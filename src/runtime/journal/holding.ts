/**
 * A manager whose replies wait until everything that they may tell of is written. What takes ends in one bare step, and an interrupt
 * behind it would lose what was taken, so it does not wait: it takes only what is written.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { suspendedOf, withSuspendedOf } from "../../services/internal/suspendedOf.js"
import { withUnheld } from "../../services/internal/unheld.js"
import { TaskManager, type TaskManagerHandle } from "../../services/TaskManager.js"
import type { JournalWriter } from "./JournalWriter.js"

/** Looks at the context of whoever calls; what it throws is a defect of the caller. */
export type Check = (context: Context.Context<never>) => void

export interface Checks {
  /** Of a method that waits for a write. */
  readonly waits: Check
  /** Of one that gives a caller something to use, and waits for a write after that. */
  readonly consumes: Check
}

export const holdReplies = (
  journal: JournalWriter,
  manager: TaskManager["Type"],
  checks: Checks
): TaskManager["Type"] => {
  const { synced } = journal

  /** Takes, or subscribes: it gives nothing that is not written. */
  const open = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => journal.isGone ? journal.farewell : self)

  const onSuccess = <A>(value: A) => journal.afterWrite(Effect.succeed(value))
  const onFailure = <E>(cause: Cause.Cause<E>) => journal.afterWrite(Effect.failCause(cause))

  const holdAfter = <A, E, R>(check: Check, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiberRuntime((fiber) => {
      check(fiber.currentContext)
      return journal.isGone ? journal.farewell : Effect.matchCauseEffect(self, { onSuccess, onFailure })
    })
  const hold = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => holdAfter(checks.waits, self)
  const consume = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => holdAfter(checks.consumes, self)

  /** Takes what is written, and may wait for that. */
  const openAfterWait = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiberRuntime((fiber) => {
      checks.waits(fiber.currentContext)
      return open(self)
    })

  const streamAfter = <A, E, R>(check: Check, self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
    Stream.unwrap(Effect.withFiberRuntime((fiber) => {
      check(fiber.currentContext)
      return open(Effect.succeed(self))
    }))

  const holdMethod = <Args extends ReadonlyArray<unknown>, A, E, R>(
    method: (...args: Args) => Effect.Effect<A, E, R>
  ): (...args: Args) => Effect.Effect<A, E, R> =>
  (...args) => hold(method(...args))

  const { handle } = manager
  const heldHandle: TaskManagerHandle = {
    // those of before are replayed, and then they end
    events: handle.events,
    eventsOf: handle.eventsOf,
    subscribe: open(handle.subscribe),
    subscribeTo: (filter) => open(handle.subscribeTo(filter)),
    watch: hold(handle.watch),
    watchOf: holdMethod(handle.watchOf),
    turnUpdates: (turn) => streamAfter(checks.consumes, handle.turnUpdates(turn)),
    answerApproval: holdMethod(handle.answerApproval),
    changes: streamAfter(checks.waits, Stream.mapEffect(handle.changes, (live) => Effect.as(synced, live))),
    inbox: streamAfter(checks.waits, Stream.mapEffect(handle.inbox, (asked) => Effect.as(synced, asked))),
    get: holdMethod(handle.get),
    result: holdMethod(handle.result),
    output: holdMethod(handle.output),
    list: holdMethod(handle.list),
    history: holdMethod(handle.history),
    listRunning: hold(handle.listRunning),
    listSuspended: hold(handle.listSuspended),
    listCompleted: hold(handle.listCompleted),
    cancel: holdMethod(handle.cancel),
    detach: holdMethod(handle.detach),
    steer: holdMethod(handle.steer),
    setContinuePolicy: holdMethod(handle.setContinuePolicy),
    setDeliveryMode: holdMethod(handle.setDeliveryMode),
    setPriority: holdMethod(handle.setPriority),
    setConcurrency: holdMethod(handle.setConcurrency),
    usage: holdMethod(handle.usage),
    drainReadyItems: open(handle.drainReadyItems),
    drainReadyItemsOf: (sessionId) => open(handle.drainReadyItemsOf(sessionId)),
    waitForIdle: hold(handle.waitForIdle),
    waitForIdleWithin: holdMethod(handle.waitForIdleWithin)
  }
  return TaskManager.of({
    startTask: holdMethod(manager.startTask),
    waitForTurn: (turn, options) => openAfterWait(manager.waitForTurn(turn, options)),
    consumeTurnUpdate: (turn, use, options) => consume(manager.consumeTurnUpdate(turn, use, options)),
    takePendingLoopUpdates: (sessionId) => open(manager.takePendingLoopUpdates(sessionId)),
    consumePendingLoopUpdates: (sessionId, use) => consume(manager.consumePendingLoopUpdates(sessionId, use)),
    takeResult: (taskId) => open(manager.takeResult(taskId)),
    consumeResult: (taskId, use) => consume(manager.consumeResult(taskId, use)),
    waitForTask: (taskIds, options) => hold(manager.waitForTask(taskIds, options)),
    waitForLoopUpdate: (sessionId, options) => hold(manager.waitForLoopUpdate(sessionId, options)),
    onTurnInterrupted: holdMethod(manager.onTurnInterrupted),
    rejectApproval: holdMethod(manager.rejectApproval),
    answerApproval: holdMethod(manager.answerApproval),
    closeSession: holdMethod(manager.closeSession),
    addUsage: (turn, costs) => open(manager.addUsage(turn, costs)),
    handle: withUnheld(
      withSuspendedOf(heldHandle, (sessionId) => hold(suspendedOf(handle, sessionId))),
      handle
    )
  })
}
